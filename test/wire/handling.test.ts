import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Handling } from '../../lib/wire/handling.ts'
import { defaultWireLimits } from '../../lib/wire/limits.ts'

/** The milliseconds that count for a million bytes in chunks that hold no messages, a part of them blocks or uploads. */
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

test('what a peer sends is paid for by its blocks, and only for a while', () => {
  const handling = new Handling(defaultWireLimits)
  handling.begin()
  assert.equal(handling.end(1e9, 0, 1e9), 0)
  let free = 0
  for (; handling.end(1, 0, 0) === 0; free++) handling.begin()
  // 20 ms are saved, 0.01 ms is a chunk.
  assert.ok(free > 1900 && free < 2100, `${free} chunks`)
})

test('the turn of a peer is over after its messages, and the next one is another', async () => {
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
