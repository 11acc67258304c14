import assert from 'node:assert/strict'
import { EventEmitter, errorMonitor, on, once } from 'node:events'
import test, { type TestContext } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { ask, emitSafely, notify } from '../../lib/util/user-code.ts'
import { collectUncaught } from '../support/uncaught.ts'

function throwing(what: unknown): () => never {
  return () => {
    throw what
  }
}

test('each listener gets an event, and an exception of one is uncaught with its own value', async (t: TestContext) => {
  const uncaught = collectUncaught(t)
  const emitter = new EventEmitter()
  const heard: unknown[] = []
  const fault = new Error('mine')
  emitter.on('event', (...args) => heard.push(args))
  emitter.on('event', throwing(fault))
  emitter.once('event', throwing('no error at all'))
  emitter.on('event', function (this: unknown) {
    heard.push(this === emitter)
  })
  assert.equal(emitSafely(emitter, 'event', [1, 'two']), true)
  assert.deepEqual(heard, [[1, 'two'], true])
  assert.deepEqual(uncaught, [])
  await new Promise((resolve) => process.nextTick(resolve))
  assert.deepEqual(uncaught, [fault, 'no error at all'])
  assert.equal(emitter.listenerCount('event'), 3)
})

test('listeners added or removed during an event count from the next one, as in Node', () => {
  const emitter = new EventEmitter()
  const heard: string[] = []
  const last = (): number => heard.push('last')
  emitter.on('event', () => {
    heard.push('first')
    emitter.off('event', last)
    emitter.once('event', () => heard.push('new'))
  })
  emitter.on('event', last)
  emitSafely(emitter, 'event', [])
  assert.deepEqual(heard.splice(0), ['first', 'last'])
  emitSafely(emitter, 'event', [])
  assert.deepEqual(heard, ['first', 'new'])
})

test('an error without a listener is dropped, and monitors still get it', async (t: TestContext) => {
  const uncaught = collectUncaught(t)
  const emitter = new EventEmitter()
  assert.equal(emitSafely(emitter, 'error', [new Error('unheard')]), false)
  const seen: unknown[] = []
  emitter.on(errorMonitor, (error) => seen.push(error))
  emitter.on(errorMonitor, throwing('monitor'))
  assert.equal(emitSafely(emitter, 'error', ['unheard']), false)
  emitter.on('error', (error) => seen.push(error))
  assert.equal(emitSafely(emitter, 'error', ['heard']), true)
  assert.deepEqual(seen, ['unheard', 'heard', 'heard'])
  await nextTurn()
  assert.deepEqual(uncaught, ['monitor', 'monitor'])
})

test('events may be named by symbols, and awaited by once and on', async () => {
  const emitter = new EventEmitter()
  const name = Symbol('event')
  const first = once(emitter, name)
  const all = on(emitter, name)
  emitSafely(emitter, name, [1])
  emitSafely(emitter, name, [2])
  assert.deepEqual(await first, [1])
  assert.deepEqual((await all.next()).value, [1])
  assert.deepEqual((await all.next()).value, [2])
})

test('a program that replaces emit of an emitter gets its events, and may throw too', async (t: TestContext) => {
  const uncaught = collectUncaught(t)
  const emitter = new EventEmitter()
  const emit = emitter.emit.bind(emitter)
  const traced: unknown[] = []
  emitter.emit = (event: string, ...args: unknown[]): boolean => {
    traced.push(event)
    return emit(event, ...args)
  }
  emitter.on('event', throwing('mine'))
  emitSafely(emitter, 'event', [])
  assert.deepEqual(traced, ['event'])
  await nextTurn()
  assert.deepEqual(uncaught, ['mine'])
})

test('a notified callback may throw, or be absent', async (t: TestContext) => {
  const uncaught = collectUncaught(t)
  const told: unknown[] = []
  notify((...args: unknown[]) => told.push(args), 1, 2)
  notify(undefined, 1)
  notify(throwing('mine'))
  assert.deepEqual(told, [[1, 2]])
  await nextTurn()
  assert.deepEqual(uncaught, ['mine'])
})

test('a question that throws counts as rejected, and an answer may be synchronous', async () => {
  await assert.rejects(ask(throwing(new Error('mine'))), /mine/)
  assert.equal(await ask(() => 3), 3)
  assert.equal(await ask(async () => 4), 4)
})
