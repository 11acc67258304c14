// Torrents that find each other through the DHT alone, all on loopback.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { Client } from '../../lib/client/client.ts'
import { DhtService } from '../../lib/client/dht-service.ts'
import { dhtStatePath, loadDhtState } from '../../lib/client/dht-state.ts'
import { DHT } from '../../lib/dht.ts'
import { systemHostLookup } from '../../lib/net/resolve-host.ts'
import { bindUdpPort } from '../../lib/net/udp-port.ts'
import { TorrentError } from '../../lib/util/errors.ts'
import { until } from '../support/until.ts'
import { addressOf, assertSame, Bench } from '../torrent/bench.ts'

const local = '127.0.0.1'

/** Starts a bootstrap node, and returns options to start from it. */
async function startRouter(
  bench: Bench
): Promise<{ router: DHT; options: { dht: { bootstrap: string[] } } }> {
  const router = new DHT({ host: local, bootstrap: [] })
  bench.after(() => router.close())
  await router.ready
  return { router, options: { dht: { bootstrap: [`${local}:${router.ports[4]}`] } } }
}

async function count(client: Client | DHT, infoHash: string): Promise<number> {
  const dht = client instanceof DHT ? client : client.dht
  let found = 0
  for await (const _ of dht?.peers(infoHash) ?? []) found++
  return found
}

test('a magnet link and the DHT are enough', async (t) => {
  const bench = new Bench(t)
  const { options } = await startRouter(bench)
  const sample = await bench.sample({ 'film.mkv': 300_000 })
  const { client: seed, torrent: source } = await bench.seeder(sample, options)
  await until('a node', () => seed.dht?.size[4] ?? 0)
  assert.equal(seed.dht?.ports[4], seed.port)
  const client = bench.client(options)
  const torrent = await client.add(`magnet:?xt=urn:btih:${source.infoHash}`)
  await torrent.whenDone()
  assertSame(torrent, sample)
  assert.deepEqual(
    torrent.peers.map(({ source: from }) => from).filter((from) => from !== 'incoming'),
    torrent.peers.some(({ incoming }) => !incoming) ? ['dht'] : []
  )
})

test('early peers are found by later ones, and peers tell each other of their nodes', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 100_000 })
  const none = { dht: { bootstrap: [] } }
  const { client: seed, torrent } = await bench.seeder(sample, none)
  const client = bench.client(none)
  // Neither knows a node before the two are peers.
  await client.add(sample.bytes, { peers: [addressOf(seed)] })
  await Promise.all([seed.dht?.connected(), client.dht?.connected()])
  const third = bench.client({
    dht: { bootstrap: [], nodes: [{ host: local, port: client.dht?.ports[4] ?? 0 }] }
  })
  const copy = await third.add(torrent.infoHash)
  await copy.whenDone()
  assertSame(copy, sample)
})

test('a private torrent is neither announced nor looked up, and its peers hear nothing of the DHT', async (t) => {
  const bench = new Bench(t)
  const { router, options } = await startRouter(bench)
  const sample = await bench.sample({ 'film.mkv': 100_000 }, { private: true })
  const { client: seed, torrent: source } = await bench.seeder(sample, options)
  const client = bench.client({ dht: { bootstrap: [] } })
  const torrent = await client.add(sample.bytes, { peers: [addressOf(seed)] })
  await torrent.whenDone()
  // With private torrents alone the node sends nothing at all.
  assert.deepEqual([seed.dht?.size[4], client.dht?.size[4], router.size[4]], [0, 0, 0])
  assert.equal(await count(router, source.infoHash), 0)

  // A magnet link does not say that it is private: the DHT stops once the metadata does.
  const late = bench.client(options)
  const found = await late.add(torrent.infoHash, { peers: [addressOf(seed)] })
  assert.equal(found.private, true)
  await found.whenDone()
  const open = await bench.sample({ 'other.mkv': 100_000 })
  const { torrent: other } = await bench.seeder(open, options)
  await until('the other torrent to seed', () => other.status, { is: 'seeding' })
  await until('the announce of the other torrent', async () => await count(router, other.infoHash))
})

test('pause leaves the DHT and resume rejoins it; a client without a DHT has none', async (t) => {
  const bench = new Bench(t)
  const { router, options } = await startRouter(bench)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const { client: seed, torrent } = await bench.seeder(sample, { dht: false })
  assert.equal(seed.dht, undefined)
  const client = bench.client(options)
  const copy = await client.add(sample.bytes, { paused: true })
  await client.dht?.connected()
  assert.equal(await count(router, torrent.infoHash), 0)
  copy.resume()
  await until('the announce', async () => await count(router, torrent.infoHash))
  copy.pause()
  copy.resume()
  copy.pause()
  await copy.close()
})

test('the state folder restores ids and nodes, and a torn file is a warning', async (t) => {
  const bench = new Bench(t)
  const { router, options } = await startRouter(bench)
  const state = bench.folder()
  const first = bench.client({ ...options, state })
  await first.dht?.connected()
  await first.dht?.ready
  const { id } = first.dht?.save() ?? {}
  await first.close()
  assert.ok(readFileSync(dhtStatePath(state)).length > 40)
  const second = bench.client({ dht: { bootstrap: [] }, state })
  await second.dht?.connected()
  assert.deepEqual(second.dht?.save().id, id)
  assert.ok(router.size[4] > 0)
  await second.close()
  // A run that found no node keeps the saved ones.
  const before = readFileSync(dhtStatePath(state))
  await router.close()
  await bench.client({ dht: { bootstrap: [] }, state }).close()
  assert.equal(readFileSync(dhtStatePath(state)).length, before.length)
  writeFileSync(dhtStatePath(state), 'torn')
  const third = bench.client({ dht: true, state })
  const [warning] = await once(third, 'warning')
  assert.ok(warning instanceof TorrentError && warning.code === 'ERR_STORAGE_RESUME', String(warning))
})

test('nodes are saved as soon as there are some, because a run may end at any time', {
  timeout: 30_000
}, async (t) => {
  const bench = new Bench(t)
  const { router, options } = await startRouter(bench)
  const state = bench.folder()
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const client = bench.client({ ...options, state })
  await client.add(sample.bytes)
  await until('the file of nodes', () => existsSync(dhtStatePath(state)))
  assert.deepEqual((await loadDhtState(state, assert.fail))?.nodes?.slice(0, 20), router.save().id)
})

test('a client on loopback stays there, whatever torrents and earlier runs name', async (t) => {
  const bench = new Bench(t)
  const state = bench.folder()
  const unknownNode = Uint8Array.of(...new Uint8Array(20).fill(7), 192, 0, 2, 1, 26, 225)
  writeFileSync(
    path.join(state, 'dht.nodes'),
    Buffer.concat([Buffer.from(`d5:nodes${unknownNode.length}:`), unknownNode, Buffer.from('e')])
  )
  const client = bench.client({ dht: true, state })
  await client.dht?.ready
  assert.deepEqual(client.dht?.size, { 4: 0, 6: 0 })
})

test('a taken UDP port is replaced by the next number, for TCP too', async (t) => {
  const bench = new Bench(t)
  const taken = await bindUdpPort({ family: 4, host: local })
  bench.after(() => taken.close())
  const { options } = await startRouter(bench)
  const client = bench.client({ ...options, port: taken.port })
  await client.dht?.connected()
  assert.notEqual(client.port, taken.port)
  assert.equal(client.dht?.ports[4], client.port)
})

test('a thousand torrents take turns in the DHT', { timeout: 60_000 }, async (t) => {
  const bench = new Bench(t)
  const { router, options } = await startRouter(bench)
  const client = bench.client({ ...options, state: bench.folder() })
  await client.dht?.connected()
  const hashes = Array.from({ length: 1000 }, (_, n) => (n + 1).toString(16).padStart(40, '0'))
  const controller = new AbortController()
  const added = hashes.map((hash) => client.add(hash, { signal: controller.signal }).catch(() => {}))
  await until('all torrents to be added', () => client.torrents.length, { is: 1000 })
  await until('the announce of the first torrent', async () => await count(router, hashes[0] ?? ''))
  // The last in the queue is not looked up before the others.
  assert.equal(await count(router, hashes[999] ?? ''), 0)
  controller.abort(new Error('enough'))
  await Promise.all(added)
})

test('peers are not told of a node that answers no query', async () => {
  const port = await bindUdpPort({ family: 4, host: local })
  for (const readOnly of [true, undefined]) {
    const service = new DhtService({
      ports: Promise.resolve([port]),
      host: local,
      readOnly,
      stateFolder: undefined,
      lookup: systemHostLookup,
      tcpPort: () => 1,
      onAddress: () => {},
      onWarning: assert.fail
    })
    await service.dht.ready
    assert.equal(service.port(local), readOnly === true ? undefined : port.port)
    await service.close()
  }
  await port.close()
})

test('refuses an invalid readOnly', () => {
  assert.throws(
    () => new Client({ dht: { readOnly: 'never' as 'auto' } }),
    (error) => error instanceof TorrentError && error.code === 'ERR_CLIENT_OPTION'
  )
})
