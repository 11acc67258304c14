import assert from 'node:assert/strict'
import { test } from 'node:test'
import { blockLength, Layout } from '../../lib/metainfo/layout.ts'
import { Picker } from '../../lib/picker/picker.ts'
import { PieceTable } from '../../lib/pieces/piece-table.ts'
import { sinkOf, sourceOf } from './picker-parts.ts'
import { selectPieces } from './select-pieces.ts'

interface Bench {
  readonly picker: Picker
  /** Adds a peer. */
  join(id: number): void
  readonly requests: [peer: number, piece: number][]
  readonly cancels: [peer: number, piece: number][]
  readonly interests: [peer: number, interested: boolean][]
}

function bench(pieceCount: number): Bench {
  const length = pieceCount * 4 * blockLength
  const layout = new Layout(4 * blockLength, [
    { path: ['a'], length, offset: 0, pad: false, attributes: '' } as never
  ])
  const requests: [number, number][] = []
  const cancels: [number, number][] = []
  const interests: [number, boolean][] = []
  const picker = new Picker(new PieceTable(layout), sinkOf(), () => 0.5)
  const decisions = {
    request: (peer: number, piece: number) => requests.push([peer, piece]),
    cancel: (peer: number, piece: number) => cancels.push([peer, piece]),
    interest: (peer: number, interested: boolean) => interests.push([peer, interested])
  }
  const join = (id: number): void => picker.addPeer(sourceOf(id, decisions), 10)
  return { picker, join, requests, cancels, interests }
}

test('requests for a piece that a peer has lost go to others', () => {
  const { picker, join, requests, cancels, interests } = bench(2)
  selectPieces(picker, [0], 4, 0)
  for (const id of [1, 2]) {
    join(id)
    picker.bitfield(id, 'all', 0)
  }
  picker.unchoked(1, 0)
  assert.ok(requests.length > 0 && requests.every(([peer, piece]) => peer === 1 && piece === 0))
  assert.equal(picker.availability(0), 2)
  picker.dontHave(1, 0, 10)
  picker.dontHave(1, 0, 10)
  picker.dontHave(9, 0, 10)
  assert.equal(cancels.length, requests.length)
  assert.equal(picker.availability(0), 1)
  assert.equal(picker.availability(1), 2)
  assert.deepEqual(interests.at(-1), [1, false])
  const before = requests.length
  picker.unchoked(2, 20)
  assert.ok(requests.slice(before).every(([peer]) => peer === 2))
  assert.ok(requests.length > before)
  picker.have(1, 0, 30)
  assert.deepEqual(interests.at(-1), [1, true])
  picker.dontHave(1, 0, 40)
  assert.deepEqual(interests.at(-1), [1, false])
})

test('the most needed allowed-fast pieces come first; suggestions yield to priorities', () => {
  const { picker, join, requests } = bench(8)
  selectPieces(picker, [0, 1, 2, 3, 4], 2, 0)
  selectPieces(picker, [5, 6], 6, 0)
  join(1)
  join(2)
  picker.bitfield(2, Uint8Array.of(0b0000_0100), 0)
  picker.bitfield(1, Uint8Array.of(0xff), 0)
  const first = (): number | undefined => requests[0]?.[1]
  picker.setActive(false, 0)
  for (const piece of [0, 5, 1, 6]) picker.allowedFast(1, piece, 0)
  picker.setActive(true, 0)
  assert.equal(first(), 6, 'the rarer of the two most wanted')

  const other = bench(8)
  selectPieces(other.picker, [0, 1, 2], 2, 0)
  selectPieces(other.picker, [5], 6, 0)
  other.join(1)
  other.picker.bitfield(1, 'all', 0)
  other.picker.suggested(1, 1)
  other.picker.unchoked(1, 0)
  assert.equal(other.requests[0]?.[1], 5)
})

test('seeds get requests for pieces of seeds alone before partial pieces that others have too', () => {
  const { picker, join, requests } = bench(4)
  selectPieces(picker, [0, 1, 2, 3], 4, 0)
  join(1)
  picker.bitfield(1, Uint8Array.of(0b1000_0000), 0)
  picker.unchoked(1, 0)
  // The peer has begun the piece, and leaves it to others.
  picker.choked(1, true, 10)
  join(2)
  picker.bitfield(2, 'all', 20)
  const before = requests.length
  picker.unchoked(2, 20)
  assert.notEqual(requests[before]?.[1], 0)
})
