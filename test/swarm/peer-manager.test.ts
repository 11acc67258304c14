import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import type { PeerInfo } from '../../lib/swarm/peer.ts'
import type { TorrentFile } from '../../lib/torrent/torrent-file.ts'
import { addressOf, assertSame, Bench } from '../torrent/bench.ts'

test('a torrent downloads from a seed and reports progress', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'album/one.mp3': 200_000, 'album/two.txt': 70_001, 'album/empty': 0 })
  const { client: seed, torrent: source } = await bench.seeder(sample)
  const client = bench.client()
  const peers: PeerInfo[] = []
  client.on('torrent', (added) => added.on('peer', (peer) => peers.push(peer)))
  const torrent = await client.add(sample.bytes, { peers: [addressOf(seed)] })
  assert.equal(torrent.name, 'album')
  assert.equal(torrent.length, 270_001)
  assert.equal(torrent.pieceCount, 9)
  assert.equal(torrent.pieceLength, 32768)
  assert.equal(torrent.private, false)
  assert.equal(torrent.infoHashV2, undefined)
  assert.deepEqual(
    torrent.files.map(({ name, path: file, length, type }) => ({ name, file, length, type })),
    sample.metainfo.files.map(({ name, path: file, length }) => ({
      name,
      file,
      length,
      type: name.endsWith('mp3')
        ? 'audio/mpeg'
        : name.endsWith('txt')
          ? 'text/plain; charset=utf-8'
          : 'application/octet-stream'
    }))
  )
  const verified: number[] = []
  const files: TorrentFile[] = []
  torrent.on('verified', (piece) => verified.push(piece))
  torrent.on('file', (file) => files.push(file))
  assert.ok(torrent.progress < 1)
  assert.equal(torrent.done, false)
  assert.equal(torrent.timeRemaining, Number.POSITIVE_INFINITY)
  await Promise.all([torrent.whenDone(), once(torrent, 'done')])
  const [peer] = peers
  assert.equal(peer?.address, addressOf(seed))
  assert.equal(peer?.incoming, false)
  assert.equal(peer?.source, 'manual')
  assert.match(peer?.client ?? '', /^piecewise/)
  assert.equal(torrent.status, 'seeding')
  assert.equal(torrent.progress, 1)
  assert.equal(torrent.downloaded, sample.data.length)
  assert.equal(torrent.received, sample.data.length)
  assert.equal(torrent.timeRemaining, 0)
  assert.deepEqual(
    verified.sort((a, b) => a - b),
    [...Array(9).keys()]
  )
  assert.deepEqual(new Set(files), new Set(torrent.files.filter(({ length }) => length > 0)))
  assert.ok(torrent.pieces.every(({ state }) => state === 'verified'))
  assert.ok(torrent.downloadSpeed > 0 && client.downloadSpeed > 0)
  assert.equal(source.uploaded, sample.data.length)
  assert.ok(source.uploadSpeed > 0 && seed.uploadSpeed > 0)
  assert.equal(source.ratio, 1)
  assert.equal(torrent.ratio, 0)
  await torrent.whenDone()
  await client.close()
  assertSame(torrent, sample)
  assert.equal(torrent.status, 'closed')
})
