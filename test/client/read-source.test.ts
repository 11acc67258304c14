import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, RequestListener } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { Client, readSource, TorrentError, type TorrentSource } from '../../lib/index.ts'
import { maxTorrentBytes } from '../../lib/metainfo/limits.ts'
import { parseMagnet } from '../../lib/metainfo/magnet.ts'
import { toHex } from '../../lib/util/bytes.ts'
import { Bench, serve } from '../torrent/bench.ts'

const hash = 'c9e15763f722f23e98a29decdfae341b98d53056'
const magnet = `magnet:?xt=urn:btih:${hash}&dn=x&tr=udp://t.example:1`

/** Starts a server of answers by path, and makes a .torrent. */
async function library(
  t: TestContext,
  answers: (torrent: Uint8Array) => Readonly<Record<string, RequestListener>>
): Promise<{ bench: Bench; web: string; torrent: Uint8Array; infoHash: string; asked: IncomingMessage[] }> {
  const bench = new Bench(t)
  const { bytes: torrent, metainfo } = await bench.sample({ 'film.mkv': 50_000 })
  const asked: IncomingMessage[] = []
  const table = answers(torrent)
  const web = await serve(bench, (request, response) => {
    asked.push(request)
    const answer = table[request.url?.split('?')[0] ?? '']
    if (answer === undefined) response.writeHead(404).end()
    else answer(request, response)
  })
  return { bench, web, torrent, infoHash: toHex(metainfo.infoHashes.v1 ?? new Uint8Array()), asked }
}

async function hashOf(source: TorrentSource, options = {}): Promise<string> {
  return toHex((await readSource(source, options)).infoHashes.v1 ?? new Uint8Array())
}

function sent(body: string | Uint8Array, headers: Record<string, string> = {}): RequestListener {
  return (_request, response) => void response.writeHead(200, headers).end(body)
}

function to(location: string, status = 302): RequestListener {
  return (_request, response) => void response.writeHead(status, { location }).end()
}

test('a URL gives a torrent or magnet link in every form that sites send', async (t) => {
  const { web, infoHash } = await library(t, (torrent) => ({
    '/plain': sent(torrent),
    '/gzip-labelled': sent(gzipSync(torrent), { 'content-encoding': 'gzip' }),
    '/gzip-bare': sent(gzipSync(torrent), { 'content-type': 'application/x-bittorrent' }),
    '/gzip-twice': sent(gzipSync(gzipSync(torrent)), { 'content-encoding': 'gzip' }),
    '/as-html': sent(torrent, { 'content-type': 'text/html' }),
    '/301': to('/plain', 301),
    '/302': to('/plain#fragment'),
    '/magnet': to(magnet),
    '/magnet-301': to(magnet.replace('magnet', 'MAGNET'), 301),
    '/to-magnet': to('/magnet', 307),
    '/magnet-body': sent(`${magnet}\n`, { 'content-type': 'text/plain' }),
    '/magnet-body-bom': sent(`\ufeff\r\n ${magnet}\r\nand more`)
  }))
  for (const of of ['plain', 'gzip-labelled', 'gzip-bare', 'gzip-twice', 'as-html', '301', '302'])
    assert.equal(await hashOf(`${web}/${of}`), infoHash, of)
  for (const of of ['magnet', 'magnet-301', 'to-magnet', 'magnet-body', 'magnet-body-bom']) {
    const read = await readSource(`${web}/${of}`)
    assert.ok(!('info' in read), of)
    assert.deepEqual(read, parseMagnet(magnet), of)
  }
})

test('user and password of a URL are sent to its own server alone', async (t) => {
  const { bench, web, asked } = await library(t, (torrent) => ({
    '/a': to('/b'),
    '/b': (_request, response) => response.writeHead(302, { location: `${other}/c` }).end(),
    '/d': sent(torrent)
  }))
  const heard: (string | undefined)[] = []
  const other = await serve(bench, (request, response) => {
    heard.push(request.headers.authorization)
    response.end('x')
  })
  await assert.rejects(readSource(`${web.replace('//', '//us%40er:p%20w@')}/a`))
  const basic = `Basic ${Buffer.from('us@er:p w').toString('base64')}`
  assert.deepEqual(
    asked.map(({ headers }) => headers.authorization),
    [basic, basic]
  )
  assert.deepEqual(heard, [undefined])
  await readSource(`${web}/d`)
  assert.equal(asked[2]?.headers.authorization, undefined)
})

test('a URL that serves something else is an error that describes it', async (t) => {
  const bomb = gzipSync(new Uint8Array(maxTorrentBytes + 1))
  const { web } = await library(t, (torrent) => ({
    '/html': sent('<!DOCTYPE html><html>log in first</html>'),
    '/html2': sent('\n <html>log in first', { 'content-type': 'application/x-bittorrent' }),
    '/xml': sent('<?xml version="1.0"?><error code="100" description="Invalid API Key"/>'),
    '/json': sent('{"error":"no"}'),
    '/text': sent('no such torrent'),
    '/empty': sent(''),
    '/401': (_request, response) => response.writeHead(401).end(),
    '/500': (_request, response) => response.writeHead(500).end('oh'),
    '/ftp': to('ftp://127.0.0.1/x'),
    '/file': to(`file://${import.meta.filename}`),
    '/loop': to('/loop'),
    '/more': (request, response) => response.writeHead(302, { location: `${request.url}?again` }).end(),
    '/short': (_request, response) => {
      response.writeHead(200, { 'content-length': torrent.length + 100 }).write(torrent)
      setImmediate(() => response.destroy())
    },
    '/cut': (_request, response) => {
      response.writeHead(200, { 'content-length': torrent.length }).write(torrent.subarray(0, 100))
      setImmediate(() => response.destroy())
    },
    '/bomb': sent(bomb),
    '/bomb-labelled': sent(bomb, { 'content-encoding': 'gzip' }),
    '/bad-magnet': to('magnet:?dn=nothing'),
    '/v2': to(`magnet:?xt=urn:btmh:1220${'ab'.repeat(32)}`)
  }))
  const client = new Client({ host: '127.0.0.1', dht: false, lsd: false })
  t.after(() => client.close())
  for (const [of, code, message] of [
    ['html', 'ERR_METAINFO_SOURCE', /is a web page \(HTML\).*login/],
    ['html2', 'ERR_METAINFO_SOURCE', /is a web page/],
    ['xml', 'ERR_METAINFO_SOURCE', /is an XML document/],
    ['json', 'ERR_METAINFO_SOURCE', /is a JSON document/],
    ['text', 'ERR_BENCODE_SYNTAX', /is not a usable \.torrent/],
    ['empty', 'ERR_BENCODE_SYNTAX', /is not a usable \.torrent/],
    ['401', 'ERR_CLIENT_SOURCE', /answered 401 Unauthorized: it may want a user name and password/],
    ['404', 'ERR_CLIENT_SOURCE', /answered 404 Not Found$/],
    ['500', 'ERR_CLIENT_SOURCE', /answered 500/],
    ['ftp', 'ERR_CLIENT_SOURCE', /redirects to something that is neither/],
    ['file', 'ERR_CLIENT_SOURCE', /redirects to something that is neither/],
    ['loop', 'ERR_CLIENT_SOURCE', /circle/],
    ['more', 'ERR_CLIENT_SOURCE', /redirects more than/],
    ['short', 'ERR_CLIENT_SOURCE', /could not be fetched/],
    ['cut', 'ERR_CLIENT_SOURCE', /could not be fetched/],
    ['bomb', 'ERR_CLIENT_SOURCE', /inflates beyond/],
    ['bomb-labelled', 'ERR_CLIENT_SOURCE', /inflates beyond/],
    ['bad-magnet', 'ERR_METAINFO_MAGNET', /no info hash/],
    ['v2', 'ERR_METAINFO_UNSUPPORTED', /version 2/]
  ] as const) {
    await assert.rejects(client.add(`${web}/${of}`), { name: 'TorrentError', code, message }, of)
  }
  assert.equal(client.torrents.length, 0)
})

test('bytes are accepted in any form, and text in quotes', async (t) => {
  const bench = new Bench(t)
  const { bytes, metainfo } = await bench.sample({ 'film.mkv': 50_000 })
  const expected = toHex(metainfo.infoHashes.v1 ?? new Uint8Array())
  const own = Uint8Array.from(bytes)
  const wide = new Uint8Array(own.length + 40)
  wide.set(own, 16)
  const shared = new Uint8Array(new SharedArrayBuffer(own.length))
  shared.set(own)
  const file = path.join(bench.folder(), 'film.torrent')
  writeFileSync(file, bytes)
  writeFileSync(`${file}.gz`, gzipSync(bytes))
  writeFileSync(`${file}.magnet`, `magnet:?xt=urn:btih:${expected}\n`)
  const sources: Readonly<Record<string, TorrentSource>> = {
    ArrayBuffer: own.buffer,
    SharedArrayBuffer: shared.buffer,
    DataView: new DataView(wide.buffer, 16, own.length),
    'a view of a part': wide.subarray(16, 16 + own.length),
    Buffer: Buffer.from(own),
    Uint8ClampedArray: new Uint8ClampedArray(own),
    Int8Array: new Int8Array(own.buffer),
    Blob: new Blob([own]),
    File: new File([own], 'film.torrent'),
    'gzip bytes': gzipSync(own),
    'hash as a DataView': new DataView(Uint8Array.from(metainfo.infoHashes.v1 ?? []).buffer),
    'hash as a Blob': new Blob([Uint8Array.from(metainfo.infoHashes.v1 ?? [])]),
    path: file,
    'gzip path': `${file}.gz`,
    'path of a magnet link': `${file}.magnet`,
    'quoted path': `"${file}"`,
    Magnet: parseMagnet(`magnet:?xt=urn:btih:${expected}`),
    Metainfo: metainfo
  }
  for (const [name, source] of Object.entries(sources)) assert.equal(await hashOf(source), expected, name)
  const links = [`magnet:?xt=urn:btih:${expected}&dn=a 'b'`, expected, expected.toUpperCase()]
  for (const link of links) {
    for (const text of [
      link,
      ` ${link}\n`,
      `"${link}"`,
      `'${link}'`,
      `<${link}>`,
      `\`${link}\``,
      `“${link}”`,
      `« ${link} »`,
      ` "${link}" `
    ])
      assert.equal(await hashOf(text), expected, text)
  }
  const changed = Uint8Array.from(own)
  const reading = readSource(changed)
  changed.fill(0)
  assert.equal(toHex((await reading).infoHashes.v1 ?? new Uint8Array()), expected)
  const quotes = path.join(bench.folder(), '"film"')
  writeFileSync(quotes, bytes)
  assert.equal(await hashOf(quotes), expected)
})

test('an invalid source is a TorrentError with a hint', async () => {
  const circle: Record<string, unknown> = {}
  circle['circle'] = circle
  const hostile = new Proxy(
    {},
    {
      ownKeys: () => {
        throw new Error('no')
      }
    }
  )
  for (const [source, code, message] of [
    [undefined, 'ERR_METAINFO_SOURCE', /^undefined is no source: a source is a magnet link/],
    [null, 'ERR_METAINFO_SOURCE', /null/],
    [true, 'ERR_METAINFO_SOURCE', /true/],
    [42, 'ERR_METAINFO_SOURCE', /42/],
    [42n, 'ERR_METAINFO_SOURCE', /42n/],
    [Symbol('s'), 'ERR_METAINFO_SOURCE', /Symbol\(s\)/],
    [() => {}, 'ERR_METAINFO_SOURCE', /Function/],
    ['', 'ERR_METAINFO_SOURCE', /''/],
    ['  \n', 'ERR_METAINFO_SOURCE', /''/],
    [{}, 'ERR_METAINFO_SOURCE', /\{\} is no source/],
    [circle, 'ERR_METAINFO_SOURCE', /circle/],
    [Object.create(null), 'ERR_METAINFO_SOURCE', /null prototype/],
    [hostile, 'ERR_METAINFO_SOURCE', /no source/],
    [[hash], 'ERR_METAINFO_SOURCE', /one torrent at a time/],
    [Promise.resolve(hash), 'ERR_METAINFO_SOURCE', /await the promise/],
    [Readable.from([]), 'ERR_METAINFO_SOURCE', /collect the bytes of the stream/],
    [{ infoHash: hash, magnetURI: magnet }, 'ERR_METAINFO_SOURCE', /give its magnetURI/],
    [{ infoHashes: 1, info: 2 }, 'ERR_METAINFO_SOURCE', /is no source/],
    [
      { infoHashes: { v1: new Uint8Array(20) }, info: new Uint8Array(2) },
      'ERR_METAINFO_SOURCE',
      /is no source/
    ],
    [
      { infoHashes: { v1: new Uint8Array(3) }, trackers: [], peers: [] },
      'ERR_METAINFO_SOURCE',
      /is no source/
    ],
    [new Date(0), 'ERR_METAINFO_SOURCE', /is no source/],
    [new Uint8Array(0), 'ERR_BENCODE_SYNTAX', /the data given/],
    [new ArrayBuffer(3), 'ERR_BENCODE_SYNTAX', /the data given/],
    [{ size: maxTorrentBytes + 1, arrayBuffer: () => assert.fail() }, 'ERR_CLIENT_SOURCE', /Blob has/],
    ['/', 'ERR_CLIENT_SOURCE', /is a folder; seed\(\)/],
    ['/does/not/exist', 'ERR_CLIENT_SOURCE', /no such file; a source is/],
    ['"/does/not/exist"', 'ERR_CLIENT_SOURCE', /no such file/],
    ['file:///does/not/exist', 'ERR_CLIENT_SOURCE', /no such file/],
    ['file://host/x', 'ERR_CLIENT_SOURCE', /could not be read/],
    ['file:///a%2fb', 'ERR_CLIENT_SOURCE', /could not be read/],
    ['a\0b', 'ERR_CLIENT_SOURCE', /could not be read/],
    ['ZDQ6aW5mb2Q2'.repeat(1000), 'ERR_CLIENT_SOURCE', /^.{0,110} could not be read: there is no such file/],
    [`stream-${magnet}&tr=http://t.example/0123abcd`, 'ERR_CLIENT_SOURCE', /no such file/],
    ['data:application/x-bittorrent;base64,ZDQ6', 'ERR_CLIENT_SOURCE', /^data:… could not be read/],
    ['ftp://t.example/x', 'ERR_CLIENT_SOURCE', /no such file/],
    ['http://', 'ERR_CLIENT_SOURCE', /malformed/],
    ['http://[', 'ERR_CLIENT_SOURCE', /malformed/],
    [import.meta.filename, 'ERR_BENCODE_SYNTAX', /is not a usable \.torrent/]
  ] as const) {
    await assert.rejects(readSource(source as never), (error) => {
      assert.ok(error instanceof TorrentError, String(error))
      assert.equal(error.code, code, error.message)
      assert.match(error.message, message)
      assert.ok(error.message.length < 400, error.message)
      assert.doesNotMatch(`${error.message} ${JSON.stringify(error.details)} ${error.cause}`, /0123abcd/)
      return true
    })
  }
})

test('a message shows the beginning of a long text, and no truncated URL', async () => {
  for (const at of [4040, 4062, 4070, 4080]) {
    const text = `${' x'.padEnd(at)}https://name:0123abcd@example.org/0123abcd ${'y '.repeat(10_000)}`
    await assert.rejects(readSource(text, { trust: 'remote' }), (error) => {
      assert.ok(error instanceof TorrentError)
      assert.match(error.message, /^'x .{0,100}' is no magnet link/)
      assert.doesNotMatch(error.message, /0123|name:/)
      return true
    })
  }
})

test('a file that is too long for a torrent is not read', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'piecewise-source-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const file = path.join(folder, 'long')
  writeFileSync(file, '')
  truncateSync(file, maxTorrentBytes + 1)
  await assert.rejects(readSource(file), { code: 'ERR_CLIENT_SOURCE', message: /more than 67108864/ })
})

test('an untrusted source leads to public hosts alone, and to no file', async (t) => {
  const { web, bench, asked, torrent } = await library(t, (bytes) => ({
    '/a': sent(bytes),
    '/announce': sent(bytes)
  }))
  const file = path.join(bench.folder(), 'film.torrent')
  writeFileSync(file, torrent)
  const port = new URL(web).port
  const options = { trust: 'remote' } as const
  const client = bench.client()
  for (const add of [readSource, client.add.bind(client)]) {
    for (const host of [
      '127.0.0.1',
      'localhost',
      '[::1]',
      '0.0.0.0',
      '2130706433',
      '10.0.0.1',
      '192.168.0.1'
    ]) {
      for (const rest of ['/a', '/announce']) {
        await assert.rejects(add(`http://${host}:${port}${rest}`, options), {
          code: 'ERR_CLIENT_SOURCE',
          message: /it is refused: it leads to this machine or into a local network/
        })
      }
    }
    for (const text of [file, `file://${file}`, `"${file}"`, 'x.torrent'])
      await assert.rejects(add(text, options), { code: 'ERR_METAINFO_SOURCE', message: /paths are not read/ })
  }
  assert.equal(asked.length, 0)
  assert.equal(await hashOf(magnet, options), hash)
  assert.equal(await hashOf(`<${hash}>`, options), hash)
  assert.ok('info' in (await readSource(torrent, options)))
})

test("a URL is fetched from the client's host", {
  skip: process.platform !== 'linux'
}, async (t) => {
  const { web, bench, asked, infoHash } = await library(t, (torrent) => ({ '/a': sent(torrent) }))
  const seen: (string | undefined)[] = []
  const spy = await serve(bench, (request, response) => {
    seen.push(request.socket.remoteAddress)
    response.writeHead(302, { location: `${web}/a` }).end()
  })
  const torrent = await bench.client({ host: '127.0.0.2' }).add(spy.replace('127.0.0.1', 'localhost'))
  assert.equal(torrent.infoHash, infoHash)
  assert.deepEqual(seen, ['127.0.0.2'])
  assert.equal(asked.length, 1)
  await readSource(spy, { host: '0.0.0.0' })
  await readSource(spy, { host: '::' })
})

test('the signal ends each wait of a read', async (t) => {
  const reason = new Error('enough')
  await assert.rejects(readSource(hash, { signal: AbortSignal.abort(reason) }), reason)
  const { web } = await library(t, () => ({
    '/silent': () => controller.abort(reason)
  }))
  const controller = new AbortController()
  await assert.rejects(readSource(`${web}/silent`, { signal: controller.signal }), reason)
  const slow = new AbortController()
  const blob = { size: 5, arrayBuffer: () => new Promise<never>(() => slow.abort(reason)) }
  await assert.rejects(readSource(blob as unknown as Blob, { signal: slow.signal }), reason)
})
