import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import path from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import type { TorrentSource } from '../../lib/client/read-source.ts'
import { addressOf, assertSame, Bench, type Sample, serve } from '../torrent/bench.ts'
import { encodeBase32 } from './base32.ts'

const pieces = new Uint8Array(20)
const infoHashOf = (sample: Sample): Buffer => Buffer.from(sample.metainfo.infoHashes.v1 ?? [])

test('a torrent is added by bytes, path, URL, parsed, info hash or magnet link', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 100_000 })
  const { client: seed } = await bench.seeder(sample)
  const file = path.join(bench.folder(), 'film.torrent')
  writeFileSync(file, sample.bytes)
  const web = await serve(bench, (_request, response) => response.end(sample.bytes))
  const hash = infoHashOf(sample)
  const hex = hash.toString('hex')
  const sources: Record<string, TorrentSource> = {
    bytes: sample.bytes,
    path: file,
    'path with spaces around': ` ${file} `,
    'file URL': pathToFileURL(file),
    'file URL as text': pathToFileURL(file).href,
    'http URL': `${web}/film.torrent`,
    'http URL object': new URL(`${web}/film.torrent`),
    parsed: sample.metainfo,
    hex,
    'upper case': hex.toUpperCase(),
    base32: encodeBase32(hash),
    'hash bytes': new Uint8Array(hash),
    magnet: `magnet:?xt=urn:btih:${hex}&dn=movie`,
    'magnet with peer': `magnet:?xt=urn:btih:${hex}&x.pe=${addressOf(seed)}`
  }
  await Promise.all(
    Object.entries(sources).map(async ([name, source]) => {
      const client = bench.client()
      const peers = name === 'magnet with peer' ? [] : [addressOf(seed)]
      const torrent = await client.add(source, { peers })
      assert.equal(torrent.infoHash, hex, name)
      assert.equal(torrent.name, 'film.mkv', name)
      assert.deepEqual(
        torrent.files.map((one) => one.path),
        ['film.mkv'],
        name
      )
      await torrent.whenDone()
      assertSame(torrent, sample)
      await client.close()
    })
  )
})

const wrong: readonly [name: string, source: unknown, code: string, message: RegExp][] = [
  ['nothing', '', 'ERR_METAINFO_SOURCE', /'' is no source/],
  ['a number', 5, 'ERR_METAINFO_SOURCE', /5 is no source/],
  ['null', null, 'ERR_METAINFO_SOURCE', /null is no source/],
  ['undefined', undefined, 'ERR_METAINFO_SOURCE', /undefined is no source/],
  [
    'a missing path',
    '/does/not/exist.torrent',
    'ERR_CLIENT_SOURCE',
    /exist\.torrent could not be read: there is no such file/
  ],
  ['a folder', '/', 'ERR_CLIENT_SOURCE', /could not be read/],
  ['a file of another kind', import.meta.filename, 'ERR_BENCODE_SYNTAX', /is not a usable \.torrent/],
  ['garbage', new Uint8Array(100), 'ERR_BENCODE_SYNTAX', /the data given/],
  ['a magnet link without a hash', 'magnet:?dn=x', 'ERR_METAINFO_MAGNET', /./],
  ['a v2 magnet link', `magnet:?xt=urn:btmh:1220${'ab'.repeat(32)}`, 'ERR_METAINFO_UNSUPPORTED', /version 2/],
  [
    'a metainfo with a v2 hash alone',
    {
      infoHashes: { v2: new Uint8Array(32) },
      name: 'x',
      info: pieces,
      pieces,
      files: [],
      announce: [],
      nodes: []
    },
    'ERR_METAINFO_UNSUPPORTED',
    /version 2/
  ],
  ['an unreachable server', 'http://127.0.0.1:1/x.torrent', 'ERR_CLIENT_SOURCE', /could not be fetched/]
]

test('another source of the .torrent that a magnet link names gives one warning', async (t) => {
  const client = new Bench(t).client()
  const warned = once(client, 'warning')
  const magnet = `magnet:?xt=urn:btih:${'1'.repeat(40)}&xs=http%3A%2F%2Fa%2Fsecret.torrent&xs=http%3A%2F%2Fb%2F`
  client.add(magnet).catch(() => {})
  const [warning] = await warned
  assert.equal(warning.code, 'ERR_METAINFO_UNSUPPORTED')
  assert.match(warning.message, /http:\/\/a\/.* \(xs\), which is not used/)
  assert.equal(warning.details.urls.length, 2)
})

test('an invalid source is refused with a reason', async (t) => {
  const client = new Bench(t).client()
  for (const [name, source, code, message] of wrong) {
    await assert.rejects(client.add(source as TorrentSource), { code, message }, name)
  }
  assert.equal(client.torrents.length, 0)
})

test('a web server may answer with anything', async (t) => {
  const bench = new Bench(t)
  const answers: Record<string, RequestListener> = {
    '/missing': (_request, response) => response.writeHead(404).end('no'),
    '/page': (_request, response) => response.end('<html>'),
    '/cut': (_request, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('d8:')
      setImmediate(() => response.destroy())
    },
    '/loop': (_request, response) => response.writeHead(302, { location: '/loop' }).end(),
    '/endless': (_request, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(1 << 20)));
        response.once('drain', more)
      }
      more()
    }
  }
  const web = await serve(bench, (request, response) => answers[request.url ?? '']?.(request, response))
  const client = bench.client()
  const codes: Record<string, [string, RegExp]> = {
    '/missing': ['ERR_CLIENT_SOURCE', /answered 404/],
    '/page': ['ERR_METAINFO_SOURCE', /is a web page/],
    '/cut': ['ERR_CLIENT_SOURCE', /could not be fetched/],
    '/loop': ['ERR_CLIENT_SOURCE', /could not be fetched/],
    '/endless': ['ERR_CLIENT_SOURCE', /longer than/]
  }
  for (const [where, [code, message]] of Object.entries(codes)) {
    await assert.rejects(client.add(`${web}${where}`), { code, message }, where)
  }
})

test('the peers of a magnet link on loopback are dialled only by a client on loopback', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const { client: seed } = await bench.seeder(sample)
  const hex = infoHashOf(sample).toString('hex')
  const near = bench.client()
  const sources: string[] = []
  near.on('torrent', (torrent) => torrent.on('peer', ({ source }) => sources.push(source)))
  await near.add(`magnet:?xt=urn:btih:${hex}&x.pe=${addressOf(seed)}`)
  assert.deepEqual(sources, ['magnet'])

  const dialled: string[] = []
  const listen = async (name: string): Promise<number> => {
    const server = createTcpServer((socket) => {
      dialled.push(name)
      socket.on('error', () => {})
      socket.destroy()
      server.emit('dialled')
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    bench.after(() => server.close())
    if (name === 'peers') asked = once(server, 'dialled')
    return (server.address() as AddressInfo).port
  }
  let asked: Promise<unknown> | undefined
  const [ports, own] = [await listen('x.pe'), await listen('peers')]
  const far = bench.client({ host: undefined })
  const link = ['127.0.0.1', 'localhost', '0.0.0.0', '[::ffff:127.0.0.1]', '[::1]']
    .map((host) => `&x.pe=${host}:${ports}`)
    .join('')
  far.add(`magnet:?xt=urn:btih:${hex}${link}`, { peers: [`127.0.0.1:${own}`] }).catch(() => {})
  far.add(hex, { peers: [`127.0.0.1:${ports}`], trust: 'remote' }).catch(() => {})
  await asked
  await far.close()
  assert.deepEqual(dialled, ['peers'])
})

test('a signal ends every wait of add', async (t) => {
  const bench = new Bench(t)
  const client = bench.client()
  const reason = new Error('enough')
  await assert.rejects(client.add('ab'.repeat(20), { signal: AbortSignal.abort(reason) }), reason)
  const silent = createServer(() => {})
  silent.listen(0, '127.0.0.1')
  await once(silent, 'listening')
  bench.after(() => {
    silent.closeAllConnections()
    silent.close()
  })
  const fetching = new AbortController()
  const { port } = silent.address() as AddressInfo
  silent.once('request', () => fetching.abort(reason))
  await assert.rejects(client.add(`http://127.0.0.1:${port}/`, { signal: fetching.signal }), reason)
  const waiting = new AbortController()
  const added = client.add('ab'.repeat(20), { signal: waiting.signal })
  const [torrent] = await once(client, 'torrent')
  waiting.abort(reason)
  await assert.rejects(added, reason)
  assert.equal(torrent.status, 'closed')
  assert.equal(client.torrents.length, 0)
})

test('an aborted add does not take a torrent from other callers', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const { client: seed } = await bench.seeder(sample)
  const client = bench.client()
  const impatient = new AbortController()
  const first = client.add(infoHashOf(sample), { signal: impatient.signal })
  await once(client, 'torrent')
  const second = client.add(infoHashOf(sample))
  await new Promise((resolve) => setImmediate(resolve))
  impatient.abort(new Error('enough'))
  await assert.rejects(first, /enough/)
  const [torrent] = client.torrents
  torrent?.addPeer(addressOf(seed))
  assert.equal(await second, torrent)
  await torrent?.whenDone()
})
