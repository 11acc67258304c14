import { isDeepStrictEqual } from 'node:util'
import { getHeapStatistics } from 'node:v8'
import { isTorrentError } from '../../lib/util/errors.ts'
import { Finding } from './finding.ts'
import { collectGarbage, heldBytes } from './garbage.ts'
import { refusalShape, shapeOf } from './outcome.ts'
import { Random, seedOf } from './random.ts'
import type { Check, Target } from './target.ts'

/** Milliseconds of CPU that one turn of the event loop may take. */
const turnMs = 100
/**
 * Repeats of a long turn. The shortest counts, because other programs and the collector lengthen single ones.
 */
const repeats = 3
/** Largest ratio of a result's heap to its input. */
const heldFactor = 200
const heldSpare = 4 << 20
/** Number of results that are always weighed, and the share of time for weighing others. */
const surelyWeighed = 10
const weighedPart = 0.1

const weighings = new WeakMap<Target, { count: number; ms: number; readonly since: number }>()

/** The outcome of a run of a target. */
export interface Outcome {
  /** Equal for outcomes of the same kind. */
  readonly shape: string
  /** The result; undefined for a refusal. */
  readonly result: unknown
  /** The longest turn in milliseconds by the clock, which is never less than its CPU time. */
  readonly longestMs: number
}

/** Measures turns and runs assertions of one run. */
class Run implements Check {
  readonly random: Random
  longestMs = 0
  longestCpuMs = 0
  readonly #measuresCpu: boolean

  constructor(input: Uint8Array, measuresCpu: boolean) {
    this.random = new Random(seedOf(input))
    this.#measuresCpu = measuresCpu
  }

  turn<T>(work: () => T): T {
    const endTurn = this.#startTurn()
    try {
      return work()
    } finally {
      endTurn()
    }
  }

  async turns<T>(work: () => Promise<T>): Promise<T> {
    let endTurn = this.#startTurn()
    const nextTurn = (): void => {
      endTurn()
      endTurn = this.#startTurn()
      immediate = setImmediate(nextTurn)
    }
    let immediate = setImmediate(nextTurn)
    try {
      return await work()
    } finally {
      endTurn()
      clearImmediate(immediate)
    }
  }

  #startTurn(): () => void {
    const from = performance.now()
    const cpu = this.#measuresCpu ? process.cpuUsage() : undefined
    return () => {
      if (cpu !== undefined) {
        const { user, system } = process.cpuUsage(cpu)
        this.longestCpuMs = Math.max(this.longestCpuMs, (user + system) / 1000)
      }
      this.longestMs = Math.max(this.longestMs, performance.now() - from)
    }
  }

  steps<T>(steps: Generator<void, T, void>): T {
    for (;;) {
      const { done, value } = this.turn(() => steps.next())
      if (done === true) return value
    }
  }

  that(condition: boolean, what: string): void {
    if (!condition) throw new Finding('invariant', what, { key: what })
  }

  equal(actual: unknown, expected: unknown, what: string): void {
    if (isDeepStrictEqual(actual, expected)) return
    throw new Finding('invariant', `${what}: ${brief(actual)} is not ${brief(expected)}`, { key: what })
  }
}

function brief(value: unknown): string {
  const text =
    JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? `${item}n` : item)) ?? 'undefined'
  return text.length > 300 ? `${text.slice(0, 300)}…` : text
}

/** Runs a target once. @throws Finding for an unexpected exception or a broken invariant. */
async function runOnce(
  target: Target,
  input: Uint8Array,
  measuresCpu: boolean
): Promise<{ run: Run; outcome: Outcome }> {
  const run = new Run(input, measuresCpu)
  // Parsers borrow their input, and a target may not change the kept original.
  const copy = input.slice()
  let result: unknown
  let shape: string
  try {
    const running = target.run(copy, run)
    result = running instanceof Promise ? await running : running
    shape = shapeOf(result)
  } catch (thrown) {
    if (thrown instanceof Finding) throw thrown
    if (!isTorrentError(thrown) && target.refuses?.(thrown) !== true) throw escapeOf(thrown)
    shape = refusalShape(thrown)
  }
  return { run, outcome: { shape, result, longestMs: run.longestMs } }
}

function escapeOf(thrown: unknown): Finding {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown))
  const place = /\n\s+at .*?([\w-]+\.[jt]s:\d+)/.exec(error.stack ?? '')?.[1] ?? ''
  const message = `${error.name}: ${error.message} (${place}) is no TorrentError`
  return new Finding('escape', message, { key: `${error.name} ${place}`, cause: thrown })
}

/**
 * Runs a target on an input. @throws Finding for an unexpected exception, a broken invariant, a long turn or
 * a large result.
 */
export async function execute(target: Target, input: Uint8Array): Promise<Outcome> {
  const before = allocatedBytes()
  const { outcome } = await runOnce(target, input, false)
  if (outcome.longestMs > turnMs) await confirmTurn(target, input)
  const most = heldFactor * input.length + heldSpare
  // A result never holds more than was allocated, unless a collection ran meanwhile.
  if (allocatedBytes() - before > most) await weigh(target, input, most)
  return outcome
}

/**
 * Confirms that a result is large, unless weighing has used up its share of time: a collection takes
 * milliseconds.
 */
async function weigh(target: Target, input: Uint8Array, most: number): Promise<void> {
  const from = performance.now()
  const weighed = weighings.get(target) ?? { count: 0, ms: 0, since: from }
  weighings.set(target, weighed)
  if (weighed.count >= surelyWeighed && weighed.ms > weighedPart * (from - weighed.since)) return
  await confirmHeld(target, input, most)
  weighed.count++
  weighed.ms += performance.now() - from
}

/** Returns bytes of the heap and outside of it, garbage included. */
function allocatedBytes(): number {
  const { used_heap_size: heap, external_memory: outside } = getHeapStatistics()
  return heap + outside
}

async function confirmTurn(target: Target, input: Uint8Array): Promise<void> {
  let shortest = Number.POSITIVE_INFINITY
  for (let n = 0; n < repeats && shortest > turnMs; n++) {
    collectGarbage()
    const { run } = await runOnce(target, input, true)
    shortest = Math.min(shortest, run.longestCpuMs)
  }
  if (shortest <= turnMs) return
  const message = `a turn of ${shortest.toFixed(0)} ms of CPU for ${input.length} bytes`
  throw new Finding('turn', message, { key: 'a long turn' })
}

/** Fails if the result of an input holds far more memory than the input. */
async function confirmHeld(target: Target, input: Uint8Array, most: number): Promise<void> {
  // The first run also compiles code.
  await heldFor(target, input)
  const held = await heldFor(target, input)
  if (held <= most) return
  throw new Finding('memory', `the result of ${input.length} bytes holds ${held}`, { key: 'held memory' })
}

async function heldFor(target: Target, input: Uint8Array): Promise<number> {
  const before = heldBytes()
  const { outcome } = await runOnce(target, input, false)
  const held = heldBytes() - before
  return outcome.result === undefined ? 0 : held
}
