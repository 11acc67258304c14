import assert from 'node:assert/strict'
import { test } from 'node:test'
import { blockLength, Layout } from '../../lib/metainfo/layout.ts'
import { Picker } from '../../lib/picker/picker.ts'
import { hasBit } from '../../lib/util/bits.ts'

function pickerOf(pieceCount: number, random: () => number = () => 0.5): Picker {
  const length = pieceCount * blockLength
  const layout = new Layout(blockLength, [
    { path: ['a'], length, offset: 0, pad: false, attributes: '' } as never
  ])
  const sink = { request() {}, cancel() {}, interest() {}, reserve: () => true, abandon() {} }
  return new Picker(layout, sink, random)
}

function bitsBut(pieceCount: number, ...missing: number[]): Uint8Array {
  const bits = new Uint8Array(pieceCount / 8).fill(0xff)
  for (const piece of missing) bits[piece >> 3] = (bits[piece >> 3] ?? 0) & ~(0x80 >> (piece & 7))
  return bits
}

const manyPieces = 1 << 20
const messages = 2000
type Step = (picker: Picker, n: number) => void

/** What a peer may repeat, and how many of all pieces one message may look at. */
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
  test(`a peer that repeats itself costs no count of all pieces: ${what}`, () => {
    const picker = pickerOf(manyPieces)
    picker.select(
      Array.from({ length: manyPieces }, (_, piece) => piece),
      4,
      0
    )
    picker.addPeer(1, 10)
    setup(picker, 0)
    step(picker, 0)
    step(picker, 1)
    const before = picker.steps
    for (let n = 0; n < messages; n++) step(picker, n)
    const looks = (picker.steps - before) / messages
    assert.ok(looks <= part * manyPieces + 64, `${looks} looks for each message`)
  })
}

test('what peers have is counted right whatever they say, in whatever order', () => {
  let seed = 7
  const random = (): number => (seed = (seed * 48271) % 0x7fffffff) / 0x7fffffff
  const count = 200
  const upTo = (end: number): number => Math.floor(random() * end)
  for (let round = 0; round < 20; round++) {
    const picker = pickerOf(count, random)
    const wanted = new Set(Array.from({ length: count }, (_, piece) => piece))
    picker.select(wanted, 4, 0)
    const truth = new Map<number, Set<number>>()
    const all = (): Set<number> => new Set(Array.from({ length: count }, (_, piece) => piece))
    for (let n = 0; n < 400; n++) {
      const id = 1 + upTo(6)
      let has = truth.get(id)
      if (has === undefined) {
        truth.set(id, (has = new Set()))
        picker.addPeer(id, 10)
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
          picker.select([piece], priority, 0)
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
