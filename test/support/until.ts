import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import { inspect } from 'node:util'

/** A program under way whose end makes the wait vain and whose log explains it. */
export interface Watched {
  readonly name: string
  readonly exited: Promise<number | NodeJS.Signals>
  log(): string
}

/** When a wait is over, and for how long it goes on. */
export interface UntilOptions<T> {
  /** The value to wait for, or a test of it; any truthy value if left out. */
  readonly is?: T | ((value: T) => boolean)
  /** 25 s if left out: less than the time limit of any test, so that the error of the wait is the one that is reported. */
  readonly timeoutMs?: number
  /** The pause between two looks, 0 for one turn of the event loop; if left out, a twentieth of the time waited so far, at most 100 ms. */
  readonly everyMs?: number
  readonly programs?: readonly Watched[]
}

/** Reads a value until it is as asked for, and returns it. The error names what never came and the last value. */
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
