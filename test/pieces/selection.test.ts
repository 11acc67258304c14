import assert from 'node:assert/strict'
import test from 'node:test'
import { Layout } from '../../lib/metainfo/layout.ts'
import { Selection } from '../../lib/pieces/selection.ts'

const piece = 16_384
const files = [
  { path: ['a'], offset: 0, length: 2 * piece, pad: false },
  { path: ['pad'], offset: 2 * piece, length: piece, pad: true },
  { path: ['b'], offset: 3 * piece, length: piece + 5, pad: false },
  { path: ['c'], offset: 4 * piece + 5, length: piece, pad: false }
] as never[]
const layout = new Layout(piece, files)
const of = (selection: Selection): string => selection.pieces().join('')

test('pieces have the highest priority of their files; pad files do not count', () => {
  const selection = new Selection(layout, 4)
  assert.equal(of(selection), '440444')
  selection.setFile(2, 0)
  assert.equal(of(selection), '440044')
  selection.setFile(2, 7)
  selection.setFile(3, 1)
  selection.setFile(9, 3)
  assert.equal(of(selection), '440771')
  assert.deepEqual(selection.files, [4, 4, 7, 1])
  assert.equal(selection.file(2), 7)
  assert.equal(selection.file(9), 0)
})

test('ranges are wanted besides files, and may be clipped', () => {
  const selection = new Selection(layout, 0)
  selection.setRange({ start: 0, end: 4 * piece }, 3)
  assert.equal(of(selection), '333300')
  selection.setRange({ start: piece, end: 2 * piece }, 0)
  assert.equal(of(selection), '303300')
  assert.deepEqual(selection.ranges, [
    { start: 0, end: piece, priority: 3 },
    { start: 2 * piece, end: 4 * piece, priority: 3 }
  ])
  selection.setRange({ start: 3 * piece, end: 5 * piece }, 5)
  assert.equal(of(selection), '303550')
  selection.setRange({ start: 0, end: 5 * piece }, 0)
  assert.equal(of(selection), '000000')
  selection.setRange({ start: 5 * piece, end: 2 ** 50 }, 1)
  assert.equal(of(selection), '000001')
})
