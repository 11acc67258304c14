import assert from 'node:assert/strict'
import { once } from 'node:events'
import test from 'node:test'
import type { Torrent } from '../../lib/torrent/torrent.ts'
import { until } from '../support/until.ts'
import { addressOf, Bench } from '../torrent/bench.ts'

/** Returns the cells of a torrent, counted piece by piece. */
function cellsOf({ pieces, pieceCells }: Torrent): unknown {
  return pieceCells.map(({ start, end }) => {
    const of = pieces.slice(start, end)
    const count = (state: string): number => of.filter((piece) => piece.state === state).length
    return {
      start,
      end,
      verified: count('verified'),
      checking: count('checking'),
      partial: count('partial'),
      unavailable: of.filter(({ availability }) => availability === 0).length
    }
  })
}

test('the cells of the coarse map follow the pieces, from the metadata to the end', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 1100 * 16384 }, { pieceLength: 16384 })
  const { client: seed } = await bench.seeder(sample)
  const torrent = await bench.client().add(sample.bytes, { select: 'none' })
  assert.equal(torrent.pieceCells.length, 1024)
  assert.ok(torrent.pieceCells.every(({ unavailable, start, end }) => unavailable === end - start))
  let looks = 0
  torrent.on('verified', (piece) => {
    if (piece % 100 !== 0) return
    looks++
    assert.deepEqual(torrent.pieceCells, cellsOf(torrent))
  })
  torrent.addPeer(addressOf(seed))
  torrent.select(0)
  await torrent.whenDone()
  assert.equal(looks, 11)
  assert.ok(torrent.pieceCells.every(({ verified, start, end }) => verified === end - start))
  const checked = torrent.recheck()
  assert.deepEqual(torrent.pieceCells, cellsOf(torrent))
  await checked
  assert.deepEqual(torrent.pieceCells, cellsOf(torrent))
  await seed.close()
  await until('the seed to go', () => torrent.peers.length, { is: 0 })
  assert.deepEqual(torrent.pieceCells, cellsOf(torrent))
})

test('a torrent without metadata has no cells', async (t) => {
  const client = new Bench(t).client()
  client.add('c9e15763f722f23e98a29decdfae341b98d53056').catch(() => {})
  const [torrent] = await once(client, 'torrent')
  assert.deepEqual(torrent.pieceCells, [])
})
