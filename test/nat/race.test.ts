import assert from 'node:assert/strict'
import test from 'node:test'
import { type Attempt, race } from '../../lib/nat/race.ts'
import { VirtualTimers } from '../tracker/virtual-timers.ts'

const flush = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

interface Try {
  readonly attempt: Attempt<string>
  signal: AbortSignal | undefined
  end(result: string | undefined): void
}

function make(): Try {
  const one: Try = {
    signal: undefined,
    end: () => {},
    attempt: (signal) => {
      one.signal = signal
      return new Promise((resolve) => {
        one.end = resolve
        signal.addEventListener('abort', () => resolve(undefined))
      })
    }
  }
  return one
}

test('the next group begins when the one before takes its time, and the first success ends all', async () => {
  const timers = new VirtualTimers()
  const [a, b, c] = [make(), make(), make()]
  const { signal } = new AbortController()
  const options = { stepMs: 100, timers, signal, discard: async () => {} }
  const result = race([[a.attempt], [b.attempt], [c.attempt]], options)
  await flush()
  assert.deepEqual([a.signal !== undefined, b.signal !== undefined], [true, false])
  timers.advance(100)
  await flush()
  assert.ok(b.signal !== undefined)
  b.end('b')
  assert.deepEqual(await result, { won: 'b', hadRivals: true })
  assert.equal(a.signal?.aborted, true)
  assert.equal(c.signal, undefined)
  assert.equal(timers.size, 0)
})

test('the next group begins at once when the one before has failed', async () => {
  const timers = new VirtualTimers()
  const [a, b] = [make(), make()]
  const { signal } = new AbortController()
  const result = race([[a.attempt], [b.attempt]], { stepMs: 100, timers, signal, discard: async () => {} })
  await flush()
  a.end(undefined)
  await flush()
  b.end('b')
  assert.deepEqual(await result, { won: 'b', hadRivals: false })
})

test('a second success is undone before the race ends', async () => {
  const timers = new VirtualTimers()
  const { signal } = new AbortController()
  const undone: string[] = []
  const discard = async (late: string): Promise<void> => void undone.push(late)
  const both = [async () => 'a', async () => 'b']
  assert.deepEqual(await race([both], { stepMs: 100, timers, signal, discard }), {
    won: 'a',
    hadRivals: true
  })
  assert.deepEqual(undone, ['b'])
})

test('an abort ends the race', async () => {
  const timers = new VirtualTimers()
  const controller = new AbortController()
  const [a, b] = [make(), make()]
  const { signal } = controller
  const result = race([[a.attempt], [b.attempt]], { stepMs: 100, timers, signal, discard: async () => {} })
  await flush()
  controller.abort()
  assert.equal((await result).won, undefined)
  assert.equal(b.signal, undefined)
})
