import type { Timers } from '../util/timers.ts'

/** Runs work with a signal that is aborted after some time. */
export async function within(
  ms: number,
  timers: Timers,
  work: (limit: AbortSignal) => Promise<unknown>
): Promise<void> {
  const controller = new AbortController()
  const cancel = timers.after(ms, () => controller.abort())
  try {
    await work(controller.signal)
  } finally {
    cancel()
  }
}
