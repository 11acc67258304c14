import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SuperSeeder } from '../../lib/picker/super-seeder.ts'
import { seededRandom } from '../sim/event-loop.ts'

interface Seed {
  readonly seeder: SuperSeeder
  /** Pieces offered to each peer, in order. */
  readonly offered: Map<number, number[]>
  of(id: number): number[]
}

function seed(pieceCount: number): Seed {
  const offered = new Map<number, number[]>()
  const of = (id: number): number[] => offered.get(id) ?? []
  const seeder = new SuperSeeder({
    pieceCount,
    offer: (id, piece) => {
      assert.ok(!of(id).includes(piece), 'a piece is offered once')
      offered.set(id, [...of(id), piece])
    },
    random: seededRandom(1)
  })
  return { seeder, offered, of }
}

const nothing = new Uint8Array(16)

test('each peer is offered other pieces, and more as it passes them on', () => {
  const { seeder, of } = seed(100)
  for (const id of [1, 2, 3]) seeder.addPeer(id, nothing, 0)
  assert.equal(new Set([...of(1), ...of(2), ...of(3)]).size, 6)
  assert.ok(seeder.includes(1) && !seeder.includes(4))
  const [first = -1, second = -1] = of(1)
  seeder.have(1, first, 100)
  seeder.have(1, second, 150)
  assert.equal(of(1).length, 3, 'no other peer has them yet')
  seeder.have(2, first, 200)
  assert.equal(of(1).length, 4, 'another has one by now')
  assert.equal(of(2).length, 2, 'a peer that only downloads gets no more for that')
  seeder.have(99, 1, 300)
  assert.equal(of(99).length, 0)
})

test('a peer that passes nothing on is offered no more for a while, and then little', () => {
  const { seeder, of } = seed(100)
  seeder.addPeer(1, nothing, 0)
  seeder.addPeer(2, nothing, 0)
  for (let n = 0; n < of(1).length; n++) seeder.have(1, of(1)[n] ?? 0, n)
  const kept = of(1).length
  assert.equal(kept, 3)
  seeder.tick(5000)
  assert.equal(of(1).length, kept)
  seeder.tick(30_000)
  assert.ok(of(1).length <= kept + 2 && of(1).length > kept)
})

test('a peer that is alone gets everything', () => {
  const { seeder, of } = seed(20)
  seeder.addPeer(1, nothing, 0)
  for (let n = 0; n < 20; n++) seeder.have(1, of(1)[n] ?? -1, n)
  assert.equal(new Set(of(1)).size, 20)
})

test("a peer's own pieces are not offered to it; pieces of a peer that leaves go to others", () => {
  const { seeder, of } = seed(4)
  const three = Uint8Array.of(0b1110_0000)
  seeder.addPeer(1, three, 0)
  assert.deepEqual(of(1), [3])
  seeder.addPeer(2, nothing, 0)
  seeder.bitfield(2, three, 1)
  seeder.removePeer(1, 2)
  seeder.removePeer(1, 2)
  assert.ok(of(2).includes(3))
})

test('in the end all are offered the rest', () => {
  const { seeder, of } = seed(10)
  seeder.addPeer(1, Uint8Array.of(0x80, 0), 0)
  const rest = seeder.end().get(1) ?? []
  assert.deepEqual([...rest, ...of(1), 0].sort(), [...Array(10).keys()])
  assert.ok(!seeder.includes(1))
})

test('among peers that share, nearly every piece is sent by the seed once', () => {
  const pieceCount = 200
  const { seeder, offered } = seed(pieceCount)
  const random = seededRandom(2)
  const peers = Array.from({ length: 12 }, (_, n) => ({ id: n + 1, pieces: new Set<number>(), taken: 0 }))
  for (const { id } of peers) seeder.addPeer(id, new Uint8Array(25), 0)
  let now = 0
  let fromSeed = 0
  const out = new Set<number>()
  while (peers.some(({ pieces }) => pieces.size < pieceCount)) {
    now += 100
    assert.ok(now < 1_000_000, 'the swarm stands still')
    seeder.tick(now)
    for (const peer of peers) {
      // One time unit: a piece comes from the seed or from another peer.
      const offer = (offered.get(peer.id) ?? []).find((piece) => !peer.pieces.has(piece))
      const other = peers[Math.floor(random() * peers.length)] ?? peer
      const shared = [...other.pieces].find((piece) => !peer.pieces.has(piece))
      if (offer !== undefined && out.size < pieceCount) {
        fromSeed++
        out.add(offer)
      }
      for (const piece of [offer, shared]) {
        if (piece === undefined || peer.pieces.has(piece)) continue
        peer.pieces.add(piece)
        seeder.have(peer.id, piece, now)
      }
    }
  }
  assert.ok(fromSeed < 1.25 * pieceCount, `${fromSeed} pieces left the seed`)
})
