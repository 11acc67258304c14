/** A queue of numbers in one array: nothing is made for what is queued, and nothing is left for a collector. */
export class NumberRing {
  /** How many numbers there are. */
  length = 0
  #head = 0
  #ring: number[] = new Array(8).fill(0)

  /** Adds a number at the end. */
  push(value: number): void {
    if (this.length === this.#ring.length) {
      const old = this.#ring
      const split = this.#head
      this.#ring = [...old.slice(split), ...old.slice(0, split), ...new Array<number>(old.length).fill(0)]
      this.#head = 0
    }
    this.#ring[(this.#head + this.length++) & (this.#ring.length - 1)] = value
  }

  /** Takes the first number out; 0 when there is none. */
  shift(): number {
    if (this.length === 0) return 0
    const value = this.#ring[this.#head] ?? 0
    this.#head = (this.#head + 1) & (this.#ring.length - 1)
    this.length--
    return value
  }

  /** Takes all numbers out. */
  drain(): number[] {
    const all: number[] = []
    while (this.length > 0) all.push(this.shift())
    return all
  }
}
