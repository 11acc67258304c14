import assert from 'node:assert/strict'
import test from 'node:test'
import { BlockWriters } from '../../lib/storage/block-writers.ts'
import { sourceOf } from '../picker/picker-parts.ts'

test('a writer whose piece or block is needed elsewhere is detached once, and its claim ends', () => {
  const unclaimed: string[] = []
  const detached: number[] = []
  const writers = new BlockWriters((piece, block) => unclaimed.push(`${piece}:${block}`))
  const [one, two, three] = [1, 2, 3].map((id) =>
    writers.open({ ...sourceOf(id), detach: () => detached.push(id) })
  )
  assert.ok(one !== undefined && two !== undefined && three !== undefined)
  Object.assign(one, { piece: 4, block: 0 })
  Object.assign(two, { piece: 4, block: 1 })
  Object.assign(three, { piece: 5, block: 1 })
  writers.detach(4, 1)
  writers.detach(4, 1)
  assert.deepEqual([detached, unclaimed], [[2], ['4:1']])
  writers.close(three)
  writers.detach(5)
  writers.detach(4)
  assert.deepEqual(
    [detached, unclaimed],
    [
      [2, 1],
      ['4:1', '5:1', '4:0']
    ]
  )
})
