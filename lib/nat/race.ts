import type { Timers } from '../util/timers.ts'

/** One way to an aim; resolves to undefined if it fails, and never rejects. */
export type Attempt<T> = (signal: AbortSignal) => Promise<T | undefined>

/** Options of {@link race}. */
export interface RaceOptions<T> {
  /** Undoes a success that came after the first. */
  discard(late: T): Promise<void>
  /** Milliseconds after which the next group begins as well. */
  readonly stepMs: number
  readonly timers: Timers
  readonly signal: AbortSignal
}

/** Result of {@link race}. */
export interface RaceResult<T> {
  /** First success; undefined if all attempts failed. */
  readonly won: T | undefined
  /** Whether other attempts had begun and were aborted. */
  readonly hadRivals: boolean
}

/**
 * Begins groups of attempts one after the other: the next when the one before has failed, or has taken its time. The
 * first success aborts all others. Resolves when all that have begun have ended.
 */
export async function race<T>(
  groups: readonly (readonly Attempt<T>[])[],
  options: RaceOptions<T>
): Promise<RaceResult<T>> {
  const { signal } = options
  const controller = new AbortController()
  const onAbort = (): void => controller.abort(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  const running = new Set<Promise<unknown>>()
  let won: T | undefined
  let hadRivals = false
  const begin = async (attempt: Attempt<T>): Promise<void> => {
    const result = await attempt(controller.signal)
    if (won !== undefined && result !== undefined) await options.discard(result)
    if (won !== undefined || result === undefined) return
    won = result
    hadRivals = running.size > 1
    controller.abort()
  }
  for (const group of groups) {
    if (signal.aborted || won !== undefined) break
    const begun = group.map((attempt) => {
      const one: Promise<void> = begin(attempt).finally(() => running.delete(one))
      running.add(one)
      return one
    })
    await groupEnd(begun, { ...options, signal: controller.signal })
  }
  await Promise.all(running)
  signal.removeEventListener('abort', onAbort)
  return { won, hadRivals }
}

/** Resolves when all attempts have ended, the time is over, or the signal is aborted. */
async function groupEnd(
  begun: readonly Promise<void>[],
  { stepMs, timers, signal }: Pick<RaceOptions<unknown>, 'stepMs' | 'timers' | 'signal'>
): Promise<void> {
  let cancel = (): void => {}
  let onAbort = (): void => {}
  const early = new Promise<void>((resolve) => {
    onAbort = resolve
    signal.addEventListener('abort', onAbort, { once: true })
    cancel = timers.after(stepMs, resolve)
    if (signal.aborted) resolve()
  })
  await Promise.race([Promise.all(begun), early])
  cancel()
  signal.removeEventListener('abort', onAbort)
}
