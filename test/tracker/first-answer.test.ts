import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { firstAnswer } from '../../lib/tracker/first-answer.ts'
import { type Deferred, deferred } from '../../lib/util/concurrency.ts'

interface Walk {
  readonly asked: string[]
  readonly result: Promise<string | undefined>
  readonly abort: AbortController
  answer(item: string, value: string | undefined): Promise<unknown>
  silent(item: string): Promise<unknown>
}

function walk(items: readonly string[]): Walk {
  const asked: string[] = []
  const abort = new AbortController()
  const known = new Map<string, { answer: Deferred<string | undefined>; silence: Deferred<void> }>()
  const of = (item: string): { answer: Deferred<string | undefined>; silence: Deferred<void> } => {
    const one = known.get(item) ?? { answer: deferred<string | undefined>(), silence: deferred<void>() }
    known.set(item, one)
    return one
  }
  const result = firstAnswer(
    items,
    (item) => {
      asked.push(item)
      return { answer: of(item).answer.promise, silence: of(item).silence.promise }
    },
    abort.signal
  )
  return {
    asked,
    result,
    abort,
    answer(item, value) {
      of(item).answer.resolve(value)
      return setImmediate()
    },
    silent(item) {
      of(item).silence.resolve()
      return setImmediate()
    }
  }
}

test('the next tracker is used when one fails or falls silent, and the first answer ends it', async () => {
  const { asked, result, answer, silent } = walk(['a', 'b', 'c', 'd'])
  assert.deepEqual(asked, ['a'])
  await silent('a')
  assert.deepEqual(asked, ['a', 'b'])
  await answer('b', undefined)
  assert.deepEqual(asked, ['a', 'b', 'c'])
  // The silent one fails at last: c has a pending request.
  await answer('a', undefined)
  assert.deepEqual(asked, ['a', 'b', 'c'])
  await answer('c', 'yes')
  await silent('c')
  assert.equal(await result, 'yes')
  assert.deepEqual(asked, ['a', 'b', 'c'])
})

test('a late answer of a skipped tracker counts', async () => {
  const { asked, result, answer, silent } = walk(['a', 'b'])
  await silent('a')
  await answer('a', 'late')
  assert.equal(await result, 'late')
  await answer('b', undefined)
  assert.deepEqual(asked, ['a', 'b'])
})

test('when all fail there is no answer, once the last has failed', async () => {
  assert.equal(await walk([]).result, undefined)
  for (const order of ['abc', 'cba', 'bca']) {
    const { result, answer, silent } = walk(['a', 'b', 'c'])
    let ended = false
    void result.then(() => {
      ended = true
    })
    for (const item of 'abc') await silent(item)
    for (const item of order) {
      assert.equal(ended, false)
      await answer(item, undefined)
    }
    assert.equal(await result, undefined)
  }
})

test('after an abort no tracker gets a request', async () => {
  const { asked, result, answer, abort } = walk(['a', 'b'])
  abort.abort()
  await answer('a', undefined)
  assert.equal(await result, undefined)
  assert.deepEqual(asked, ['a'])
})
