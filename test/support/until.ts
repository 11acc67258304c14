import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import { inspect } from 'node:util'

/** A running program: its exit ends the wait, and its log goes into the error. */
export interface Watched {
  readonly name: string
  readonly exited: Promise<number | NodeJS.Signals>
  log(): string
}

/** When a wait ends, and how long it may take. */
export interface UntilOptions<T> {
  /** The expected value, or a predicate; any truthy value by default. */
  readonly is?: T | ((value: T) => boolean)
  /** Milliseconds. Default: 25 s, less than the time limit of any test, so that the wait reports the error. */
  readonly timeoutMs?: number
  /**
   * Milliseconds between two reads; 0 is one turn of the event loop. Default: a twentieth of the time waited
   * so far, at most 100 ms.
   */
  readonly everyMs?: number
  readonly programs?: readonly Watched[]
}

/**
 * Reads a value until it is as expected, and returns it. The error names the expected condition and the last
 * value.
 */
export async function until<T>(
  what: string,
  read: () => T | Promise<T>,
  { is, timeoutMs = 25_000, everyMs, programs = [] }: UntilOptions<NoInfer<T>> = {}
): Promise<NonNullable<T>> {
  const startedAt = performance.now()
  let ended: string | undefined
  for (const { name, exited } of programs) {
    void exited.then((code) => {
      ended ??= `${name} ended with ${code}`
    })
  }
  for (;;) {
    const value = await read()
    if (isAsWanted(value, is)) return value as NonNullable<T>
    const elapsedMs = performance.now() - startedAt
    if (ended !== undefined || elapsedMs > timeoutMs) {
      const end = ended ?? `it did not come within ${timeoutMs / 1000} s`
      const logs = programs.map((program) => `\n--- ${program.name}\n${program.log()}`).join('')
      throw new Error(
        `waited for ${what}: ${end}; last value ${inspect(value, { depth: 1 })} of ${read}${logs}`
      )
    }
    const pauseMs = everyMs ?? Math.min(100, elapsedMs / 20)
    await (pauseMs < 1 ? nextTurn() : delay(pauseMs))
  }
}

function isAsWanted<T>(value: T, is: UntilOptions<T>['is']): boolean {
  if (is === undefined) return Boolean(value)
  return typeof is === 'function' ? (is as (value: T) => boolean)(value) : Object.is(value, is)
}
