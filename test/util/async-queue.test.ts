import assert from 'node:assert/strict'
import test from 'node:test'
import { AsyncQueue } from '../../lib/util/async-queue.ts'

test('values come in order, both queued and awaited', async () => {
  const queue = new AsyncQueue<number>(10)
  queue.push(1)
  queue.push(2)
  assert.equal(queue.size, 2)
  const seen: number[] = []
  for await (const value of queue) {
    seen.push(value)
    if (value === 2) setImmediate(() => queue.push(3))
    if (value === 3) queue.end()
  }
  assert.deepEqual(seen, [1, 2, 3])
})

test('a full queue drops the oldest', async () => {
  const queue = new AsyncQueue<number>(2)
  for (const value of [1, 2, 3, 4]) queue.push(value)
  queue.end()
  queue.push(5)
  const seen: number[] = []
  for await (const value of queue) seen.push(value)
  assert.deepEqual(seen, [3, 4])
})

test('several readers wait in turn and all end', async () => {
  const queue = new AsyncQueue<number>(2)
  const reads = [queue.next(), queue.next(), queue.next()]
  queue.push(1)
  queue.end()
  queue.end(new Error('too late'))
  assert.deepEqual(await Promise.all(reads), [
    { value: 1, done: false },
    { value: undefined, done: true },
    { value: undefined, done: true }
  ])
  assert.deepEqual(await queue.next(), { value: undefined, done: true })
})

test('an error comes once, after the values', async () => {
  const reason = new Error('broken')
  const queue = new AsyncQueue<number>(2)
  queue.push(1)
  queue.end(reason)
  assert.deepEqual(await queue.next(), { value: 1, done: false })
  await assert.rejects(queue.next(), reason)
  assert.deepEqual(await queue.next(), { value: undefined, done: true })
  const waiting = new AsyncQueue<number>(2)
  const reads = [waiting.next(), waiting.next()]
  waiting.end(reason)
  await assert.rejects(reads[0] ?? Promise.resolve(), reason)
  assert.deepEqual(await reads[1], { value: undefined, done: true })
})

test('leaving the loop notifies the owner once and drops the rest', async () => {
  let returned = 0
  const queue = new AsyncQueue<number>(5, { close: () => returned++ })
  queue.push(1)
  queue.push(2)
  for await (const _ of queue) break
  await queue.return()
  assert.equal(returned, 1)
  assert.equal(queue.size, 0)
  queue.push(3)
  assert.deepEqual(await queue.next(), { value: undefined, done: true })
})

test('an end by the owner is no leaving, and a reader that left gets no error', async () => {
  let returned = 0
  const queue = new AsyncQueue<number>(5, { close: () => returned++ })
  queue.end(new Error('unheard'))
  await queue.return()
  assert.equal(returned, 0)
  assert.deepEqual(await queue.next(), { value: undefined, done: true })
})

test('a callback reader gets queued values, later ones, and the end', () => {
  const seen: unknown[] = []
  const reader = { value: (value: number) => seen.push(value), end: (error: unknown) => seen.push(error) }
  const queue = new AsyncQueue<number>(5)
  queue.push(1)
  queue.readBy(reader)
  queue.push(2)
  queue.end()
  queue.push(3)
  assert.deepEqual(seen.splice(0), [1, 2, undefined])
  const failed = new AsyncQueue<number>(5)
  failed.push(4)
  failed.end('why')
  failed.readBy(reader)
  assert.deepEqual(seen.splice(0), [4, 'why'])
  const left = new AsyncQueue<number>(5)
  left.readBy(reader)
  void left.return()
  assert.deepEqual(seen, [])
})

test('a callback reader that ends, leaves or feeds the queue gets the values in order and one end', () => {
  const seen: unknown[] = []
  const readBy = (onTwo: (queue: AsyncQueue<number>) => void): unknown[] => {
    const queue = new AsyncQueue<number>(5)
    for (const value of [1, 2, 3]) queue.push(value)
    queue.readBy({
      value: (value) => {
        seen.push(value)
        if (value === 2) onTwo(queue)
      },
      end: (error) => seen.push(error)
    })
    queue.push(5)
    queue.end('late')
    return seen.splice(0)
  }
  assert.deepEqual(
    readBy((queue) => queue.end('why')),
    [1, 2, 3, 'why']
  )
  assert.deepEqual(
    readBy((queue) => void queue.return()),
    [1, 2]
  )
  assert.deepEqual(
    readBy((queue) => queue.push(4)),
    [1, 2, 3, 4, 5, 'late']
  )
})
