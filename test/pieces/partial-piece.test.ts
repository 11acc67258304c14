import assert from 'node:assert/strict'
import test from 'node:test'
import { blockState, PartialPiece } from '../../lib/pieces/partial-piece.ts'
import { fc } from '../support/fast-check.ts'

test('counts follow the states of blocks in any sequence', () => {
  const step = fc.tuple(
    fc.constantFrom('request', 'release', 'receive', 'next'),
    fc.integer({ min: -1, max: 9 })
  )
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const partial = new PartialPiece()
      partial.begin(1, 8)
      for (const [what, block] of steps) {
        if (what === 'next') {
          const from = Math.max(0, block)
          const free = [...partial.states].findIndex((state, at) => at >= from && state === blockState.free)
          assert.equal(partial.nextFree(from), free)
        } else if (what === 'receive') partial.receive(block, 5)
        else if (block < 0 || block > 7) continue
        else if (what === 'release') partial.release(block)
        else if (partial.states[block] !== blockState.received) partial.request(block, 5)
        const count = (wanted: number): number => partial.states.filter((state) => state === wanted).length
        assert.equal(partial.free, count(blockState.free))
        assert.equal(partial.received, count(blockState.received))
        assert.equal(partial.complete, partial.received === 8)
        assert.equal(partial.idle, partial.free > 0 && count(blockState.requested) === 0)
        assert.equal(partial.receivedBlocks().length, partial.received)
      }
      // Nothing of the previous piece is left, whether the next has as many blocks or fewer.
      for (const blockCount of [8, 5]) {
        partial.request(0, 5)
        partial.begin(2, blockCount)
        assert.deepEqual([partial.piece, partial.blockCount, partial.free], [2, blockCount, blockCount])
        assert.deepEqual([partial.received, partial.soleOwner, partial.nextFree()], [0, -1, 0])
        assert.ok(partial.by.every((peer) => peer === -1))
      }
    })
  )
})
