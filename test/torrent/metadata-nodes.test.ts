// DHT nodes that a .torrent names (BEP 5).
import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { test } from 'node:test'
import { formatTorrent, parseTorrent } from '../../lib/metainfo/parse-torrent.ts'
import { addressOf, Bench, type Sample } from './bench.ts'

/** Options of a client whose DHT knows no node. */
const lonely = { dht: { bootstrap: [] } }

/** A silent UDP port, and a .torrent that names it as a node. */
async function nodeOf(bench: Bench, sample: Sample): Promise<{ socket: Socket; bytes: Uint8Array }> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  bench.after(() => socket.close())
  await once(socket, 'listening')
  const bytes = formatTorrent({ ...sample.metainfo, nodes: [`127.0.0.1:${socket.address().port}`] })
  return { socket, bytes }
}

test('the nodes of a .torrent are queried when it is added, and again after a restart', async (t) => {
  const bench = new Bench(t)
  const { socket, bytes } = await nodeOf(bench, await bench.sample({ 'film.mkv': 50_000 }))
  const options = { ...lonely, state: bench.folder(), path: bench.folder() }
  const first = bench.client(options)
  await Promise.all([once(socket, 'message'), first.add(bytes)])
  await first.close()
  const again = once(socket, 'message', { signal: AbortSignal.timeout(5000) })
  const [torrent] = await bench.client(options).restored()
  assert.equal(torrent?.pieceCount, 2)
  await again
})

test('the nodes of a .torrent are queried when it is added to a magnet link that waits for metadata', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const { socket, bytes } = await nodeOf(bench, sample)
  const client = bench.client(lonely)
  const waiting = client.add(sample.metainfo.infoHashes.v1 ?? '')
  await once(client, 'torrent')
  const heard = once(socket, 'message', { signal: AbortSignal.timeout(5000) })
  await Promise.all([heard, waiting, client.add(bytes)])
})

test('the nodes of a .torrent are queried even if peers have already sent the metadata', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const { socket, bytes } = await nodeOf(bench, sample)
  const { client: seed, torrent } = await bench.seeder(sample)
  const client = bench.client(lonely)
  await client.add(torrent.infoHash, { peers: [addressOf(seed)] })
  const heard = once(socket, 'message', { signal: AbortSignal.timeout(5000) })
  await Promise.all([heard, client.add(bytes)])
})

test('the nodes that a private torrent names never hear of it', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 }, { private: true })
  const { socket, bytes } = await nodeOf(bench, sample)
  const other = await nodeOf(bench, await bench.sample({ 'song.mp3': 50_000 }))
  let asked = 0
  socket.on('message', () => asked++)
  assert.equal(parseTorrent(bytes).private, true)
  const client = bench.client(lonely)
  const waiting = client.add(sample.metainfo.infoHashes.v1 ?? '')
  await once(client, 'torrent')
  await Promise.all([waiting, client.add(bytes)])
  await client.add(bytes)
  // A later query arrives later: wait for that one.
  await Promise.all([once(other.socket, 'message'), client.add(other.bytes)])
  assert.equal(asked, 0)
})
