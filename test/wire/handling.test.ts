import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Handling } from '../../lib/wire/handling.ts'
import { defaultWireLimits } from '../../lib/wire/limits.ts'

/**
 * Returns the milliseconds charged for a million bytes in chunks without messages; `freePart` of them is
 * blocks or uploads.
 */
function cost(chunk: number, freePart: number): number {
  const handling = new Handling(defaultWireLimits)
  let ms = 0
  for (let bytes = 0; bytes < 1e6; bytes += chunk) {
    handling.begin()
    ms += handling.end(chunk, 0, chunk * freePart)
  }
  return ms
}

for (const [what, chunk, freePart, least, most] of [
  ['blocks in large chunks', 65_536, 1, 0, 0],
  ['blocks in chunks of a packet', 1448, 1, 0, 0],
  ['blocks byte by byte', 1, 1, 5000, 20_000],
  ['messages byte by byte', 1, 0, 5000, 20_000],
  ['bytes of no use in large chunks', 65_536, 0, 0.5, 5],
  ['bytes of no use in chunks of a packet', 1448, 0, 2, 20]
] as const) {
  test(`a megabyte of ${what} counts as ${least} to ${most} ms`, () => {
    const ms = cost(chunk, freePart)
    assert.ok(ms >= least && ms <= most, `${ms} ms`)
  })
}

test("a peer's blocks pay for its other messages, and only for a while", () => {
  const handling = new Handling(defaultWireLimits)
  handling.begin()
  assert.equal(handling.end(1e9, 0, 1e9), 0)
  let free = 0
  for (; handling.end(1, 0, 0) === 0; free++) handling.begin()
  // 20 ms are saved; a chunk costs 0.01 ms.
  assert.ok(free > 1900 && free < 2100, `${free} chunks`)
})

test('the turn of a peer ends after its messages, and the next one is another', async () => {
  const handling = new Handling({ ...defaultWireLimits, turnMs: 1e9 })
  handling.begin()
  assert.equal(handling.isTurnOver(1999), false)
  assert.equal(handling.isTurnOver(2000), true)
  handling.end(1500, 1500, 0)
  handling.begin()
  assert.equal(handling.isTurnOver(500), true)
  await new Promise((resolve) => setImmediate(resolve))
  handling.begin()
  assert.equal(handling.isTurnOver(500), false)
})

test('bytes of cancelled requests leave no debt', () => {
  const handling = new Handling(defaultWireLimits)
  handling.begin()
  handling.end(0, 0, -1e9)
  const ms = handling.end(1, 0, 0)
  assert.ok(ms > 0 && ms < 0.1, `${ms} ms`)
})

/** The milliseconds charged for a chunk whose messages took some by the clock. */
const shares: [
  what: string,
  tookMs: number,
  work: number,
  creditBytes: number,
  least: number,
  most: number
][] = [
  ['messages alone', 100, 10, 0, 100, 100.1],
  ['messages among blocks', 100, 10, 204_800, 8, 10],
  ['cancelled requests', 100, 1, -204_800, 100.2, 100.3],
  ['requests for a byte each', 100, 10, -160_000, 100.1, 100.2]
]
for (const [what, tookMs, work, creditBytes, least, most] of shares) {
  test(`${tookMs} ms of ${what} count as ${least} to ${most} ms`, (t) => {
    let now = 1e6
    t.mock.method(performance, 'now', () => now)
    const handling = new Handling(defaultWireLimits)
    handling.begin()
    now += tookMs
    const ms = handling.end(17, work, creditBytes)
    assert.ok(ms >= least && ms <= most, `${ms} ms`)
  })
}

test('the turn of a peer ends after its milliseconds', (t) => {
  let now = 1e6
  t.mock.method(performance, 'now', () => now)
  const handling = new Handling({ ...defaultWireLimits, turnMs: 5 })
  handling.begin()
  now += 3
  assert.equal(handling.isTurnOver(1), false)
  handling.end(17, 1, 0)
  handling.begin()
  now += 1
  assert.equal(handling.isTurnOver(1), false)
  now += 1
  assert.equal(handling.isTurnOver(1), true)
})
