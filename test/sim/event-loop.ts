interface Entry {
  readonly at: number
  readonly turn: number
  readonly run: () => void
}

/** Virtual time: what is scheduled runs in order of time, and of scheduling where times are equal. */
export class EventLoop {
  /** Milliseconds. */
  now = 0
  #turn = 0
  readonly #heap: Entry[] = []

  /** Runs `run` when `delayMs` have passed. */
  after(delayMs: number, run: () => void): void {
    this.at(this.now + Math.max(0, delayMs), run)
  }

  /** Runs `run` at a time. */
  at(time: number, run: () => void): void {
    const heap = this.#heap
    const entry = { at: Math.max(time, this.now), turn: this.#turn++, run }
    let index = heap.push(entry) - 1
    for (; index > 0; ) {
      const parent = (index - 1) >> 1
      const above = heap[parent]
      if (above === undefined || before(above, entry)) break
      heap[index] = above
      index = parent
    }
    heap[index] = entry
  }

  /** Runs what is due until `until` says yes, nothing is left, or the time is `limitMs`; says whether `until` did. */
  run(until: () => boolean, limitMs: number): boolean {
    while (!until()) {
      const next = this.#heap[0]
      if (next === undefined || next.at > limitMs) {
        this.now = Math.max(this.now, next === undefined ? this.now : limitMs)
        return false
      }
      this.#pop()
      this.now = next.at
      next.run()
    }
    return true
  }

  /** Runs everything that is due within `ms`. */
  advance(ms: number): void {
    const limit = this.now + ms
    this.run(() => false, limit)
    this.now = limit
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      let below = heap[child]
      const right = heap[child + 1]
      if (below !== undefined && right !== undefined && before(right, below)) {
        below = right
        child++
      }
      if (below === undefined || before(last, below)) break
      heap[index] = below
      index = child
    }
    heap[index] = last
  }
}

function before(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.turn < b.turn)
}

/** Random numbers in [0, 1) that a seed decides (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
