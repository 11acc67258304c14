import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import { Client, type ClientOptions, readSource } from '../../lib/index.ts'
import { startSocks } from '../net/socks-server.ts'
import { until } from '../support/until.ts'
import { Bench } from '../torrent/bench.ts'

async function socks(t: TestContext): Promise<Awaited<ReturnType<typeof startSocks>>> {
  const server = await startSocks()
  t.after(() => server.close())
  return server
}

test('a torrent is downloaded through the proxy, from a .torrent URL on, and names stay unresolved', async (t) => {
  const bench = new Bench(t)
  const { port, asked } = await socks(t)
  const sample = await bench.sample({ 'film.mkv': 300_000 })
  const seed = bench.client()
  await seed.add(sample.bytes, { path: sample.folder })
  await until('the seed to listen', () => seed.port)
  const web = createServer((_request, response) => response.end(sample.bytes))
  web.listen(0, '127.0.0.1')
  await once(web, 'listening')
  t.after(() => web.close())
  const { port: webPort } = web.address() as AddressInfo
  const client = bench.client({ lsd: undefined, dht: undefined, proxy: `socks5://127.0.0.1:${port}` })
  const torrent = await client.add(`http://films.example:${webPort}/film.torrent`)
  torrent.addPeer(`peer.example:${seed.port}`)
  await torrent.whenDone({ signal: AbortSignal.timeout(20_000) })
  assert.ok(asked.includes(`films.example:${webPort}`))
  assert.ok(asked.includes(`peer.example:${seed.port}`))
  assert.equal(client.port, 0)
  const read = await readSource(`http://films.example:${webPort}/film.torrent`, {
    proxy: { url: `socks5://127.0.0.1:${port}` }
  })
  assert.equal(read.name, 'film.mkv')
  assert.equal(asked.filter((one) => one === `films.example:${webPort}`).length, 2)
})

test('UDP trackers stay idle with a proxy that carries no UDP, and there is one warning', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const client = bench.client({ lsd: undefined, dht: undefined, proxy: 'http://127.0.0.1:1' })
  const warnings: Error[] = []
  client.on('warning', (warning) => warnings.push(warning))
  const trackers = [['udp://tracker.example:1/announce', 'http://tracker.example:1/announce']]
  const torrent = await client.add(sample.bytes, { trackers: trackers.flat() })
  await until('the HTTP tracker to fail', () => torrent.trackers.some(({ error }) => error !== undefined))
  assert.deepEqual(torrent.trackers.map(({ url, status }) => [url.slice(0, 4), status]).sort(), [
    ['http', 'failed'],
    ['udp:', 'idle']
  ])
  assert.equal(client.dht, undefined)
  const ofUdp = warnings.filter(({ message }) => /carries no UDP/.test(message))
  assert.equal(ofUdp.length, 1)
})

const refused: readonly (readonly [ClientOptions, RegExp])[] = [
  [{ proxy: 'socks5://127.0.0.1:1', port: 6881 }, /option port: with a proxy the client does not listen/],
  [{ proxy: 'socks5://127.0.0.1:1', lsd: true }, /option lsd: multicast cannot/],
  [{ proxy: 'socks5://127.0.0.1:1', natTraversal: true }, /option natTraversal: with a proxy/],
  [{ proxy: 'socks4a://127.0.0.1:1', dht: true }, /option dht: socks4a:\/\/127.0.0.1:1 carries no UDP/],
  [
    { proxy: 'http://127.0.0.1:1', dht: { bootstrap: [] } },
    /option dht: http:\/\/127.0.0.1:1 carries no UDP/
  ],
  [{ proxy: 'https://me:sekret@127.0.0.1' }, /option proxy: 'https:\/\/127.0.0.1' names no proxy/]
]

for (const [options, message] of refused) {
  test(`refused: ${message.source}`, () => {
    assert.throws(
      () => new Client(options),
      (error: Error) => message.test(error.message) && !inspect(error, { depth: 9 }).includes('sekret')
    )
  })
}

test('credentials are shown nowhere', async (t) => {
  const bench = new Bench(t)
  const proxy = { url: 'socks5://127.0.0.1:1', username: 'sekretname', password: 'sekretword' }
  const client = bench.client({ lsd: undefined, dht: undefined, proxy })
  const shown: string[] = []
  client.on('warning', (warning) => shown.push(inspect(warning, { depth: 9, showHidden: true })))
  const file = await bench.sample({ 'a.txt': 10 })
  const torrent = await client.add(file.bytes, {
    trackers: ['http://tracker.example/announce'],
    peers: ['192.0.2.1:1']
  })
  torrent.on('warning', (warning) => shown.push(inspect(warning, { depth: 9, showHidden: true })))
  await until('warnings', () => shown.length > 0 && torrent.trackers.some(({ error }) => error !== undefined))
  for (const one of [client, torrent, torrent.inspect(), torrent.trackers])
    shown.push(inspect(one, { depth: 9, showHidden: true }), JSON.stringify(one))
  assert.doesNotMatch(shown.join('\n'), /sekret/)
  await assert.rejects(
    client.add('http://x.example/a.torrent'),
    (error: Error) => !inspect(error).includes('sekret')
  )
})
