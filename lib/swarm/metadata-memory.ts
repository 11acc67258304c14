import { metadataLengthMax } from '../wire/limits.ts'

/** The longest metadata, and half of that for attempts that come to nothing. */
const defaultLimit = 1.5 * metadataLengthMax

/** A torrent whose metadata is collected. */
export interface MetadataHolder {
  /** Milliseconds until the attempt is whole that {@link spare} would drop, divided by how many claim it; the longer, the less it is worth. */
  waste(): number
  /** Drops the attempt that is worth least, and gives its bytes back; called only while it holds some. */
  spare(): void
}

/**
 * The bound on metadata that is not whole yet, of all torrents of a client together and besides the budget for pieces: it may never
 * be of use. No torrent loses any while it holds less than its equal part, whatever peers send to the others; among torrents with more,
 * the one that will be done last drops an attempt first.
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

  /** Holds `bytes` more, for which others drop attempts, or the holder itself. */
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

  /** The holder whose attempt is worth least, among those above their equal part; there is at least one. */
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
