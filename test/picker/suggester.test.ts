import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Suggester } from '../../lib/picker/suggester.ts'
import { seededRandom } from '../sim/event-loop.ts'

test('each piece that no peer has is suggested once, to one peer', () => {
  const suggester = new Suggester({
    pieceCount: 8,
    has: (id, piece) => id === 2 && piece === 7,
    random: seededRandom(1)
  })
  suggester.haves(2, [7])
  const told = new Map<number, number[]>()
  const tell = (id: number, piece: number): void => {
    if (piece >= 0) told.set(id, [...(told.get(id) ?? []), piece])
  }
  for (const id of [1, 2, 3]) for (let n = 0; n < 4; n++) tell(id, suggester.unchoked(id))
  assert.deepEqual(
    [1, 2, 3].map((id) => told.get(id)?.length),
    [2, 2, 2],
    'no peer is told of more than it can begin'
  )
  const all = [...told.values()].flat()
  assert.equal(new Set(all).size, 6)
  assert.ok(!all.includes(7))
  // A piece that a peer begins makes room for the next, until none is left.
  const [first = -1] = told.get(1) ?? []
  const last = suggester.requested(1, first)
  assert.ok(last >= 0 && !all.includes(last) && last !== 7)
  assert.equal(suggester.requested(2, told.get(2)?.[0] ?? -1), -1)
  // Suggestions of a peer that leaves go to another.
  suggester.removePeer(3)
  suggester.removePeer(3)
  assert.ok(told.get(3)?.includes(suggester.unchoked(2)))
})

test('a piece on its way to a peer that left is suggested again, unless another peer has it', () => {
  const suggester = new Suggester({ pieceCount: 4, has: () => false, random: seededRandom(1) })
  const first = [suggester.unchoked(1)]
  for (const piece of first) if (piece >= 0 && first.length < 4) first.push(suggester.requested(1, piece))
  assert.equal(new Set(first).size, 4)
  for (const piece of first) suggester.requested(1, piece)
  const [had = -1, passedOn = -1, ...lost] = first
  suggester.haves(1, [had])
  suggester.haves(2, [passedOn])
  // A piece that another peer fetches a second time counts as on its way to the first.
  assert.equal(suggester.requested(3, lost[0] ?? -1), -1)
  suggester.removePeer(3)
  assert.equal(suggester.unchoked(2), -1)
  suggester.removePeer(1)
  const again = [suggester.unchoked(2), suggester.unchoked(2)]
  assert.deepEqual(again.sort(), lost.sort())
  assert.equal(suggester.unchoked(4), -1)
})
