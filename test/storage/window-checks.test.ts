import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WindowChecks } from '../../lib/storage/window-checks.ts'
import { type Deferred, deferred } from '../../lib/util/concurrency.ts'

/** Checks of a torrent whose pieces are all unchecked. Each ends when the test says so. */
class Desk {
  readonly begun: number[] = []
  readonly unchecked = new Set(Array.from({ length: 1000 }, (_, piece) => piece))
  readonly checks = new WindowChecks({
    isUnchecked: (piece) => this.unchecked.has(piece),
    check: async (piece) => {
      this.begun.push(piece)
      const work = deferred<void>()
      this.#work.set(piece, work)
      await work.promise
    }
  })
  readonly #work = new Map<number, Deferred<void>>()

  move(id: number, start: number | undefined, { length = 100, delayMs = 0 } = {}): void {
    const pieces = { start: start ?? 0, end: (start ?? 0) + length }
    this.checks.set(id, start === undefined ? undefined : { pieces, bytesPerMs: 1, waiting: true, delayMs })
    this.checks.begin()
  }

  async end(piece: number, failure?: Error): Promise<void> {
    const work = this.#work.get(piece)
    if (failure !== undefined) work?.reject(failure)
    else if (this.unchecked.delete(piece)) work?.resolve()
    await new Promise((resolve) => setImmediate(resolve))
  }
}

test('the beginning of a window is checked in order, two pieces at a time', async () => {
  const desk = new Desk()
  desk.move(1, 50)
  assert.deepEqual(desk.begun, [50, 51])
  await desk.end(51)
  await desk.end(50)
  assert.deepEqual(desk.begun, [50, 51, 52, 53])
  await desk.end(52)
  await desk.end(53)
  assert.deepEqual(desk.begun, [50, 51, 52, 53], 'the background checks what lies farther ahead')
  desk.move(1, 51, { length: 4 })
  assert.deepEqual(desk.begun.slice(4), [54])
})

test('behind a reader that moved on nothing more is checked', async () => {
  const desk = new Desk()
  for (let at = 0; at < 900; at += 9) desk.move(1, at)
  assert.deepEqual(desk.begun, [0, 1])
  await desk.end(0)
  await desk.end(1)
  assert.deepEqual(desk.begun, [0, 1, 891, 892])
  desk.move(1, undefined)
  await desk.end(891)
  await desk.end(892)
  assert.equal(desk.begun.length, 4)
})

test('readers take turns, and later ones come last', async () => {
  const desk = new Desk()
  desk.move(1, 900, { delayMs: 2000 })
  desk.move(2, 100)
  desk.move(3, 200)
  desk.move(4, 300, { length: 1 })
  // Checks that begin are appended to the list.
  for (const piece of desk.begun) await desk.end(piece)
  assert.deepEqual(desk.begun.slice(2), [100, 200, 300, 101, 201, 102, 202, 103, 203, 902, 903])
})

test('a failed check is not started again', async () => {
  const desk = new Desk()
  desk.move(1, 0, { length: 2 })
  await desk.end(0, new Error('closed'))
  await desk.end(1, new Error('closed'))
  assert.deepEqual(desk.begun, [0, 1])
})
