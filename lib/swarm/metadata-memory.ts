import { metadataLengthMax } from '../wire/limits.ts'

/** Room for the longest metadata, and half of that for attempts that fail. */
const defaultLimit = 1.5 * metadataLengthMax

/** A torrent that collects its metadata. */
export interface MetadataHolder {
  /**
   * Returns the cost of the attempt that {@link dropCostliest} would drop: the estimated milliseconds until it is whole, divided by the number of
   * peers that claim its length.
   */
  cost(): number
  /** Drops the attempt with the highest cost and releases its bytes; called only while the torrent holds some. */
  dropCostliest(): void
}

/**
 * The limit on incomplete metadata of all torrents of a client together, separate from the memory budget for pieces. A torrent below its
 * fair share loses nothing, whatever peers send to other torrents. Among torrents above it, the one with the highest cost drops an attempt.
 */
export class MetadataMemory {
  readonly limit: number
  readonly #held = new Map<MetadataHolder, number>()
  #used = 0

  /** Sets the limit in bytes; 48 MiB by default. */
  constructor(limit: number = defaultLimit) {
    this.limit = limit
  }

  /** Bytes held by all torrents. */
  get used(): number {
    return this.#used
  }

  /** Charges `bytes` to a holder. Above the limit, attempts of other holders or of this one are dropped. */
  take(holder: MetadataHolder, bytes: number): void {
    this.#add(holder, bytes)
    while (this.#used > this.limit) {
      const worst = this.#worst()
      if (worst === undefined) return
      worst.dropCostliest()
    }
  }

  /** Releases `bytes` of a holder. */
  give(holder: MetadataHolder, bytes: number): void {
    this.#add(holder, -bytes)
  }

  #add(holder: MetadataHolder, bytes: number): void {
    const held = (this.#held.get(holder) ?? 0) + bytes
    this.#used += bytes
    if (held > 0) this.#held.set(holder, held)
    else this.#held.delete(holder)
  }

  /** Returns the holder with the costliest attempt among those above their fair share. */
  #worst(): MetadataHolder | undefined {
    const part = this.limit / this.#held.size
    let worst: MetadataHolder | undefined
    let most = Number.NEGATIVE_INFINITY
    for (const [holder, held] of this.#held) {
      const cost = held > part ? holder.cost() : Number.NEGATIVE_INFINITY
      if (cost <= most) continue
      worst = holder
      most = cost
    }
    return worst
  }
}
