import assert from 'node:assert/strict'
import test from 'node:test'
import { CellCounts, cellCount, cellOf, cellPieces } from '../../lib/metainfo/piece-cells.ts'
import { fc } from '../support/fast-check.ts'

test('cells cover all pieces once, and each piece knows its cell', () => {
  for (const pieceCount of [0, 1, 2, 1023, 1024, 1025, 2047, 2048, 5000, 1_000_003, 2_097_152]) {
    const count = cellCount(pieceCount)
    assert.equal(count, Math.min(1024, pieceCount))
    let next = 0
    for (let cell = 0; cell < count; cell++) {
      const { start, end } = cellPieces(cell, pieceCount)
      assert.equal(start, next)
      assert.ok(end - start >= Math.floor(pieceCount / count) && end - start <= Math.ceil(pieceCount / count))
      assert.equal(cellOf(start, pieceCount), cell)
      assert.equal(cellOf(end - 1, pieceCount), cell)
      next = end
    }
    assert.equal(next, pieceCount)
  }
})

test('counts updated by changes equal a new count', () => {
  const pieceCount = 3000
  const piece = fc.nat(pieceCount - 1)
  fc.assert(
    fc.property(fc.array(piece), fc.array(fc.tuple(piece, piece)), (single, ranges) => {
      const states = new Uint8Array(pieceCount)
      const fed = new CellCounts(states, 1)
      const set = (at: number, state: 0 | 1): void => {
        if (states[at] === state) return
        states[at] = state
        fed.add(at, state === 1 ? 1 : -1)
      }
      for (const at of single) set(at, 1)
      for (const [one, other] of ranges) {
        const range = { start: Math.min(one, other), end: Math.max(one, other) }
        for (let at = range.start; at < range.end; at++) set(at, 0)
        states.fill(1, range.start, range.end)
        fed.addRange(range, 1)
      }
      const counted = new CellCounts(states, 1)
      const rest = new CellCounts(states, 1, true)
      for (let cell = 0; cell < cellCount(pieceCount); cell++) {
        const { start, end } = cellPieces(cell, pieceCount)
        assert.equal(fed.at(cell), counted.at(cell))
        assert.equal(rest.at(cell), end - start - fed.at(cell))
      }
    })
  )
})
