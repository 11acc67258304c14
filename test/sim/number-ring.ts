/** A queue of numbers in one array, without an allocation for each entry. */
export class NumberRing {
  /** Number of entries. */
  length = 0
  #head = 0
  #ring: number[] = new Array(8).fill(0)

  /** Appends a number. */
  push(value: number): void {
    if (this.length === this.#ring.length) {
      const old = this.#ring
      const split = this.#head
      this.#ring = [...old.slice(split), ...old.slice(0, split), ...new Array<number>(old.length).fill(0)]
      this.#head = 0
    }
    this.#ring[(this.#head + this.length++) & (this.#ring.length - 1)] = value
  }

  /** Removes and returns the first number; 0 when empty. */
  shift(): number {
    if (this.length === 0) return 0
    const value = this.#ring[this.#head] ?? 0
    this.#head = (this.#head + 1) & (this.#ring.length - 1)
    this.length--
    return value
  }

  /** Removes and returns all numbers. */
  drain(): number[] {
    const all: number[] = []
    while (this.length > 0) all.push(this.shift())
    return all
  }
}
