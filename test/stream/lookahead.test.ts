import assert from 'node:assert/strict'
import test from 'node:test'
import { Lookahead } from '../../lib/stream/lookahead.ts'

const mebi = 1 << 20

test('starts small, grows with reading, and starts again after a seek', () => {
  const ahead = new Lookahead()
  assert.equal(ahead.bytes, 2 * mebi)
  ahead.consumed(4 * mebi, 50, 1000)
  assert.equal(ahead.bytes, 10 * mebi)
  for (let index = 0; index < 20; index++) ahead.consumed(4 * mebi, 0, 1001 + index)
  assert.ok(ahead.bytes <= 32 * mebi)
  ahead.reset()
  assert.equal(ahead.bytes, 2 * mebi)
})

test('the pace excludes the time that the reader waited', () => {
  const ahead = new Lookahead()
  // A second for the first bytes, then 100 bytes a millisecond with as much waiting between.
  ahead.consumed(100_000, 1000, 5000)
  for (let now = 7000; now < 25_000; now += 2000) ahead.consumed(100_000, 1000, now)
  assert.ok(ahead.bytesPerMs > 90 && ahead.bytesPerMs < 130, String(ahead.bytesPerMs))
  // The ceiling is thirty seconds of that.
  assert.ok(ahead.bytes <= 130 * 30_000)
})

test('a slow reader keeps the minimum', () => {
  const ahead = new Lookahead()
  for (let now = 0; now < 100_000; now += 1000) ahead.consumed(1000, 0, now)
  assert.equal(ahead.bytes, 2 * mebi)
})

test('a pause does not change the pace, and a lasting slowdown does after a while', () => {
  const ahead = new Lookahead()
  let now = 0
  const read = (chunks: number, gapMs: number): void => {
    for (let n = 0; n < chunks; n++) ahead.consumed(250_000, 0, (now += gapMs))
  }
  read(240, 500)
  assert.ok(Math.abs(ahead.bytesPerMs - 500) < 5)
  now += 600_000
  read(2, 500)
  assert.ok(Math.abs(ahead.bytesPerMs - 500) < 5, `after a pause of ten minutes ${ahead.bytesPerMs}`)
  read(100, 1000)
  assert.ok(ahead.bytesPerMs < 300, `a minute and a half at half the pace: ${ahead.bytesPerMs}`)
})

test('a reader that always takes long is slow, and has not paused', () => {
  const ahead = new Lookahead()
  for (let now = 0; now < 200_000; now += 10_000) ahead.consumed(100_000, 0, now)
  assert.ok(Math.abs(ahead.bytesPerMs - 10) < 1, String(ahead.bytesPerMs))
})
