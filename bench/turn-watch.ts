import { closeSync, openSync, readSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { PerformanceObserver } from 'node:perf_hooks'

/** Turns longer than this are counted. */
const longMs = 20
/** Number of functions named for the longest turn. */
const mostNamed = 6

/** The turns of the event loop during a task. */
export interface TurnReport {
  /** The longest, in milliseconds. */
  readonly longestMs: number
  /** The longest, without time in which this thread was ready and the machine ran others (Linux). */
  readonly ownMs: number
  /** Garbage collection in the longest turn. */
  readonly gcMs: number
  /** Number of turns that took more than 20 ms of their own. */
  readonly over: number
  /** Milliseconds from the first turn to the last. */
  readonly allMs: number
  /** The functions of the longest turn with their milliseconds, callees included. */
  readonly culprits: readonly string[]
}

interface Turn {
  readonly start: number
  readonly end: number
  readonly ownMs: number
}

interface Node {
  readonly id: number
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  readonly children?: number[] | undefined
}

/** Measures each turn of the event loop by reading the clock once per turn. */
export class TurnWatch {
  readonly #culprits: boolean
  readonly #session = new Session()
  readonly #collections: { start: number; end: number }[] = []
  readonly #observer: PerformanceObserver
  readonly #turns: Turn[] = []
  #heartbeat: NodeJS.Immediate | undefined
  #over = 0
  #longestMs = 0
  #began = 0

  /** With `culprits`, names the functions of the longest turn, which makes turns somewhat longer. */
  constructor(culprits: boolean) {
    this.#culprits = culprits
    this.#observer = new PerformanceObserver((list) => {
      for (const { startTime, duration } of list.getEntries()) {
        this.#collections.push({ start: startTime, end: startTime + duration })
      }
    })
  }

  /** Returns the turns of a task, including its own synchronous part. */
  static async during(
    task: () => unknown,
    culprits: boolean,
    until: Promise<unknown> = Promise.resolve()
  ): Promise<TurnReport> {
    const watch = new TurnWatch(culprits)
    await watch.begin()
    await Promise.all([task(), until])
    return watch.end()
  }

  /** Starts with the next turn. */
  async begin(): Promise<void> {
    if (this.#culprits) {
      this.#session.connect()
      await this.#session.post('Profiler.enable')
      await this.#session.post('Profiler.setSamplingInterval', { interval: 200 })
      await this.#session.post('Profiler.start')
    }
    this.#observer.observe({ entryTypes: ['gc'] })
    await new Promise((resolve) => setTimeout(resolve, 20))
    const clock = new RunQueueClock()
    this.#began = performance.now()
    let before = this.#began
    let waitedBefore = clock.read()
    const beat = (): void => {
      const now = performance.now()
      const lengthMs = now - before
      // Most turns are very short, and the CPU clock costs more than they take.
      if (lengthMs > 1) {
        const waited = clock.read()
        const ownMs = Math.max(0, lengthMs - (waited - waitedBefore))
        waitedBefore = waited
        this.#longestMs = Math.max(this.#longestMs, lengthMs)
        if (ownMs > longMs) this.#over++
        const longest = this.#turns.at(-1)
        if (longest === undefined || ownMs > longest.ownMs)
          this.#turns.push({ start: before, end: now, ownMs })
      }
      before = performance.now()
      this.#heartbeat = setImmediate(beat)
    }
    await new Promise<void>((resolve) => {
      this.#heartbeat = setImmediate(() => {
        before = performance.now()
        waitedBefore = clock.read()
        beat()
        resolve()
      })
    })
  }

  /** Stops and returns the result. */
  async end(): Promise<TurnReport> {
    // Includes the turn of the last callbacks.
    await new Promise((resolve) => setImmediate(resolve))
    await new Promise((resolve) => setImmediate(resolve))
    clearImmediate(this.#heartbeat)
    const allMs = performance.now() - this.#began
    const longest = this.#turns.at(-1)
    await new Promise((resolve) => setTimeout(resolve, 20))
    this.#observer.disconnect()
    const culprits = this.#culprits && longest !== undefined ? await this.#name(longest) : []
    if (this.#culprits) this.#session.disconnect()
    return {
      longestMs: this.#longestMs,
      ownMs: longest?.ownMs ?? 0,
      gcMs: longest === undefined ? 0 : this.#collected(longest),
      over: this.#over,
      allMs,
      culprits
    }
  }

  #collected({ start, end }: Turn): number {
    return this.#collections.reduce(
      (sum, gc) => sum + Math.max(0, Math.min(end, gc.end) - Math.max(start, gc.start)),
      0
    )
  }

  async #name({ start, end }: Turn): Promise<string[]> {
    const { profile } = await this.#session.post('Profiler.stop')
    const offset = Number(process.hrtime.bigint()) / 1e6 - performance.now()
    const nodes = new Map<number, Node>()
    const parents = new Map<number, number>()
    for (const node of profile.nodes) {
      nodes.set(node.id, node)
      for (const child of node.children ?? []) parents.set(child, node.id)
    }
    const total = new Map<string, number>()
    let at = profile.startTime / 1000 - offset
    for (const [n, id] of (profile.samples ?? []).entries()) {
      const tookMs = (profile.timeDeltas?.[n] ?? 0) / 1000
      at += tookMs
      if (at < start || at - tookMs > end) continue
      const seen = new Set<string>()
      for (let node = nodes.get(id); node !== undefined; node = nodes.get(parents.get(node.id) ?? -1)) {
        const name = nameOf(node)
        if (name !== undefined && !seen.has(name)) total.set(name, (total.get(name) ?? 0) + tookMs)
        if (name !== undefined) seen.add(name)
      }
    }
    return [...total]
      .sort(([, a], [, b]) => b - a)
      .slice(0, mostNamed)
      .map(([name, ms]) => `${name} ${ms.toFixed(1)}`)
  }
}

/** Returns the name of a library function, or of garbage collection; undefined for everything else. */
function nameOf({ callFrame: { functionName, url, lineNumber } }: Node): string | undefined {
  if (functionName === '(garbage collector)') return functionName
  const file = /\/lib\/(.*)\.js$/.exec(url)?.[1]
  return file === undefined || url.startsWith('node:')
    ? undefined
    : `${functionName === '' ? 'anonymous' : functionName} (${file}:${lineNumber + 1})`
}

/** Time that this thread has waited for a processor so far, in milliseconds; 0 where the system does not report it. */
class RunQueueClock {
  readonly #memory = Buffer.alloc(128)

  read(): number {
    try {
      const handle = openSync('/proc/thread-self/schedstat', 'r')
      const length = readSync(handle, this.#memory, 0, this.#memory.length, 0)
      closeSync(handle)
      return Number(this.#memory.toString('latin1', 0, length).split(' ')[1]) / 1e6
    } catch {
      return 0
    }
  }
}
