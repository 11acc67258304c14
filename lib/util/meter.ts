/** Bytes per second over the last few seconds, and the total, from `add(bytes, now)`; allocates nothing per call. */
export class Meter {
  /** All bytes ever added. */
  total = 0
  readonly #slots: Float64Array
  readonly #slotMs: number
  #slot = -1
  #started = -1

  /** A meter over `windowMs` milliseconds in slots of `slotMs`. */
  constructor(windowMs = 4000, slotMs = 250) {
    this.#slots = new Float64Array(Math.ceil(windowMs / slotMs))
    this.#slotMs = slotMs
  }

  /** Counts `bytes` that came at `now` (milliseconds). */
  add(bytes: number, now: number): void {
    this.#advance(now)
    this.total += bytes
    const at = this.#slot % this.#slots.length
    this.#slots[at] = (this.#slots[at] ?? 0) + bytes
  }

  /** Bytes per second over the window that ends at `now`; a young meter divides by its age (at least one second). */
  rate(now: number): number {
    if (this.#slot < 0) return 0
    this.#advance(now)
    let sum = 0
    for (const bytes of this.#slots) sum += bytes
    const windowMs = this.#slots.length * this.#slotMs
    return (sum * 1000) / Math.min(windowMs, Math.max(1000, now - this.#started))
  }

  #advance(now: number): void {
    const slot = Math.floor(now / this.#slotMs)
    if (this.#slot < 0) {
      this.#slot = slot
      this.#started = now
    }
    const steps = Math.min(slot - this.#slot, this.#slots.length)
    for (let n = 1; n <= steps; n++) this.#slots[(slot - n + 1) % this.#slots.length] = 0
    if (slot > this.#slot) this.#slot = slot
  }
}
