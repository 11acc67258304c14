import assert from 'node:assert/strict'
import { test } from 'node:test'
import { blockLength, Layout } from '../../lib/metainfo/layout.ts'
import { Picker } from '../../lib/picker/picker.ts'
import { PieceTable } from '../../lib/pieces/piece-table.ts'
import { hasBit } from '../../lib/util/bits.ts'
import { sinkOf, sourceOf } from './picker-parts.ts'
import { selectPieces } from './select-pieces.ts'

function pickerOf(pieceCount: number, random: () => number = () => 0.5): Picker {
  const length = pieceCount * blockLength
  const layout = new Layout(blockLength, [
    { path: ['a'], length, offset: 0, pad: false, attributes: '' } as never
  ])
  return new Picker(new PieceTable(layout), sinkOf(), random)
}

function bitsBut(pieceCount: number, ...missing: number[]): Uint8Array {
  const bits = new Uint8Array(pieceCount / 8).fill(0xff)
  for (const piece of missing) bits[piece >> 3] = (bits[piece >> 3] ?? 0) & ~(0x80 >> (piece & 7))
  return bits
}

const manyPieces = 1 << 20
const messages = 2000
type Step = (picker: Picker, n: number) => void

/** Messages that a peer may repeat, and how many of all pieces each may look at. */
const repeated: [what: string, setup: Step, step: Step, part: number][] = [
  [
    'bitfields that say the same',
    (picker) => picker.bitfield(1, bitsBut(manyPieces, 3), 0),
    (picker) => picker.bitfield(1, bitsBut(manyPieces, 3), 0),
    1 / 64
  ],
  [
    'bitfields that differ in one piece',
    (picker) => picker.bitfield(1, bitsBut(manyPieces, 3), 0),
    (picker, n) => picker.bitfield(1, bitsBut(manyPieces, 3, 5 + (n & 1)), 0),
    1 / 63
  ],
  [
    'have-all of a seed',
    (picker) => picker.bitfield(1, 'all', 0),
    (picker) => picker.bitfield(1, 'all', 0),
    0
  ],
  [
    'have-all and the loss of a piece',
    (picker) => picker.bitfield(1, 'all', 0),
    (picker, n) => (n & 1 ? picker.bitfield(1, 'all', 0) : picker.dontHave(1, n, 0)),
    1 / 63
  ],
  [
    'the loss and gain of a piece that a seed has',
    (picker) => picker.bitfield(1, 'all', 0),
    (picker, n) => (n & 1 ? picker.have(1, 5, 0) : picker.dontHave(1, 5, 0)),
    1 / 1000
  ],
  [
    'the loss and gain of the only piece',
    (picker) => picker.have(1, 100, 0),
    (picker, n) => (n & 1 ? picker.have(1, 100, 0) : picker.dontHave(1, 100, 0)),
    1 / 500
  ],
  [
    'the loss and gain of two pieces that lie apart',
    (picker) => [100, 600_000].forEach((piece) => void picker.have(1, piece, 0)),
    (picker, n) => {
      const piece = n & 2 ? 100 : 600_000
      if (n & 1) picker.have(1, piece, 0)
      else picker.dontHave(1, piece, 0)
    },
    1 / 500
  ]
]

for (const [what, setup, step, part] of repeated) {
  test(`a peer that repeats itself causes no count of all pieces: ${what}`, () => {
    const picker = pickerOf(manyPieces)
    selectPieces(
      picker,
      Array.from({ length: manyPieces }, (_, piece) => piece),
      4,
      0
    )
    picker.addPeer(sourceOf(1), 10)
    setup(picker, 0)
    step(picker, 0)
    step(picker, 1)
    const before = picker.steps
    for (let n = 0; n < messages; n++) step(picker, n)
    const looks = (picker.steps - before) / messages
    assert.ok(looks <= part * manyPieces + 64, `${looks} looks for each message`)
  })
}

for (const [what, pieces] of [
  ['its only piece', [100]],
  ['one of a few', [100, 600_000, 900_000]],
  ['one of nearly all', undefined]
] as const) {
  for (const choked of [true, false]) {
    test(`a ${choked ? 'choking' : 'serving'} peer that loses and gains ${what} costs a few looks beside others`, () => {
      const picker = pickerOf(manyPieces)
      selectPieces(
        picker,
        Array.from({ length: manyPieces }, (_, piece) => piece),
        4,
        0
      )
      for (const id of [2, 1]) picker.addPeer(sourceOf(id), 10)
      picker.bitfield(2, bitsBut(manyPieces, 7), 0)
      if (pieces === undefined) picker.bitfield(1, bitsBut(manyPieces, 3), 0)
      else for (const piece of pieces) picker.have(1, piece, 0)
      if (!choked) picker.unchoked(1, 0)
      const flap = (): void => {
        picker.dontHave(1, 100, 0)
        picker.have(1, 100, 0)
      }
      for (let n = 0; n < 100; n++) flap()
      const before = picker.steps
      for (let n = 0; n < messages; n++) flap()
      const looks = (picker.steps - before) / messages
      assert.ok(looks <= 32, `${looks} looks for each pair`)
    })
  }
}

test('a search for a peer that had no piece finds its new ones and those that others released', () => {
  const requests: [peer: number, piece: number][] = []
  const layout = new Layout(blockLength, [
    { path: ['a'], length: 4096 * blockLength, offset: 0, pad: false, attributes: '' } as never
  ])
  const request = (peer: number, piece: number): unknown => requests.push([peer, piece])
  const picker = new Picker(new PieceTable(layout), sinkOf(), () => 0.5)
  selectPieces(
    picker,
    Array.from({ length: 4096 }, (_, piece) => piece),
    4,
    0
  )
  for (const id of [1, 2, 3]) {
    picker.addPeer(sourceOf(id, { request }), 10)
    picker.unchoked(id, 0)
  }
  picker.bitfield(3, bitsBut(4096, 7), 0)
  const askedOf = (peer: number): number[] => requests.flatMap(([of, piece]) => (of === peer ? [piece] : []))
  picker.have(1, 5, 0)
  // More than are checked one by one, in one call each.
  for (let piece = 1000; piece < 1200; piece++) picker.have(2, piece, 0)
  assert.ok(askedOf(1).includes(5) && askedOf(2).length > 0)
  const of = askedOf(2)[0] ?? -1
  picker.removePeer(2, 0)
  picker.have(1, of, 0)
  assert.ok(askedOf(1).includes(of))
})

test("peers' pieces are counted correctly after any messages in any order", () => {
  let seed = 7
  const random = (): number => (seed = (seed * 48271) % 0x7fffffff) / 0x7fffffff
  const count = 200
  const upTo = (end: number): number => Math.floor(random() * end)
  for (let round = 0; round < 20; round++) {
    const picker = pickerOf(count, random)
    const wanted = new Set(Array.from({ length: count }, (_, piece) => piece))
    selectPieces(picker, wanted, 4, 0)
    const truth = new Map<number, Set<number>>()
    const all = (): Set<number> => new Set(Array.from({ length: count }, (_, piece) => piece))
    for (let n = 0; n < 400; n++) {
      const id = 1 + upTo(6)
      let has = truth.get(id)
      if (has === undefined) {
        truth.set(id, (has = new Set()))
        picker.addPeer(sourceOf(id), 10)
      }
      const piece = upTo(count)
      switch (upTo(9)) {
        case 0:
          truth.set(id, all())
          picker.bitfield(id, 'all', 0)
          break
        case 1: {
          const bits = new Uint8Array(count / 8).map(() => upTo(256))
          truth.set(id, new Set([...all()].filter((index) => hasBit(bits, index))))
          picker.bitfield(id, bits, 0)
          break
        }
        case 2:
          truth.set(id, new Set())
          picker.bitfield(id, 'none', 0)
          break
        case 3: {
          if (upTo(4) > 0) break
          truth.delete(id)
          picker.removePeer(id, 0)
          break
        }
        case 4: {
          const priority = upTo(2) * 4
          if (priority > 0) wanted.add(piece)
          else wanted.delete(piece)
          selectPieces(picker, [piece], priority, 0)
          break
        }
        case 5:
        case 6:
          has.add(piece)
          picker.have(id, piece, 0)
          break
        default:
          has.delete(piece)
          picker.dontHave(id, piece, 0)
      }
      const peers = [...truth.entries()]
      for (const [other, pieces] of peers)
        assert.equal(
          picker.peer(other)?.interested,
          [...pieces].some((index) => wanted.has(index))
        )
      for (const index of all())
        assert.equal(picker.availability(index), peers.filter(([, pieces]) => pieces.has(index)).length)
    }
  }
})
