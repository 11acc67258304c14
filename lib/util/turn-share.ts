/** Work that takes longer than this lets the rest of the program run in between. */
const shareMs = 6
/** Of those that wait so many go on in one turn while it is short. */
const mostInTurn = 16

/** When the first work of this turn of the event loop began; undefined while there was none. */
let turnAt: number | undefined
const waiting: (() => void)[] = []

/**
 * To be asked before each part of long work: undefined while this turn of the event loop is short and nobody waits, else a promise
 * for a later turn. Who waits longest goes first. Nothing may be awaited when it is undefined where many call it one
 * after the other, or all of them would go on in one turn.
 */
export function shareTurn(): Promise<void> | undefined {
  const now = performance.now()
  if (turnAt === undefined) {
    turnAt = now
    setImmediate(endTurn)
  }
  if (now - turnAt < shareMs && waiting.length === 0) return undefined
  return new Promise((resolve) => waiting.push(resolve))
}

function endTurn(): void {
  turnAt = undefined
  if (waiting.length === 0) return
  turnAt = performance.now()
  setImmediate(endTurn)
  // Those after it begin only when those before have come to a pause, if there is time left.
  for (let count = Math.min(waiting.length, mostInTurn); count > 1; count--) setImmediate(beginNext)
  waiting.shift()?.()
}

function beginNext(): void {
  // This is the next round of immediates, whose turn has begun with endTurn.
  if (turnAt !== undefined && performance.now() - turnAt < shareMs) waiting.shift()?.()
}

/** Work in parts that gives a result: after each part it yields. */
export type Steps<T> = Generator<void, T, void>

/** Does all parts at once. */
export function runSteps<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
  }
}

/** Does the parts in as many turns of the event loop as it takes not to hold it; rejects with the signal's reason before the next part. */
export async function runStepsInTurns<T>(steps: Steps<T>, signal?: AbortSignal): Promise<T> {
  for (;;) {
    const turn = shareTurn()
    if (turn !== undefined) await turn
    signal?.throwIfAborted()
    const { done, value } = steps.next()
    if (done === true) return value
  }
}
