/** Milliseconds of work after which the event loop must continue. */
const turnMs = 6
/** Maximum number of waiting tasks that continue in one turn. */
const mostInTurn = 16

/** Start of the work in this turn of the event loop; undefined if there was none. */
let turnAt: number | undefined
const waiting: (() => void)[] = []

/**
 * Called between the slices of long work. Returns undefined if this turn of the event loop still has time and no
 * other task waits, else a promise for a later turn; the longest waiting task comes first. Do not `await` the
 * result if it is undefined: the await would let other tasks call this before the first has done any work, and all
 * of them would get undefined in the same turn.
 */
export function yieldToEventLoop(): Promise<void> | undefined {
  const now = performance.now()
  if (turnAt === undefined) {
    turnAt = now
    setImmediate(endTurn)
  }
  if (now - turnAt < turnMs && waiting.length === 0) return undefined
  return new Promise((resolve) => waiting.push(resolve))
}

function endTurn(): void {
  turnAt = undefined
  if (waiting.length === 0) return
  turnAt = performance.now()
  setImmediate(endTurn)
  // Later tasks start only after earlier ones have paused, and only if there is time left.
  for (let count = Math.min(waiting.length, mostInTurn); count > 1; count--) setImmediate(beginNext)
  waiting.shift()?.()
}

function beginNext(): void {
  // Runs in the next round of immediates, whose turn began with `endTurn`.
  if (turnAt !== undefined && performance.now() - turnAt < turnMs) waiting.shift()?.()
}

/** Work in slices: yields after each slice, and returns the result. */
export type Steps<T> = Generator<void, T, void>

/** Runs all slices at once, without yielding to the event loop. */
export function runSteps<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
  }
}

/**
 * Runs the slices and yields to the event loop when a turn gets long; rejects with the signal's reason before
 * the next slice.
 */
export async function runStepsInSlices<T>(steps: Steps<T>, signal?: AbortSignal): Promise<T> {
  for (;;) {
    const pause = yieldToEventLoop()
    if (pause !== undefined) await pause
    signal?.throwIfAborted()
    const { done, value } = steps.next()
    if (done === true) return value
  }
}
