import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import test from 'node:test'
import { abortable, deferred } from '../../lib/util/concurrency.ts'

test('abortable settles as the promise does and leaves no listener', async () => {
  const { signal } = new AbortController()
  assert.equal(await abortable(Promise.resolve(1), signal), 1)
  assert.equal(await abortable(Promise.resolve(2), undefined), 2)
  const reason = new Error('mine')
  await assert.rejects(abortable(Promise.reject(reason), signal), reason)
  assert.equal(getEventListeners(signal, 'abort').length, 0)
})

test('abortable rejects with the reason of the signal', async () => {
  const abort = new AbortController()
  const reason = new Error('enough')
  const work = abortable(new Promise(() => {}), abort.signal)
  abort.abort(reason)
  await assert.rejects(work, reason)
  assert.equal(getEventListeners(abort.signal, 'abort').length, 0)
})

test('a promise that fails after the abort is no unhandled rejection', async () => {
  const unhandled: unknown[] = []
  const listener = (error: unknown): void => {
    unhandled.push(error)
  }
  process.on('unhandledRejection', listener)
  const before = new AbortController()
  const rejects: ((error: Error) => void)[] = []
  const failing = (): Promise<never> => new Promise((_, reject) => rejects.push(reject))
  const during = abortable(failing(), before.signal)
  before.abort(new Error('enough'))
  await assert.rejects(during, /enough/)
  await assert.rejects(abortable(failing(), before.signal), /enough/)
  for (const reject of rejects) reject(new Error('late'))
  await new Promise((resolve) => setImmediate(resolve))
  process.off('unhandledRejection', listener)
  assert.deepEqual(unhandled, [])
})

test('deferred exposes both ends, and its failure may stay unhandled', async () => {
  const good = deferred<number>()
  good.resolve(5)
  assert.equal(await good.promise, 5)
  const bad = deferred<number>()
  bad.reject(new Error('bad'))
  await new Promise((resolve) => setImmediate(resolve))
  await assert.rejects(bad.promise, /bad/)
})
