import { CellCounts } from '../metainfo/piece-cells.ts'
import { bitsLength, clearBit, countBits, hasBit, setBit } from '../util/bits.ts'
import { Additions } from './additions.ts'
import { commonBits } from './common-bits.ts'
import { PieceBuckets } from './piece-buckets.ts'
import { bucketOf } from './request-order.ts'

/** So many of the best pieces are looked at one by one: where a search ends among them it has found the very best. */
export const exactLooks = 256
/** Further on so many of each bucket are looked at. */
export const sampleLooks = 32
/** After so many looks in all any piece that fits is good enough. */
export const mostLooks = 1024
/** Of pieces that are merely good enough the best of so many is taken. */
const mostCandidates = 64
/** Joins and leaves of peers that are not sorted for at once, as a part of the peers. */
const lagPart = 1 / 16

/** The pieces that no peer has where there is a seed. */
const nothingLacking: Pick<CellCounts, 'at'> = { at: () => 0 }

/** The selection priorities of pieces, as the table of pieces has them. */
export interface Priorities {
  readonly pieceCount: number
  /** The priority of a piece, 1 to 7, or 0 when it is not selected. */
  priority(piece: number): number
}

/**
 * The pieces that are still to be picked, best first: higher priority before lower, and among equals the piece that
 * fewer peers have; pieces that nobody has come last of their priority, and equals stand in random order.
 *
 * The pieces lie in buckets of equal priority and availability, in which a change of one piece is O(1), whatever the number of pieces and peers.
 * After a change of many pieces the buckets are only marked, and sorted by counting at the next look; a peer that joins a large swarm
 * with many pieces moves only those that no peer had before, and the buckets are sorted once a sixteenth of the peers came or went.
 *
 * `request-order.ts` decides which bucket comes first; the first bucket of each priority holds the pieces that no peer but seeds has.
 */
export class RarityOrder {
  /** How many peers that are not seeds have each piece, also of pieces that are not contained. Read only. */
  readonly leechers: Uint32Array
  /** Peers that have all pieces. They change the place of one bucket of each priority, so that none is sorted for. */
  #seeds = 0
  /** Pieces that were put in. */
  readonly additions: Additions = new Additions()
  /** How many pieces and buckets searches and sorts have looked at. */
  #ownSteps = 0
  readonly #random: () => number
  readonly #priorities: Priorities
  readonly #buckets: PieceBuckets
  /** Bit i (from the high end of each byte) says that piece i is contained. */
  readonly #contained: Uint8Array
  /** For each priority ever used its class, counted from the highest; buckets exist for used priorities only. */
  readonly #classOf = new Uint8Array(8)
  #used = 0
  /** Buckets of a class: availability 0 to width - 1. */
  #width = 0
  #size = 0
  #marked = true
  /** Peers whose bitfields are counted, and how many of them came or went since the last sort without being sorted for. */
  #peers = 0
  #lag = 0
  /** Whether anything was searched for since a peer last came or went. */
  #searched = false
  #lacking: CellCounts | undefined

  /**
   * An empty order over pieces that no peer has; `random` returns [0, 1). Equals stand in groups of `together`
   * neighbours, in random order: small pieces that come one after the other can be written together.
   */
  constructor(priorities: Priorities, random: () => number, together = 1) {
    const { pieceCount } = priorities
    this.#priorities = priorities
    this.#buckets = new PieceBuckets(pieceCount, together, random)
    this.#random = random
    // In one piece of memory, as each takes some besides.
    const containedLength = bitsLength(pieceCount)
    const memory = new ArrayBuffer(4 * pieceCount + containedLength)
    this.leechers = new Uint32Array(memory, 0, pieceCount)
    // At a multiple of 4, so that it can be read in words.
    this.#contained = new Uint8Array(memory, 4 * pieceCount, containedLength)
  }

  /** How many pieces and buckets searches, moves and sorts have looked at. */
  get steps(): number {
    return this.#ownSteps + this.#buckets.steps
  }

  /** How many pieces are contained. */
  get size(): number {
    return this.#size
  }

  /** How many pieces of each cell of a coarse map no peer has; counted at the first call, and kept up from then on. */
  get lacking(): Pick<CellCounts, 'at'> {
    if (this.#seeds > 0) return nothingLacking
    this.#lacking ??= new CellCounts(this.leechers, -1, true)
    return this.#lacking
  }

  /** How many peers have a piece. */
  availability(piece: number): number {
    return (this.leechers[piece] ?? 0) + this.#seeds
  }

  /** Whether the piece is contained. */
  has(piece: number): boolean {
    return hasBit(this.#contained, piece)
  }

  /** All pieces that are contained, best first; for display and tests, as it looks at all. */
  list(): number[] {
    if (this.#marked) this.#sort()
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
   * The best piece that somebody has, of those for which `fits` says yes; -1 for none. `bits` are the pieces of whoever asks
   * (high bit first, BEP 3), undefined for all of them: no other piece may fit.
   *
   * The {@link exactLooks} best are looked at one by one. Where none of them fits, whoever asks has little of what is rare: then
   * {@link sampleLooks} of each further bucket are looked at, so that a bucket may be passed over of which only a small part
   * fits; and after {@link mostLooks} any that fits is good enough. So a search takes a bounded number of looks, and one pass over
   * the bytes of `bits`, however large the torrent is.
   */
  find(fits: (piece: number) => boolean, bits: Uint8Array | undefined): number {
    this.#searched = true
    if (this.#marked) this.#sort()
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

  /** Puts a piece in, or moves it to where its priority belongs when it is there. */
  add(piece: number): void {
    if (piece >= this.leechers.length) return
    this.#use(this.#priorities.priority(piece))
    if (this.has(piece)) {
      if (!this.#marked) this.#reclass(piece)
      return
    }
    setBit(this.#contained, piece)
    this.#size++
    this.additions.add(piece)
    if (this.#marked) return
    if (!this.#buckets.insert(piece, this.#bucketOf(piece))) this.#marked = true
  }

  /** Takes a piece out; its availability is still counted. */
  remove(piece: number): void {
    if (!this.has(piece)) return
    clearBit(this.#contained, piece)
    this.#size--
    if (this.#marked) return
    this.#buckets.remove(piece)
    // Buckets of nothing but what was taken out would be passed over again and again.
    if (this.#buckets.placed > 2 * this.#size + exactLooks) this.#marked = true
  }

  /** Counts one more peer that has the piece and is not a seed. */
  increment(piece: number): void {
    if (piece < this.leechers.length) this.#step(piece, 1)
  }

  /** Counts one peer less that has the piece and is not a seed; never below 0. */
  decrement(piece: number): void {
    if ((this.leechers[piece] ?? 0) > 0) this.#step(piece, -1)
  }

  /** Counts a peer's whole bitfield (high bit first, spare bits ignored, BEP 3), or a peer that has all. */
  addPeer(bitfield: Uint8Array | 'all'): void {
    this.#countMany(bitfield, 1)
  }

  /** Takes back what `addPeer` counted: the bitfield must be what the peer has now. */
  removePeer(bitfield: Uint8Array | 'all'): void {
    this.#countMany(bitfield, -1)
  }

  #countMany(bitfield: Uint8Array | 'all', step: 1 | -1): void {
    if (bitfield === 'all') {
      this.#seeds = Math.max(0, this.#seeds + step)
      return
    }
    this.#countBits(bitfield, step)
    // Peers that come and go cause the sort, so it belongs to what they cost, and not to the next search.
    if (this.#marked && this.#searched) this.#sort()
    this.#searched = false
  }

  #countBits(bitfield: Uint8Array, step: 1 | -1): void {
    const { leechers } = this
    this.#peers = Math.max(0, this.#peers + step)
    // A sort looks at every contained piece once, a single move costs a few times as much.
    const many = countBits(bitfield) * 4 > this.#size
    if (many && !this.#marked && ++this.#lag > this.#peers * lagPart) this.#marked = true
    const end = Math.min(leechers.length, bitfield.length * 8)
    if (!this.#marked && !many) {
      for (let piece = 0; piece < end; piece++) {
        const bits = bitfield[piece >> 3] ?? 0
        if (bits === 0) piece |= 7
        else if ((bits & (0x80 >> (piece & 7))) !== 0) this.#step(piece, step)
      }
      return
    }
    // What nobody had before, or nobody has from now on, is never left where it is.
    const edge = step > 0 ? 1 : 0
    const moves = !this.#marked
    const looks = moves || this.#lacking !== undefined
    for (let piece = 0; piece < end; piece++) {
      const bit = ((bitfield[piece >> 3] ?? 0) >> (7 - (piece & 7))) & 1
      // Without a branch on the bit, which no processor could foresee.
      const before = leechers[piece] ?? 0
      const count = Math.max(0, before + step * bit)
      leechers[piece] = count
      if (count !== edge || !looks || count === before) continue
      this.#lacking?.add(piece, step > 0 ? -1 : 1)
      if (moves) this.#refile(piece)
    }
  }

  #refile(piece: number): void {
    if (!this.#marked && this.has(piece)) this.#moveTo(piece, this.#bucketOf(piece))
  }

  #step(piece: number, step: 1 | -1): void {
    const count = (this.leechers[piece] ?? 0) + step
    if (count < 0) return
    this.leechers[piece] = count
    if (count === (step > 0 ? 1 : 0)) this.#lacking?.add(piece, step > 0 ? -1 : 1)
    if (this.#marked || !this.has(piece)) return
    // Where peers came or went unsorted, the bucket is that of another count: one step from there is as true as before.
    const bucket = this.#buckets.of(piece)
    const filed = bucket % this.#width
    const to = count === 0 ? 0 : Math.max(1, filed + step)
    if (to >= this.#width) this.#marked = true
    else this.#moveTo(piece, bucket - filed + to)
  }

  #bucketOf(piece: number): number {
    const priorityClass = this.#classOf[classPriority(this.#priorities.priority(piece))] ?? 0
    return bucketOf(priorityClass, this.leechers[piece] ?? 0, this.#width)
  }

  /** Moves a contained piece to the bucket of its priority if it lies among those of another one. */
  #reclass(piece: number): void {
    const to = this.#bucketOf(piece)
    const from = this.#buckets.of(piece)
    if (Math.floor(to / this.#width) !== Math.floor(from / this.#width)) this.#moveTo(piece, to)
  }

  /** The best of the first pieces that fit, from some place of the torrent on. */
  #anyOf(fits: (piece: number) => boolean, bits: Uint8Array): number {
    const from = Math.floor(this.#random() * this.#contained.length)
    let best = -1
    this.#ownSteps += commonBits(this.#contained, bits, from, mostCandidates, (piece) => {
      if (fits(piece) && (best < 0 || this.#buckets.placeOf(piece) < this.#buckets.placeOf(best)))
        best = piece
    })
    return best
  }

  /** Moves a contained piece to a bucket. */
  #moveTo(piece: number, to: number): void {
    if (!this.#buckets.move(piece, to)) this.#marked = true
  }

  #use(priority: number): void {
    const bit = 1 << classPriority(priority)
    if ((this.#used & bit) !== 0) return
    this.#used |= bit
    this.#marked = true
  }

  #sort(): void {
    this.#marked = false
    this.#lag = 0
    this.#ownSteps += this.leechers.length + this.#buckets.count
    let most = 0
    for (let piece = 0; piece < this.leechers.length; piece++) {
      most = Math.max(most, this.leechers[piece] ?? 0)
      // A priority may have changed of which the order was not told yet.
      if (this.has(piece)) this.#used |= 1 << classPriority(this.#priorities.priority(piece))
    }
    let classes = 0
    for (let priority = 7; priority > 0; priority--) {
      if ((this.#used & (1 << priority)) !== 0) this.#classOf[priority] = classes++
    }
    // Half as much again, so that a growing swarm does not sort for each new peer.
    if (most >= this.#width || most * 4 < this.#width) this.#width = Math.max(8, most + (most >> 1) + 2)
    this.#buckets.sort(classes * this.#width, (piece) => (this.has(piece) ? this.#bucketOf(piece) : -1))
  }
}

/** The priority by which a contained piece is filed: one that was deselected just now, and is about to be taken out, comes last. */
function classPriority(priority: number): number {
  return Math.max(1, priority)
}
