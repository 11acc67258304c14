/**
 * Virtual time. Callbacks run in order of time, then of scheduling. A 4-ary heap with keys in typed arrays:
 * reads follow no pointers, which matters with tens of thousands of entries.
 */
export class EventLoop {
  /** Milliseconds. */
  now = 0
  #turn = 0
  #size = 0
  /** For each entry of the heap: when it is due, when it was scheduled, and its index in `#runs`. */
  #times = new Float64Array(64)
  #turns = new Float64Array(64)
  #slots = new Uint32Array(64)
  readonly #runs: (() => void)[] = []
  readonly #freeSlots: number[] = []

  /** Runs `run` when `delayMs` have passed. */
  after(delayMs: number, run: () => void): void {
    this.at(this.now + Math.max(0, delayMs), run)
  }

  /** Runs `run` at a time. */
  at(time: number, run: () => void): void {
    if (this.#size === this.#times.length) this.#grow()
    const times = this.#times
    const slot = this.#freeSlots.pop() ?? this.#runs.length
    this.#runs[slot] = run
    const due = Math.max(time, this.now)
    let index = this.#size++
    while (index > 0) {
      const parent = (index - 1) >> 2
      // At equal times the parent was scheduled earlier.
      if ((times[parent] ?? 0) <= due) break
      this.#copy(parent, index)
      index = parent
    }
    this.#put(index, due, this.#turn++, slot)
  }

  /**
   * Runs due callbacks until `until` returns true, none is left, or the time is `limitMs`. Returns whether
   * `until` ended it.
   */
  run(until: () => boolean, limitMs: number): boolean {
    while (!until()) {
      const due = this.#times[0] ?? 0
      if (this.#size === 0 || due > limitMs) {
        this.now = Math.max(this.now, this.#size === 0 ? this.now : limitMs)
        return false
      }
      const slot = this.#slots[0] ?? 0
      const run = this.#runs[slot]
      this.#runs[slot] = nothing
      this.#freeSlots.push(slot)
      this.#pop()
      this.now = due
      run?.()
    }
    return true
  }

  /** Runs every callback that is due within `ms`. */
  advance(ms: number): void {
    const limit = this.now + ms
    this.run(() => false, limit)
    this.now = limit
  }

  #pop(): void {
    const size = --this.#size
    const times = this.#times
    const turns = this.#turns
    const time = times[size] ?? 0
    const turn = turns[size] ?? 0
    let index = 0
    for (;;) {
      const first = 4 * index + 1
      if (first >= size) break
      let least = first
      let leastTime = times[first] ?? 0
      const end = Math.min(first + 4, size)
      for (let child = first + 1; child < end; child++) {
        const childTime = times[child] ?? 0
        if (childTime > leastTime) continue
        if (childTime === leastTime && (turns[child] ?? 0) > (turns[least] ?? 0)) continue
        least = child
        leastTime = childTime
      }
      if (time < leastTime || (time === leastTime && turn < (turns[least] ?? 0))) break
      this.#copy(least, index)
      index = least
    }
    this.#put(index, time, turn, this.#slots[size] ?? 0)
  }

  #copy(from: number, to: number): void {
    this.#times[to] = this.#times[from] ?? 0
    this.#turns[to] = this.#turns[from] ?? 0
    this.#slots[to] = this.#slots[from] ?? 0
  }

  #put(index: number, time: number, turn: number, slot: number): void {
    this.#times[index] = time
    this.#turns[index] = turn
    this.#slots[index] = slot
  }

  #grow(): void {
    const { length } = this.#times
    const [times, turns, slots] = [this.#times, this.#turns, this.#slots]
    this.#times = new Float64Array(length * 2)
    this.#turns = new Float64Array(length * 2)
    this.#slots = new Uint32Array(length * 2)
    this.#times.set(times)
    this.#turns.set(turns)
    this.#slots.set(slots)
  }
}

function nothing(): void {}

/** Returns a seeded generator of random numbers in [0, 1) (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
