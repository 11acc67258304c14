import assert from 'node:assert/strict'
import test from 'node:test'
import { blockLength, Layout } from '../../lib/metainfo/layout.ts'
import { blockState } from '../../lib/pieces/partial-piece.ts'
import { PieceTable } from '../../lib/pieces/piece-table.ts'

function tableOf(): PieceTable {
  const length = 4 * 3 * blockLength
  return new PieceTable(
    new Layout(3 * blockLength, [{ path: ['a'], length, offset: 0, pad: false } as never])
  )
}

test('kept blocks count as received once the piece is begun, and are taken once', () => {
  const { blocks } = tableOf()
  blocks.setKept(1, [0, 2])
  assert.deepEqual([...blocks.allKept()], [[1, [0, 2]]])
  const partial = blocks.begin(1)
  assert.deepEqual(partial.receivedBlocks(), [0, 2])
  assert.equal(partial.nextFree(), 1)
  assert.deepEqual(blocks.kept(1), [])
  assert.equal(blocks.begin(1), partial, 'it is begun once')
  blocks.setKept(1, [1])
  assert.deepEqual(blocks.kept(1), [], 'a partial piece has no kept blocks')
  blocks.end(1)
  assert.equal(blocks.has(1), false)
  assert.deepEqual(blocks.begin(1).receivedBlocks(), [], 'received blocks are forgotten with its end')
})

test('an object reused for another piece begins anew', () => {
  const { blocks } = tableOf()
  blocks.begin(0)
  const before = blocks.begin(1)
  before.request(0, 7)
  before.receive(1, 7)
  blocks.end(1)
  const after = blocks.begin(2)
  assert.deepEqual([after.piece, after.free, after.received], [2, 3, 0])
  assert.ok(after.states.every((state) => state === blockState.free))
  assert.deepEqual(
    [...blocks.values()].map(({ piece }) => piece),
    [0, 2]
  )
})

test('a verified, found or missing piece has no kept blocks; an unchecked one keeps them', () => {
  const table = tableOf()
  for (const piece of [0, 1, 2, 3]) table.blocks.setKept(piece, [0])
  table.setVerified({ start: 0, end: 1 })
  table.setFound({ start: 1, end: 2 })
  table.setMissing(2)
  table.setUnchecked(3)
  assert.deepEqual([...table.blocks.allKept()], [[3, [0]]])
  table.setMissing(3)
  assert.equal(table.blocks.allKept().size, 0)
})
