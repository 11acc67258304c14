import assert from 'node:assert/strict'
import { setMaxListeners } from 'node:events'
import { test } from 'node:test'
import { AnnouncePace } from '../../lib/tracker/announce-pace.ts'
import type { Timers } from '../../lib/util/timers.ts'

/** Virtual time. */
class Clock implements Timers {
  #now = 0
  #due: { at: number; run: () => void }[] = []
  now(): number {
    return this.#now
  }
  after(delayMs: number, run: () => void): () => void {
    const entry = { at: this.#now + delayMs, run }
    this.#due.push(entry)
    return () => (this.#due = this.#due.filter((other) => other !== entry))
  }
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms
    for (;;) {
      const [next] = this.#due.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
      if (next === undefined) break
      this.#due = this.#due.filter((other) => other !== next)
      this.#now = next.at
      next.run()
      await new Promise((resolve) => setImmediate(resolve))
    }
    this.#now = end
  }
}

test('announces go out in order, a few at once and then at a fixed rate', async () => {
  const timers = new Clock()
  const pace = new AnnouncePace({ perSecond: 10, burst: 5, timers })
  const { signal } = new AbortController()
  setMaxListeners(0, signal)
  const turns: [number, number][] = []
  const all = Array.from({ length: 25 }, (_, n) =>
    pace.turn(signal).then(() => turns.push([n, timers.now()]))
  )
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(turns.length, 5)
  await timers.pass(1001)
  assert.equal(turns.length, 15)
  await timers.pass(1001)
  await Promise.all(all)
  assert.deepEqual(
    turns.map(([n]) => n),
    Array.from({ length: 25 }, (_, n) => n)
  )
  await timers.pass(10_000)
  for (let n = 0; n < 5; n++) await pace.turn(signal)
})

test('an aborted announce costs no other its turn', async () => {
  const timers = new Clock()
  const pace = new AnnouncePace({ perSecond: 10, burst: 1, timers })
  const patient = new AbortController().signal
  const hasty = new AbortController()
  setMaxListeners(0, hasty.signal)
  await pace.turn(patient)
  const gone = Array.from({ length: 100 }, () => pace.turn(hasty.signal))
  let came = false
  const last = pace.turn(patient).then(() => (came = true))
  hasty.abort(new Error('no patience'))
  for (const one of gone) await assert.rejects(one, /no patience/)
  await timers.pass(101)
  assert.equal(came, true)
  await last
  await assert.rejects(pace.turn(hasty.signal), /no patience/)
})

test('stopped events do not wait for announces, but for each other', async () => {
  const pace = new AnnouncePace({ burst: 0, perSecond: 0, goodbyes: 2, timers: new Clock() })
  const { signal } = new AbortController()
  setMaxListeners(0, signal)
  let saying = 0
  let most = 0
  const say = async (): Promise<void> => {
    most = Math.max(most, ++saying)
    await new Promise((resolve) => setImmediate(resolve))
    saying--
  }
  await Promise.all(Array.from({ length: 9 }, () => pace.goodbye(signal, say)))
  assert.equal(most, 2)
  const hasty = new AbortController()
  const never = new Promise<void>(() => {})
  void pace.goodbye(signal, () => never)
  void pace.goodbye(signal, () => never)
  const third = pace.goodbye(hasty.signal, say)
  hasty.abort(new Error('too late'))
  await assert.rejects(third, /too late/)
})
