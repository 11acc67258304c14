import assert from 'node:assert/strict'
import test from 'node:test'
import { Windows } from '../../lib/picker/windows.ts'
import { fc } from '../support/fast-check.ts'

const window = (start: number, end: number, bytesPerMs = 100) => ({
  pieces: { start, end },
  bytesPerMs,
  waiting: true
})

test('pieces of all windows are in the order in which they are needed', () => {
  const windows = new Windows(100_000)
  windows.set(1, window(0, 4), 0)
  windows.set(2, window(2, 5, 1000), 500)
  assert.deepEqual(
    windows.urgent(() => true, 500).map(({ piece, deadline }) => [piece, deadline]),
    [
      [0, 0],
      [2, 500],
      [3, 600],
      [4, 700],
      [1, 1000]
    ]
  )
  assert.equal(windows.size, 2)
  windows.set(2, undefined, 600)
  assert.equal(windows.has(4), false)
  assert.equal(windows.has(2), true)
})

test('a piece is in the windows as long as one has it, and a move looks only at the difference', () => {
  const range = fc.tuple(fc.nat(30), fc.nat(12)).map(([start, length]) => ({ start, end: start + length }))
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(3), fc.option(range)), { maxLength: 60 }), (changes) => {
      const windows = new Windows(100)
      const model = new Map<number, { start: number; end: number }>()
      const members = (): number[] =>
        Array.from({ length: 45 }, (_, piece) => piece).filter((piece) =>
          [...model.values()].some(({ start, end }) => start <= piece && piece < end)
        )
      for (const [id, pieces] of changes) {
        const next = pieces === null ? undefined : window(pieces.start, pieces.end)
        const inside = (piece: number): boolean => {
          const { start, end } = model.get(id) ?? { start: 0, end: 0 }
          return start <= piece && piece < end
        }
        const before = Array.from({ length: 45 }, (_, piece) => inside(piece))
        const moved = windows.changesOf(id, next)
        windows.set(id, next, 0)
        if (pieces === null) model.delete(id)
        else model.set(id, pieces)
        assert.deepEqual(
          moved.toSorted((a, b) => a - b),
          before.flatMap((was, piece) => (was === inside(piece) ? [] : [piece]))
        )
        const all = Array.from({ length: 45 }, (_, piece) => piece)
        assert.deepEqual(
          all.filter((piece) => windows.has(piece)),
          members()
        )
      }
    })
  )
})

test('many long windows have only their first pieces sorted', () => {
  const windows = new Windows(100)
  windows.set(0, window(0, 3000), 0)
  assert.equal(windows.urgent(() => true, 0).length, 3000)
  for (let id = 1; id < 128; id++) windows.set(id, window(id * 10_000, id * 10_000 + 3000), 0)
  const urgent = windows.urgent((piece) => piece % 10_000 >= 100, 0)
  assert.equal(urgent.length, 4096)
  const firsts = urgent.filter(({ piece }) => piece % 10_000 === 100)
  assert.equal(firsts.length, 128, 'the first missing piece of each')
})

test('a verified piece leaves the windows', () => {
  const windows = new Windows(100)
  const there = new Set<number>()
  const list = (): number[] => windows.urgent((piece) => !there.has(piece), 0).map(({ piece }) => piece)
  windows.set(1, window(3, 6), 0)
  assert.deepEqual(list(), [3, 4, 5])
  there.add(4)
  windows.changed(9)
  assert.deepEqual(list(), [3, 4, 5])
  windows.changed(4)
  assert.deepEqual(list(), [3, 5])
})

test('deadlines are numbers at any pace', () => {
  const windows = new Windows(100)
  windows.set(1, window(0, 3, 0), 5)
  const deadlines = windows.urgent(() => true, 5).map(({ deadline }) => deadline)
  assert.equal(deadlines.length, 3)
  assert.ok(deadlines.every(Number.isFinite), String(deadlines))
})

test('a waiting reader comes before one that should have read on and has not', () => {
  const windows = new Windows(100_000)
  windows.set(1, { ...window(0, 3), waiting: false }, 0)
  const order = (now: number): number[] => windows.urgent(() => true, now).map(({ piece }) => piece)
  windows.set(2, window(10, 13), 900)
  assert.deepEqual(order(900), [0, 10, 1, 11, 2, 12], 'readers in good time are equally urgent')
  windows.set(2, window(10, 13), 60_000)
  assert.deepEqual(order(60_000), [10, 11, 12, 0, 1, 2])
  // And ever later, without any other change.
  const [later] = windows.urgent((piece) => piece === 0, 60_000)
  windows.changed(0)
  const [muchLater] = windows.urgent((piece) => piece === 0, 90_000)
  assert.ok((muchLater?.deadline ?? 0) - 90_000 > (later?.deadline ?? 0) - 60_000)
})

test('a window behind another follows it', () => {
  const windows = new Windows(100_000)
  const tail = { pieces: { start: 90, end: 91 }, bytesPerMs: 1000, waiting: false, behind: 1, delayMs: 1500 }
  const order = (now: number): number[] => windows.urgent(() => true, now).map(({ piece }) => piece)
  windows.set(1, window(0, 4), 0)
  windows.set(2, tail, 0)
  assert.deepEqual(order(0), [0, 1, 90, 2, 3])
  windows.set(1, window(4, 8), 300_000)
  assert.deepEqual(order(300_000), [4, 5, 90, 6, 7])
  windows.set(1, undefined, 301_000)
  assert.deepEqual(order(301_000), [90])
})
