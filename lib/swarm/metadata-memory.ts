import { metadataLengthMax } from '../wire/limits.ts'

/** The longest metadata, and half of that for what leads nowhere. */
const defaultLimit = 1.5 * metadataLengthMax

/** A torrent whose metadata is collected. */
export interface MetadataHolder {
  /** What {@link spare} would let go: milliseconds until it is whole, divided by how many claim it; the longer, the less it is worth. */
  waste(): number
  /** Lets go of the least that it can do without, and gives its bytes back; called only while it holds some. */
  spare(): void
}

/**
 * The bound on metadata that is not whole yet, of all torrents of a client together and besides the budget for pieces: nobody knows
 * whether it will ever be of use. No torrent loses any while it holds less than its equal part, whatever liars send to the others; of
 * those with more, who will be done last lets go first.
 */
export class MetadataMemory {
  readonly limit: number
  readonly #held = new Map<MetadataHolder, number>()
  #used = 0

  /** A bound of `limit` bytes; by default 48 MiB. */
  constructor(limit: number = defaultLimit) {
    this.limit = limit
  }

  /** Bytes that are held now. */
  get used(): number {
    return this.#used
  }

  /** Holds `bytes` more, for which others let go, or the holder itself. */
  take(holder: MetadataHolder, bytes: number): void {
    this.#add(holder, bytes)
    while (this.#used > this.limit) {
      const worst = this.#worst()
      if (worst === undefined) return
      worst.spare()
    }
  }

  /** Holds `bytes` less. */
  give(holder: MetadataHolder, bytes: number): void {
    this.#add(holder, -bytes)
  }

  #add(holder: MetadataHolder, bytes: number): void {
    const held = (this.#held.get(holder) ?? 0) + bytes
    this.#used += bytes
    if (held > 0) this.#held.set(holder, held)
    else this.#held.delete(holder)
  }

  /** Of those that hold more than an equal part, as somebody must, the one whose is worth least. */
  #worst(): MetadataHolder | undefined {
    const part = this.limit / this.#held.size
    let worst: MetadataHolder | undefined
    let most = Number.NEGATIVE_INFINITY
    for (const [holder, held] of this.#held) {
      const waste = held > part ? holder.waste() : Number.NEGATIVE_INFINITY
      if (waste <= most) continue
      worst = holder
      most = waste
    }
    return worst
  }
}
