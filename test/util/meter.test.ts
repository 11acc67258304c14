import assert from 'node:assert/strict'
import test from 'node:test'
import { Meter } from '../../lib/util/meter.ts'

test('nothing was counted', () => {
  const meter = new Meter()
  assert.deepEqual([meter.total, meter.rate(5000)], [0, 0])
})

test('a young meter divides by its age, by a second at least', () => {
  const meter = new Meter()
  meter.add(1000, 100)
  assert.equal(meter.rate(100), 1000)
  assert.equal(meter.rate(1100), 1000)
  assert.equal(meter.rate(2100), 500)
})

test('a steady stream reads at its speed', () => {
  const meter = new Meter()
  for (let now = 0; now < 20_000; now += 10) meter.add(100, now)
  assert.equal(meter.rate(19_999), 10_000)
  assert.equal(meter.total, 200_000)
})

test('values older than the window are forgotten, the total is not', () => {
  const meter = new Meter(1000, 100)
  meter.add(5000, 0)
  assert.equal(meter.rate(999), 5000)
  assert.equal(meter.rate(1000), 0)
  meter.add(300, 100_000)
  assert.equal(meter.rate(100_000), 300)
  assert.equal(meter.total, 5300)
})

test('a clock that steps back does no harm', () => {
  const meter = new Meter(1000, 100)
  meter.add(10, 5000)
  meter.add(10, 4000)
  assert.equal(meter.rate(5000), 20)
})
