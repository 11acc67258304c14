import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CpuShare } from '../../lib/util/cpu-share.ts'

/** A thread that is busy all the time and gets a processor for a part of it. */
function shareOf(part: number, busy = 1): CpuShare & { at(ms: number): number } {
  let now = 0
  const share = new CpuShare(() => ({ busyMs: now * busy, cpuMs: now * busy * part }))
  return Object.assign(share, {
    at(ms: number): number {
      now = ms
      return share.value(ms)
    }
  })
}

for (const [what, part, expected] of [
  ['an idle machine', 1, 1],
  ['a machine with three more programs', 0.25, 0.25],
  ['a machine whose other threads work for this one', 1.7, 1],
  ['a thread that waits for a disk', 0, 0.02]
] as const) {
  test(`on ${what} a share of ${expected} counts`, () => {
    const share = shareOf(part)
    assert.equal(share.at(0), 1)
    assert.ok(Math.abs(share.at(1000) - expected) < 1e-9)
    // Not measured anew for each message.
    assert.equal(share.at(1001), share.at(1000))
  })
}

test('the share follows the machine, and a thread that does little says nothing about it', () => {
  let use = { busyMs: 0, cpuMs: 0 }
  const share = new CpuShare(() => use)
  share.value(0)
  use = { busyMs: 100, cpuMs: 20 }
  assert.equal(share.value(1000), 0.2)
  use = { busyMs: 110, cpuMs: 30 }
  assert.equal(share.value(2000), 0.2)
  use = { busyMs: 200, cpuMs: 120 }
  assert.equal(share.value(3000), 1)
})
