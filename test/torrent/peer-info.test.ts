import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { until } from '../support/until.ts'
import { Bench } from './bench.ts'
import { type EvilPeer, listenAs } from './evil-peer.ts'

test('a peer names the piece that it sends, or the first one requested of it', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 4 * 32768 })
  const asked: { readonly piece: number; readonly offset: number }[] = []
  let peer: EvilPeer | undefined
  const host = await listenAs(bench, sample, {
    answer: (from, piece, offset) => {
      peer = from
      asked.push({ piece, offset })
    }
  })
  const torrent = await bench.client().add(sample.bytes, { select: 'none' })
  torrent.addPeer(host.address)
  await until('the seed', () => torrent.peers[0]?.progress, { is: 1 })
  assert.equal(torrent.peers[0]?.piece, undefined, 'it is asked for nothing')

  torrent.select({ start: 2 * 32768, end: 3 * 32768 })
  await until('two requests', () => asked.length, { is: (value) => value >= 2 })
  torrent.select(0)
  await until('six requests', () => asked.length, { is: (value) => value >= 6 })
  assert.deepEqual([torrent.peers[0]?.requests, torrent.peers[0]?.piece], [asked.length, 2])

  const last = asked.at(-1)
  assert.ok(last !== undefined && last.piece !== 2 && peer !== undefined)
  const block = peer.block(last.piece, last.offset, 16384)
  peer.raw(last.piece, last.offset, block, 0, 1000)
  await until('the last piece to be downloaded', () => torrent.peers[0]?.piece, { is: last.piece })
  peer.raw(last.piece, last.offset, block, 1000)
  await until('piece 2 to be downloaded', () => torrent.peers[0]?.piece, { is: 2 })

  asked.pop()
  while (!torrent.done) {
    for (const { piece, offset } of asked.splice(0)) {
      peer.wire.piece(piece, offset, peer.block(piece, offset, 16384))
    }
    await turn()
  }
  assert.equal(torrent.peers[0]?.piece, undefined)
})
