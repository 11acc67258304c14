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
  assert.deepEqual([...windows.members].sort(), [0, 1, 2, 3, 4])
  windows.set(2, undefined, 600)
  assert.equal(windows.has(4), false)
})

test('a piece that is there goes when that is told', () => {
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

test('deadlines are numbers whatever the pace', () => {
  const windows = new Windows(100)
  windows.set(1, window(0, 3, 0), 5)
  assert.ok(windows.urgent(() => true, 5).every(({ deadline }) => Number.isFinite(deadline)))
})

test('who waits comes before who should have read on and has not', () => {
  const windows = new Windows(100_000)
  windows.set(1, { ...window(0, 3), waiting: false }, 0)
  const order = (now: number): number[] => windows.urgent(() => true, now).map(({ piece }) => piece)
  windows.set(2, window(10, 13), 900)
  assert.deepEqual(order(900), [0, 10, 1, 11, 2, 12], 'a reader in good time is as urgent as any')
  windows.set(2, window(10, 13), 60_000)
  assert.deepEqual(order(60_000), [10, 11, 12, 0, 1, 2])
  // And ever later, without anything having changed.
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
