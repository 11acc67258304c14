import assert from 'node:assert/strict'
import test from 'node:test'
import { Windows } from '../../lib/picker/windows.ts'

const window = (start: number, end: number, bytesPerMs = 100) => ({
  pieces: { start, end },
  bytesPerMs,
  waiting: true
})

test('pieces of all windows stand in the order in which they are needed', () => {
  const windows = new Windows(100_000)
  windows.set(1, window(0, 4), 0)
  windows.set(2, window(2, 5, 1000), 500)
  assert.deepEqual(
    windows.urgent(() => true).map(({ piece, deadline }) => [piece, deadline]),
    [
      [0, 0],
      [2, 500],
      [3, 600],
      [4, 700],
      [1, 1000]
    ]
  )
  assert.equal(windows.size, 2)
  assert.deepEqual([...windows.members].sort(), [0, 1, 2, 3, 4])
  windows.set(2, undefined, 600)
  assert.equal(windows.has(4), false)
})

test('a piece that is there goes when that is told', () => {
  const windows = new Windows(100)
  const there = new Set<number>()
  const list = (): number[] => windows.urgent((piece) => !there.has(piece)).map(({ piece }) => piece)
  windows.set(1, window(3, 6), 0)
  assert.deepEqual(list(), [3, 4, 5])
  there.add(4)
  windows.changed(9)
  assert.deepEqual(list(), [3, 4, 5])
  windows.changed(4)
  assert.deepEqual(list(), [3, 5])
})

test('deadlines are numbers whatever the pace', () => {
  const windows = new Windows(100)
  windows.set(1, window(0, 3, 0), 5)
  assert.ok(windows.urgent(() => true).every(({ deadline }) => Number.isFinite(deadline)))
})
