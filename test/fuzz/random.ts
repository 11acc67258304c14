/** Pseudo-random numbers that depend on the seed alone, on every machine (sfc32). */
export class Random {
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: number) {
    this.#a = seed | 0
    this.#b = (seed / 2 ** 32) | 0
    this.#c = 0x9e3779b9
    for (let n = 0; n < 16; n++) this.bits()
  }

  /** Returns 32 random bits as an unsigned number. */
  bits(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  /** Returns an integer from 0 to `count - 1`. */
  below(count: number): number {
    return Math.floor((this.bits() / 2 ** 32) * count)
  }

  /** Returns true once in `count` times. */
  oneIn(count: number): boolean {
    return this.below(count) === 0
  }

  /** Returns an item of a non-empty list. */
  pick<T>(list: readonly [T, ...T[]]): T
  pick<T>(list: readonly T[]): T | undefined
  pick<T>(list: readonly T[]): T | undefined {
    return list[this.below(list.length)]
  }

  /** Returns a length: mostly small, sometimes up to `most`. */
  length(most: number): number {
    const bits = this.below(Math.ceil(Math.log2(most + 1)) + 1)
    return Math.min(most, this.below(2 ** bits))
  }
}

/** Returns a seed from bytes (FNV-1a), so that all randomness of an input repeats with it. */
export function seedOf(bytes: Uint8Array): number {
  let hash = 0x811c9dc5
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash >>> 0
}
