/** One measured value. */
export interface Measurement {
  /** Name of the value, such as `decode, chunks of 64 KiB`. */
  readonly name: string
  readonly value: number
  /** Unit of the value, such as `MB/s`; 1 MB is 10^6 bytes. */
  readonly unit: string
}

/** A benchmark that `npm run bench` can run by name. */
export interface Benchmark {
  readonly name: string
  /** Runs the measurement. `folder` is empty, on fast storage if possible, and removed afterwards. */
  run(folder: string): Promise<Measurement[]> | Measurement[]
}

/**
 * Runs a step repeatedly for about `ms` milliseconds after a short warm-up, and returns units per second; the step returns how many
 * units it did. The best of three parts counts, because other work on the machine can only slow it down.
 */
export function perSecond(step: () => number, ms = 450): number {
  const warm = performance.now() + ms / 5
  while (performance.now() < warm) step()
  let best = 0
  for (let part = 0; part < 3; part++) {
    const start = performance.now()
    let units = 0
    let elapsedMs = 0
    while (elapsedMs < ms / 3) {
      units += step()
      elapsedMs = performance.now() - start
    }
    best = Math.max(best, (units / elapsedMs) * 1000)
  }
  return best
}

/** Returns the median. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}

/** Returns a generator of the same numbers in [0, 1) in every run (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
