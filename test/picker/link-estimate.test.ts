import assert from 'node:assert/strict'
import test from 'node:test'
import { LinkEstimate } from '../../lib/picker/link-estimate.ts'

test('finds the rate and the delay of a steady link', () => {
  const link = new LinkEstimate(200, 300)
  // 16 KiB every 8 ms, each requested 50 ms before it comes.
  for (let index = 0; index < 400; index++) link.arrived(16_384, index * 8, 50 + index * 8)
  assert.ok(Math.abs(link.bytesPerMs - 2048) < 200, String(link.bytesPerMs))
  assert.ok(link.latencyMs < 60, String(link.latencyMs))
})

test('one request at a time does not look like a slow link', () => {
  const link = new LinkEstimate(100, 2000)
  for (let now = 0; now < 50_000; now += 500) link.arrived(16_384, now, now + 108)
  assert.ok(link.bytesPerMs > 500, String(link.bytesPerMs))
})

test('a link that gets slower is detected within seconds', () => {
  const link = new LinkEstimate(10, 2000)
  let now = 0
  for (; now < 1000; now += 8) link.arrived(16_384, now - 20, now)
  for (; now < 8000; now += 400) link.arrived(16_384, now - 1000, now)
  assert.ok(link.bytesPerMs < 80, String(link.bytesPerMs))
})

test('a burst without any time between is no infinite rate', () => {
  const link = new LinkEstimate(0, 300)
  for (let count = 0; count < 10_000; count++) link.arrived(16_384, 0, 0)
  assert.ok(Number.isFinite(link.bytesPerMs) && link.bytesPerMs <= 4_000_001)
  assert.equal(link.latencyMs, 0)
})

test('unrequested blocks keep the link busy and count for nothing', () => {
  const link = new LinkEstimate(10, 300)
  link.touched(1000)
  assert.equal(link.samples, 0)
  assert.equal(link.lastArrivalAt, 1000)
})
