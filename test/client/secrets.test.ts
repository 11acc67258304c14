import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { format, inspect } from 'node:util'
import { gzipSync } from 'node:zlib'
import createDebug from 'debug'
import { encode } from '../../lib/bencode/encode.ts'
import { readSource, type Torrent } from '../../lib/index.ts'
import { createTorrent, parseMagnet } from '../../lib/metainfo.ts'
import { createServer } from '../../lib/server.ts'
import { announce, announceTiers, scrape, UdpTrackerClient } from '../../lib/tracker.ts'
import { runCommand, temporaryFolder } from '../cli/run-command.ts'
import { until } from '../support/until.ts'
import { Bench, serve } from '../torrent/bench.ts'
import { politely, udpTracker } from '../tracker/udp-server.ts'

/** Matches the secret word, which is in every part of a URL that may hold a secret. */
const secret = /s.?e.?k.?r.?e.?t/i
const user = 'sekretuser:sekret%40pass1'
const rest = 'sekretpath2/announce?passkey=sekretquery3&x=sekret%2Fquery4'
const hash = 'ab'.repeat(20)
const request = { infoHash: new Uint8Array(20), peerId: new Uint8Array(20), port: 6881 }

function url(origin: string, kind = ''): string {
  return `${origin.replace('://', `://${user}@`)}/${kind}${kind === '' ? '' : '/'}${rest}`
}

/** The parts of a URL that its server knows and may send back. */
const echo = 'sekretuser sekret@pass1 sekret%40pass1 sekretpath2 sekretquery3 sekret/query4 sekret%2Fquery4'

/** Answers that fail or warn in every possible way, by the first element of the path. */
const answers: Readonly<Record<string, (request: IncomingMessage, response: ServerResponse) => unknown>> = {
  missing: (asked, response) => response.writeHead(404).end(`no ${asked.url} for ${echo}`),
  html: (asked, response) => response.end(`<html>${asked.url} ${echo}`),
  echo: (_asked, response) => response.end(echo),
  refusal: (_asked, response) => response.end(encode({ 'failure reason': `unknown passkey ${echo}` })),
  status: (_asked, response) => response.writeHead(500).end(encode({ 'failure reason': echo })),
  warning: (_asked, response) => response.end(encode({ interval: 1800, peers: '', 'warning message': echo })),
  keys: (_asked, response) => response.end(encode({ sekretquery3: 1 })),
  odd: (_asked, response) => response.end(`d8:intervali1800e5:peers${echo.length}:${echo}exx`),
  nowhere: (_asked, response) => response.writeHead(302).end(),
  ftp: (asked, response) => response.writeHead(302, { location: `ftp://x${asked.url}` }).end(),
  circle: (asked, response) => response.writeHead(302, { location: asked.url ?? '' }).end(),
  ever: (asked, response) => response.writeHead(302, { location: `${asked.url}a` }).end(),
  closed: (asked, response) => response.writeHead(302, { location: `http://127.0.0.1:1${asked.url}` }).end(),
  gzip: (_asked, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(echo),
  bomb: (_asked, response) =>
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(70 << 20))),
  cut: (_asked, response) => {
    response.writeHead(200, { 'content-length': 500 }).write(echo)
    setImmediate(() => response.destroy())
  },
  magnet: (asked, response) =>
    response.writeHead(302, { location: `magnet:?dn=x&tr=http://x${asked.url}` }).end()
}

const listener: RequestListener = (asked, response) => {
  const answer = answers[asked.url?.split('/')[1] ?? '']
  if (answer === undefined) response.destroy()
  else answer(asked, response)
}

/** Collects log lines and errors in every form, and asserts that none shows a secret. */
class Ear {
  readonly heard: string[] = []

  constructor(t: TestContext) {
    const { log } = createDebug
    createDebug.enable('piecewise:*')
    createDebug.log = (...args: unknown[]) => void this.heard.push(format(...args))
    t.after(() => {
      createDebug.disable()
      createDebug.log = log
    })
  }

  readonly error = (error: unknown): void => {
    assert.ok(error instanceof Error, inspect(error))
    this.heard.push(inspect(error, { depth: Number.POSITIVE_INFINITY, showHidden: true }))
  }

  /** The same, as a validator for `assert.rejects`. */
  readonly caught = (error: unknown): true => {
    this.error(error)
    return true
  }

  /** Collects the error of a promise that must reject. */
  async failure(promise: Promise<unknown>): Promise<void> {
    await promise.then(() => assert.fail('it should fail'), this.error)
  }

  check(least: number): void {
    assert.ok(this.heard.length >= least, `${this.heard.length} texts`)
    for (const text of this.heard) assert.doesNotMatch(text, secret)
  }
}

async function closedPort(bench: Bench): Promise<string> {
  const server = createTcpServer((socket) => socket.destroy())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  bench.after(() => server.close())
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('no error of a tracker shows the secrets of its URL', async (t) => {
  const ear = new Ear(t)
  const bench = new Bench(t)
  const web = await serve(bench, listener)
  const deaf = await closedPort(bench)
  const malformed = [
    `wss://${user}@127.0.0.1:1/${rest}`,
    `http://${user}@127.0.0.1:99999/${rest}`,
    `http://${user}@/${rest}`,
    `sekretuser:sekretpass@127.0.0.1/${rest}`,
    `127.0.0.1/${rest}`,
    `udp://${user}@127.0.0.1/${rest}`,
    `udp://${user}@127.0.0.1:0/${rest}`,
    `http://${user}@127.0.0.1:1/${rest}&info_hash=sekret`,
    ` ${url('udp://127.0.0.1')}\n`
  ]
  const urls = [
    ...Object.keys(answers).map((kind) => url(web, kind)),
    url(`http://${deaf}`),
    url(`https://${deaf}`),
    url('http://127.0.0.1:1'),
    url('udp://127.0.0.1:1'),
    url('http://nowhere.invalid'),
    url('udp://nowhere.invalid:1')
  ]
  const lookup = async (host: string): Promise<string[]> => {
    if (host.endsWith('.invalid')) throw new Error('no such host')
    return ['127.0.0.1']
  }
  const common = { udpSchedule: { firstTimeoutMs: 10, retries: 0 }, lookup }
  const options = { ...common, onWarning: ear.error }
  for (const trust of ['program', 'remote'] as const) {
    for (const one of urls) {
      const announcement = announce(one, request, {
        ...options,
        trust,
        onResponse: (reply, tracker) => {
          ear.heard.push(inspect(reply), inspect(tracker.error))
          void announcement.close()
        },
        onWarning: (warning) => {
          ear.error(warning)
          if (!/only a part/.test(warning.message)) void announcement.close()
        }
      })
      for await (const peer of announcement) ear.heard.push(inspect(peer))
      if (!/scrape|warning|odd/.test(one))
        await ear.failure(scrape(one, [new Uint8Array(20)], { ...common, trust }))
    }
  }
  for (const one of malformed) {
    assert.throws(() => announce(one, request), ear.caught)
    await announceTiers([[one]], request, options).close()
    await assert.rejects(createTorrent([], { trackers: [one], webSeeds: [one] }), ear.caught)
  }
  ear.check(urls.length * 4)
})

test('a UDP tracker that sends back the URL does not get it shown', async (t) => {
  const ear = new Ear(t)
  await using tracker = await udpTracker((asked) => {
    if (asked.action === 'connect') politely(asked)
    else asked.reply(3, Buffer.from(echo))
  })
  const client = new UdpTrackerClient()
  const place = new URL(url(`udp://127.0.0.1:${tracker.port}`))
  const parameters = { ...request, uploaded: 0, downloaded: 0, left: 1, numwant: 1, key: 1 }
  await ear.failure(client.announce(place, parameters))
  await ear.failure(client.scrape(place, [new Uint8Array(20)]))
  await client.close()
  ear.check(2)
})

test('no error of a source shows its secrets', async (t) => {
  const ear = new Ear(t)
  const bench = new Bench(t)
  const web = await serve(bench, listener)
  const client = bench.client()
  const deaf = await closedPort(bench)
  const sources = [
    ...Object.keys(answers).map((kind) => url(web, kind)),
    url(`http://${deaf}`),
    url(`https://${deaf}`),
    `http://${user}@127.0.0.1:99999/${rest}`,
    `magnet:?dn=x&tr=${encodeURIComponent(url(web))}`,
    `magnet:?xt=urn:btih:zz&tr=${url(web)}`,
    `magnet:?xt=urn:btih:${hash}&xt=urn:btih:${'cd'.repeat(20)}&tr=${url(web)}`,
    `stream-magnet:?xt=urn:btih:${hash}&tr=${url(web)}`,
    `"stream-magnet:?xt=urn:btih:${hash}&tr=${url(web)}"`,
    `data:text/plain,sekret`,
    `ftp://${user}@127.0.0.1/${rest}`
  ]
  for (const source of sources) {
    await ear.failure(readSource(source))
    await ear.failure(readSource(source, { trust: 'remote' }))
    await ear.failure(client.add(source))
    if (source.startsWith('magnet')) assert.throws(() => parseMagnet(source), ear.caught)
  }
  ear.check(sources.length * 3)
})

test('neither a torrent nor a client nor a page nor a log shows the secrets of trackers', async (t) => {
  const ear = new Ear(t)
  const bench = new Bench(t)
  const web = await serve(bench, listener)
  const { bytes } = await bench.sample({ 'film.mkv': 50_000 }, { trackers: [url(web, 'refusal')] })
  const client = bench.client()
  const torrent = await client.add(bytes, { trackers: [url(web, 'missing')] })
  torrent.on('warning', ear.error)
  const failed = (one: Torrent): boolean => one.trackers.every(({ error }) => error !== undefined)
  await until('the failure of the tracker', () => failed(torrent))
  // The property itself keeps the full URL, which the program needs.
  assert.match(torrent.trackers[0]?.url ?? '', secret)
  assert.match(torrent.magnetURI, secret)
  assert.match(Buffer.from(torrent.torrentFile ?? []).toString('latin1'), secret)
  for (const one of [torrent, client, torrent.files[0], torrent.trackers.map(({ error }) => error)]) {
    ear.heard.push(inspect(one, { depth: 8, showHidden: true }), JSON.stringify(one), String(one))
  }
  const server = createServer(client).listen(0)
  t.after(() => server.close())
  await once(server, 'listening')
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { infoHash } = torrent
  for (const where of [
    '/',
    `/${infoHash}/`,
    `/${infoHash}.m3u`,
    '/api/torrents',
    `/api/torrents/${infoHash}`
  ])
    ear.heard.push(await (await fetch(`${base}${where}`)).text())
  const events = (await fetch(`${base}/api/events?torrent=${infoHash}`)).body?.getReader()
  for (const source of [url(web, 'html'), `magnet:?dn=x&tr=${url(web)}`, 'sekret://x/y']) {
    const reply = await fetch(`${base}/api/torrents`, {
      method: 'POST',
      headers: { 'x-piecewise': '1', 'content-type': 'text/plain' },
      body: source
    })
    assert.equal(reply.status, 400)
    if (!source.startsWith('sekret')) ear.heard.push(await reply.text())
  }
  ear.heard.push(Buffer.from((await events?.read())?.value ?? []).toString())
  await events?.cancel()
  ear.check(15)
  assert.ok(ear.heard.some((text) => text.includes('piecewise:tracker')))
})

test('the command shows no secret of a URL, however verbose it is', async (t) => {
  const bench = new Bench(t)
  const web = await serve(bench, listener)
  const { bytes } = await bench.sample({ 'film.mkv': 50_000 }, { trackers: [url(web, 'refusal')] })
  const folder = temporaryFolder(t)
  writeFileSync(path.join(folder, 'film.torrent'), bytes)
  const own = ['--host', '127.0.0.1', '--port', '0', '--no-dht', '--dir', folder, '--verbose']
  for (const args of [
    ['download', url(web, 'html'), ...own],
    ['download', url(web, 'missing'), ...own, '--json'],
    ['download', `magnet:?dn=x&tr=${url(web)}`, ...own],
    ['download', 'x', '--tracker', `wss://${user}@127.0.0.1/${rest}`],
    ['download', 'x', url(web)],
    ['info', url(web, 'echo'), '--verbose'],
    ['create', 'x', '--tracker', `ftp://${user}@127.0.0.1/${rest}`]
  ]) {
    const { code, stdout, stderr } = await runCommand(t, folder, args, { DEBUG: 'piecewise:*' })
    assert.notEqual(code, 0)
    assert.doesNotMatch(stdout + stderr, secret, args.join(' '))
  }
})
