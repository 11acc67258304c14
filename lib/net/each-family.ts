import type { Timers } from '../util/timers.ts'

/** Options of {@link eachFamily}. */
export interface EachFamilyOptions {
  readonly signal: AbortSignal | undefined
  /** Milliseconds to wait for the other family once the first has succeeded. */
  readonly graceMs: number
  readonly timers: Timers
}

/**
 * Runs a task in all address families at once and returns the results in order of completion. An unresponsive
 * family costs at most the grace period. Throws the first error if every family fails.
 */
export async function eachFamily<T>(
  families: readonly (4 | 6)[],
  { signal, graceMs, timers }: EachFamilyOptions,
  run: (family: 4 | 6, signal: AbortSignal) => Promise<T>
): Promise<[T, ...T[]]> {
  signal?.throwIfAborted()
  const controller = new AbortController()
  const onAbort = (): void => controller.abort(signal?.reason)
  signal?.addEventListener('abort', onAbort, { once: true })
  const results: T[] = []
  const errors: unknown[] = []
  let cancel: (() => void) | undefined
  await Promise.all(
    families.map(async (family) => {
      try {
        results.push(await run(family, controller.signal))
        cancel ??= timers.after(graceMs, () => controller.abort())
      } catch (error) {
        errors.push(error)
      }
    })
  )
  cancel?.()
  signal?.removeEventListener('abort', onAbort)
  const [first, ...others] = results
  if (first === undefined) throw errors[0]
  return [first, ...others]
}
