/** Measures a total and the rate of the last few seconds, in bytes; allocates nothing per call. */
export class Meter {
  /** All bytes ever added. */
  total = 0
  /** Allocated with the first bytes, because most meters stay unused. */
  #slots: Float64Array | undefined
  readonly #count: number
  readonly #slotMs: number
  #slot = -1
  #started = -1

  /** Creates a meter over `windowMs` milliseconds in slots of `slotMs`. */
  constructor(windowMs = 4000, slotMs = 250) {
    this.#count = Math.ceil(windowMs / slotMs)
    this.#slotMs = slotMs
  }

  /** Counts `bytes` at the time `now` (ms). */
  add(bytes: number, now: number): void {
    this.#slots ??= new Float64Array(this.#count)
    const slots = this.#slots
    this.#advance(slots, now)
    this.total += bytes
    const at = this.#slot % slots.length
    slots[at] = (slots[at] ?? 0) + bytes
  }

  /**
   * Returns bytes per second over the window that ends at `now`. A younger meter divides by its age, at least
   * one second.
   */
  rate(now: number): number {
    const slots = this.#slots
    if (slots === undefined) return 0
    this.#advance(slots, now)
    let sum = 0
    for (const bytes of slots) sum += bytes
    const windowMs = slots.length * this.#slotMs
    return (sum * 1000) / Math.min(windowMs, Math.max(1000, now - this.#started))
  }

  #advance(slots: Float64Array, now: number): void {
    const slot = Math.floor(now / this.#slotMs)
    if (this.#slot < 0) {
      this.#slot = slot
      this.#started = now
    }
    const steps = Math.min(slot - this.#slot, slots.length)
    for (let n = 1; n <= steps; n++) slots[(slot - n + 1) % slots.length] = 0
    if (slot > this.#slot) this.#slot = slot
  }
}
