import assert from 'node:assert/strict'
import test from 'node:test'
import { TokenBucket } from '../../lib/util/token-bucket.ts'

test("a full bucket passes a quarter of a second's bytes at once", () => {
  const bucket = new TokenBucket(1000, 0)
  assert.equal(bucket.rate, 1000)
  assert.equal(bucket.take(249, 0), 0)
  assert.equal(bucket.take(1, 0), 1)
  assert.equal(bucket.take(100, 0), 100)
  assert.equal(bucket.waitMs(50), 50)
  assert.equal(bucket.waitMs(101), 0)
})

test('one take may go into debt, and delays the next', () => {
  const bucket = new TokenBucket(1000, 0)
  assert.equal(bucket.take(10_250, 0), 10_000)
  assert.equal(bucket.waitMs(9000), 1000)
})

test('over time no more passes than the rate', () => {
  const bucket = new TokenBucket(10_000, 0)
  let passed = 0
  for (let now = 0; now < 10_000; ) {
    passed += 1000
    now += Math.max(1, bucket.take(1000, now))
  }
  assert.ok(passed >= 100_000 && passed <= 104_000, `${passed}`)
})

test('idle time is saved up to a quarter of a second', () => {
  const bucket = new TokenBucket(1000, 0)
  bucket.take(250, 0)
  assert.equal(bucket.take(350, 1_000_000), 100)
})

test('Infinity is no limit, 0 passes nothing', () => {
  const free = new TokenBucket(Number.POSITIVE_INFINITY, 0)
  assert.deepEqual([free.take(1e12, 0), free.waitMs(0)], [0, 0])
  const shut = new TokenBucket(0, 0)
  assert.deepEqual(
    [shut.waitMs(1e9), shut.take(1, 1e9)],
    [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  )
})

test('a change of rate counts from now on and a debt stays', () => {
  const bucket = new TokenBucket(1000, 0)
  bucket.take(1250, 0)
  bucket.setRate(500, 0)
  assert.equal(bucket.waitMs(0), 2000)
  bucket.setRate(Number.POSITIVE_INFINITY, 0)
  assert.equal(bucket.waitMs(0), 0)
  bucket.setRate(0, 0)
  assert.equal(bucket.waitMs(0), Number.POSITIVE_INFINITY)
  bucket.setRate(1000, 0)
  assert.equal(bucket.waitMs(1001), 0)
})

test('a clock that steps back grants nothing', () => {
  const bucket = new TokenBucket(1000, 1000)
  bucket.take(350, 1000)
  assert.equal(bucket.waitMs(500), 100)
  assert.equal(bucket.waitMs(1050), 50)
})
