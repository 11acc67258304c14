import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CpuShare, cpuShare } from '../../lib/util/cpu-share.ts'

/**
 * A busy thread that gets a part of a processor. `after` lets time pass and returns how much of `ms` counts.
 */
function threadOf(part: number): { after(passedMs: number, ms: number): number } {
  let now = 0
  const share = new CpuShare(() => ({ busyMs: now, cpuMs: now * part }))
  return {
    after(passedMs, ms) {
      now += passedMs
      return share.of(ms, now)
    }
  }
}

for (const [what, part, expected] of [
  ['an idle machine', 1, 1],
  ['a machine with three more programs', 0.25, 0.25],
  ['a machine whose other threads work for this one', 1.7, 1],
  ['a thread that waits for a disk', 0, 0.02]
] as const) {
  test(`on ${what} ${expected} of short times count`, () => {
    const thread = threadOf(part)
    thread.after(300, 1)
    thread.after(300, 1)
    assert.ok(Math.abs(thread.after(1, 1) - expected) < 1e-9)
    assert.ok(Math.abs(thread.after(1, 0.1) - expected / 10) < 1e-9)
  })
}

test("a long span counts for at most the thread's processor time since the last reading", () => {
  let use = { busyMs: 1000, cpuMs: 1000 }
  const share = new CpuShare(() => use)
  share.of(1, 0)
  // The share is still 1, and then the machine gives the thread 3 ms of 200.
  use = { busyMs: 1200, cpuMs: 1003 }
  assert.ok(share.of(200, 200) <= 3)
  use = { busyMs: 1210, cpuMs: 1013 }
  assert.ok(share.of(10, 210) <= 10)
})

test('the share follows the machine, and a mostly idle thread does not change it', () => {
  let use = { busyMs: 0, cpuMs: 0 }
  const share = new CpuShare(() => use)
  share.of(1, 0)
  use = { busyMs: 100, cpuMs: 20 }
  share.of(1, 1000)
  assert.equal(share.of(1, 1001), 0.2)
  use = { busyMs: 110, cpuMs: 30 }
  share.of(1, 2000)
  assert.equal(share.of(1, 2001), 0.2)
  use = { busyMs: 200, cpuMs: 120 }
  share.of(1, 3000)
  assert.equal(share.of(1, 3001), 1)
})

test('on this machine a long calculation counts as its own time or less, and more than nothing', () => {
  cpuShare.of(5)
  const startedAt = performance.now()
  let sum = 0
  while (performance.now() - startedAt < 60) for (let n = 0; n < 1e4; n++) sum += n
  const ms = performance.now() - startedAt
  const counted = cpuShare.of(ms)
  assert.ok(sum > 0 && counted > 0 && counted <= ms, `${counted} of ${ms} ms`)
})

test('a runtime that does not measure its event loop has a share of 1', async () => {
  const { eventLoopUtilization } = performance
  Object.defineProperty(performance, 'eventLoopUtilization', { value: undefined, configurable: true })
  try {
    const again = new URL('../../lib/util/cpu-share.js?without-utilization', import.meta.url).href
    const { cpuShare: share } = (await import(again)) as typeof import('../../lib/util/cpu-share.ts')
    const now = performance.now()
    share.of(1, now + 1000)
    assert.equal(share.of(1, now + 1001), 1)
  } finally {
    Object.defineProperty(performance, 'eventLoopUtilization', {
      value: eventLoopUtilization,
      configurable: true
    })
  }
})
