import { CellCounts } from '../metainfo/piece-cells.ts'
import { bitsLength, clearBit, countBits, hasBit, setBit } from '../util/bits.ts'
import { Additions } from './additions.ts'
import { commonBits } from './common-bits.ts'
import { PieceBuckets } from './piece-buckets.ts'
import { bucketOf } from './request-order.ts'

/** This many of the best pieces are checked one by one. A search that ends among them has found the very best. */
export const exactLooks = 256
/** Number of pieces that are checked in each further bucket. */
export const sampleLooks = 32
/** After this many checks, any piece that fits is good enough. */
export const mostLooks = 1024
/** Number of good enough pieces of which the best is chosen. */
const mostCandidates = 64
/** Joins and leaves that are tolerated without a sort, as a fraction of the peers. */
const lagPart = 1 / 16

/** The `lacking` counts while a seed is connected: all zero. */
const nothingLacking: Pick<CellCounts, 'at'> = { at: () => 0 }

/** The selection priorities of pieces; the piece table implements it. */
export interface Priorities {
  readonly pieceCount: number
  /** Returns the priority of a piece, 1 to 7, or 0 if it is not selected. */
  priority(piece: number): number
}

/**
 * The missing pieces that are still to be picked, best first: higher priority before lower, then the piece that fewer peers
 * have. Pieces that no peer has come last in their priority, and equals come in random order.
 *
 * The pieces lie in buckets of equal priority and availability, in which a change of one piece is O(1), whatever the number of
 * pieces and peers. A change of many pieces only marks the buckets as unsorted, and the next search sorts them by counting. A peer with
 * many pieces that joins a large swarm moves only the pieces that no peer had before; the buckets are sorted once a sixteenth
 * of the peers has come or gone.
 *
 * `request-order.ts` decides which bucket comes first. The first bucket of each priority holds the pieces that no leecher has.
 */
export class RarityOrder {
  /** Number of peers, without seeds, that have each piece, including pieces that are not contained. Read only. */
  readonly leechers: Uint32Array
  /** Number of seeds. They only change the place of one bucket of each priority, so they never cause a sort. */
  #seeds = 0
  /** The pieces that were added. */
  readonly additions: Additions = new Additions()
  /** Number of pieces and buckets that searches and sorts have looked at. */
  #ownSteps = 0
  readonly #random: () => number
  readonly #priorities: Priorities
  readonly #buckets: PieceBuckets
  /** Bit i (from the high end of each byte) is set if piece i is contained. */
  readonly #contained: Uint8Array
  /** The class of each priority, counted from the highest. Only priorities that were ever used have buckets. */
  readonly #classOf = new Uint8Array(8)
  #used = 0
  /** Number of buckets of a class: availability 0 to width - 1. */
  #width = 0
  #size = 0
  #unsorted = true
  /** Number of peers whose bitfields are counted. */
  #peers = 0
  /** Number of joins and leaves of peers with many pieces since the last sort. */
  #lag = 0
  /** Whether a search has run since a peer last came or went. */
  #searched = false
  #lacking: CellCounts | undefined

  /**
   * Creates an empty order over pieces that no peer has. `random` returns [0, 1). Among pieces of equal rank, `together` adjacent
   * ones follow each other, because small adjacent pieces can be written together.
   */
  constructor(priorities: Priorities, random: () => number, together = 1) {
    const { pieceCount } = priorities
    this.#priorities = priorities
    this.#buckets = new PieceBuckets(pieceCount, together, random)
    this.#random = random
    // One buffer for both arrays, because each buffer has a memory overhead.
    const containedLength = bitsLength(pieceCount)
    const memory = new ArrayBuffer(4 * pieceCount + containedLength)
    this.leechers = new Uint32Array(memory, 0, pieceCount)
    // The offset is a multiple of 4, so that the bits can be read in words.
    this.#contained = new Uint8Array(memory, 4 * pieceCount, containedLength)
  }

  /** Number of pieces and buckets that searches, moves and sorts have looked at. */
  get steps(): number {
    return this.#ownSteps + this.#buckets.steps
  }

  /** Number of contained pieces. */
  get size(): number {
    return this.#size
  }

  /** For each cell of a coarse map, the number of pieces that no peer has. Counted at the first call, updated from then on. */
  get lacking(): Pick<CellCounts, 'at'> {
    if (this.#seeds > 0) return nothingLacking
    this.#lacking ??= new CellCounts(this.leechers, -1, true)
    return this.#lacking
  }

  /** Returns the number of peers that have a piece, including seeds. */
  availability(piece: number): number {
    return (this.leechers[piece] ?? 0) + this.#seeds
  }

  /** Whether the piece is contained. */
  has(piece: number): boolean {
    return hasBit(this.#contained, piece)
  }

  /** Returns all contained pieces, best first. O(pieces): for display and tests. */
  list(): number[] {
    if (this.#unsorted) this.#sort()
    const list: number[] = []
    const push = (bucket: number): void => {
      for (let at = this.#buckets.start(bucket); at < this.#buckets.end(bucket); at++)
        list.push(this.#buckets.at(at))
    }
    for (let first = 0; first < this.#buckets.count; first += this.#width) {
      if (this.#seeds > 0) push(first)
      for (let bucket = first + 1; bucket < first + this.#width; bucket++) push(bucket)
      if (this.#seeds === 0) push(first)
    }
    return list
  }

  /**
   * Returns the best piece that some peer has and for which `fits` returns true, or -1. `bits` are the pieces of the asking peer
   * (high bit first, BEP 3), or undefined for all: no other piece may fit.
   *
   * The {@link exactLooks} best pieces are checked one by one. If none of them fits, the asking peer has few rare pieces: then only
   * {@link sampleLooks} of each further bucket are checked, so a bucket in which few pieces fit may be missed. After
   * {@link mostLooks} checks, any piece that fits is good enough. A search therefore takes a bounded number of checks and one
   * pass over the bytes of `bits`, however large the torrent is.
   */
  find(fits: (piece: number) => boolean, bits: Uint8Array | undefined): number {
    this.#searched = true
    if (this.#unsorted) this.#sort()
    const buckets = this.#buckets
    let looks = 0
    let all = true
    for (let bucket = buckets.first(); bucket >= 0; bucket = buckets.after(bucket)) {
      if (this.#seeds === 0 && bucket % this.#width === 0) continue
      const start = buckets.start(bucket)
      const end = buckets.end(bucket)
      const count = Math.min(end - start, Math.max(sampleLooks, exactLooks - looks))
      for (let at = start; at < start + count; at++) {
        looks++
        const piece = buckets.at(at)
        if (!fits(piece)) continue
        this.#ownSteps += looks
        return piece
      }
      if (count < end - start) all = false
      if (looks < mostLooks) continue
      all = false
      break
    }
    this.#ownSteps += looks
    return all ? -1 : this.#anyOf(fits, bits ?? this.#contained)
  }

  /** Adds a piece, or moves it to its current priority if it is contained. */
  add(piece: number): void {
    if (piece >= this.leechers.length) return
    this.#use(this.#priorities.priority(piece))
    if (this.has(piece)) {
      if (!this.#unsorted) this.#reclass(piece)
      return
    }
    setBit(this.#contained, piece)
    this.#size++
    this.additions.add(piece)
    if (this.#unsorted) return
    if (!this.#buckets.insert(piece, this.#bucketOf(piece))) this.#unsorted = true
  }

  /** Removes a piece. Its availability is still counted. */
  remove(piece: number): void {
    if (!this.has(piece)) return
    clearBit(this.#contained, piece)
    this.#size--
    if (this.#unsorted) return
    this.#buckets.remove(piece)
    // Searches would pass over the removed pieces again and again.
    if (this.#buckets.placed > 2 * this.#size + exactLooks) this.#unsorted = true
  }

  /** Counts one more peer, not a seed, that has the piece. */
  increment(piece: number): void {
    if (piece < this.leechers.length) this.#changeCount(piece, 1)
  }

  /** Counts one peer less, not a seed, that has the piece; never below 0. */
  decrement(piece: number): void {
    if ((this.leechers[piece] ?? 0) > 0) this.#changeCount(piece, -1)
  }

  /** Counts a peer's whole bitfield (high bit first, spare bits ignored, BEP 3), or a seed. */
  addPeer(bitfield: Uint8Array | 'all'): void {
    this.#countMany(bitfield, 1)
  }

  /** Reverts `addPeer`. The bitfield must be the peer's current one. */
  removePeer(bitfield: Uint8Array | 'all'): void {
    this.#countMany(bitfield, -1)
  }

  #countMany(bitfield: Uint8Array | 'all', step: 1 | -1): void {
    if (bitfield === 'all') {
      this.#seeds = Math.max(0, this.#seeds + step)
      return
    }
    this.#countBits(bitfield, step)
    // The sort is part of the cost of the peer that caused it, not of the next search.
    if (this.#unsorted && this.#searched) this.#sort()
    this.#searched = false
  }

  #countBits(bitfield: Uint8Array, step: 1 | -1): void {
    const { leechers } = this
    this.#peers = Math.max(0, this.#peers + step)
    // A sort looks at every contained piece once; a single move costs about four times as much.
    const many = countBits(bitfield) * 4 > this.#size
    if (many && !this.#unsorted && ++this.#lag > this.#peers * lagPart) this.#unsorted = true
    const end = Math.min(leechers.length, bitfield.length * 8)
    if (!this.#unsorted && !many) {
      for (let piece = 0; piece < end; piece++) {
        const bits = bitfield[piece >> 3] ?? 0
        if (bits === 0) piece |= 7
        else if ((bits & (0x80 >> (piece & 7))) !== 0) this.#changeCount(piece, step)
      }
      return
    }
    // A piece that becomes available, or ceases to be, must always move.
    const edge = step > 0 ? 1 : 0
    const moves = !this.#unsorted
    const looks = moves || this.#lacking !== undefined
    for (let piece = 0; piece < end; piece++) {
      const bit = ((bitfield[piece >> 3] ?? 0) >> (7 - (piece & 7))) & 1
      // Avoids a branch on the bit, which is unpredictable.
      const before = leechers[piece] ?? 0
      const count = Math.max(0, before + step * bit)
      leechers[piece] = count
      if (count !== edge || !looks || count === before) continue
      this.#lacking?.add(piece, step > 0 ? -1 : 1)
      if (moves) this.#refile(piece)
    }
  }

  #refile(piece: number): void {
    if (!this.#unsorted && this.has(piece)) this.#moveTo(piece, this.#bucketOf(piece))
  }

  #changeCount(piece: number, step: 1 | -1): void {
    const count = (this.leechers[piece] ?? 0) + step
    if (count < 0) return
    this.leechers[piece] = count
    if (count === (step > 0 ? 1 : 0)) this.#lacking?.add(piece, step > 0 ? -1 : 1)
    if (this.#unsorted || !this.has(piece)) return
    // Joins and leaves that caused no sort left the piece in the bucket of an older count; moving it one bucket is no less accurate.
    const bucket = this.#buckets.of(piece)
    const filed = bucket % this.#width
    const to = count === 0 ? 0 : Math.max(1, filed + step)
    if (to >= this.#width) this.#unsorted = true
    else this.#moveTo(piece, bucket - filed + to)
  }

  #bucketOf(piece: number): number {
    const priorityClass = this.#classOf[classPriority(this.#priorities.priority(piece))] ?? 0
    return bucketOf(priorityClass, this.leechers[piece] ?? 0, this.#width)
  }

  /** Moves a contained piece to the buckets of its priority if it is in those of another one. */
  #reclass(piece: number): void {
    const to = this.#bucketOf(piece)
    const from = this.#buckets.of(piece)
    if (Math.floor(to / this.#width) !== Math.floor(from / this.#width)) this.#moveTo(piece, to)
  }

  /** Returns the best of the first pieces that fit, searching from a random position in the torrent. */
  #anyOf(fits: (piece: number) => boolean, bits: Uint8Array): number {
    const from = Math.floor(this.#random() * this.#contained.length)
    let best = -1
    this.#ownSteps += commonBits(this.#contained, bits, from, mostCandidates, (piece) => {
      if (fits(piece) && (best < 0 || this.#buckets.placeOf(piece) < this.#buckets.placeOf(best)))
        best = piece
    })
    return best
  }

  #moveTo(piece: number, to: number): void {
    if (!this.#buckets.move(piece, to)) this.#unsorted = true
  }

  #use(priority: number): void {
    const bit = 1 << classPriority(priority)
    if ((this.#used & bit) !== 0) return
    this.#used |= bit
    this.#unsorted = true
  }

  #sort(): void {
    this.#unsorted = false
    this.#lag = 0
    this.#ownSteps += this.leechers.length + this.#buckets.count
    let most = 0
    for (let piece = 0; piece < this.leechers.length; piece++) {
      most = Math.max(most, this.leechers[piece] ?? 0)
      // The order may not have been told of a changed priority yet.
      if (this.has(piece)) this.#used |= 1 << classPriority(this.#priorities.priority(piece))
    }
    let classes = 0
    for (let priority = 7; priority > 0; priority--) {
      if ((this.#used & (1 << priority)) !== 0) this.#classOf[priority] = classes++
    }
    // The extra half avoids a sort for each new peer while the swarm grows.
    if (most >= this.#width || most * 4 < this.#width) this.#width = Math.max(8, most + (most >> 1) + 2)
    this.#buckets.sort(classes * this.#width, (piece) => (this.has(piece) ? this.#bucketOf(piece) : -1))
  }
}

/** Returns the priority under which a contained piece is filed. A piece that was just deselected and will be removed comes last. */
function classPriority(priority: number): number {
  return Math.max(1, priority)
}
