import assert from 'node:assert/strict'
import test from 'node:test'
import { type Outstanding, RequestQueue } from '../../lib/picker/request-queue.ts'
import { seededRandom } from '../sim/event-loop.ts'

test('any sequence of requests and answers leaves the same as a list', () => {
  const random = seededRandom(8)
  const queue = new RequestQueue()
  let model: Outstanding[] = []
  for (let step = 0; step < 4000; step++) {
    // Grows and shrinks alternately, far beyond the first ring.
    if (random() < (step % 800 < 400 ? 0.7 : 0.3)) {
      const request = {
        piece: Math.floor(random() * 2 ** 32),
        block: Math.floor(random() * 2 ** 20),
        bytes: 1 + Math.floor(random() * 16_384),
        sentAt: random() * 1e9
      }
      queue.push(request.piece, request.block, request.bytes, request.sentAt)
      model.push(request)
    } else {
      const index = random() < 0.7 ? 0 : Math.floor(random() * model.length)
      queue.remove(index)
      model = model.filter((_, at) => at !== index)
    }
    assert.deepEqual(queue.list(), model)
    assert.equal(queue.length, model.length)
    assert.equal(
      queue.bytes,
      model.reduce((sum, { bytes }) => sum + bytes, 0)
    )
    const index = Math.floor(random() * model.length)
    const some = model[index]
    if (some === undefined) continue
    assert.equal(queue.indexOf(some.piece, some.block), index)
    assert.deepEqual(
      [queue.pieceAt(index), queue.bytesAt(index), queue.sentAt(index)],
      [some.piece, some.bytes, some.sentAt]
    )
  }
})

test('reads beyond the ends return nothing', () => {
  const queue = new RequestQueue()
  queue.push(1, 2, 3, 4)
  queue.remove(-1)
  queue.remove(1)
  assert.equal(queue.at(-1), undefined)
  assert.equal(queue.at(1), undefined)
  assert.equal(queue.indexOf(1, 3), -1)
  assert.equal(queue.length, 1)
})
