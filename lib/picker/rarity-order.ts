import { CellCounts } from '../metainfo/piece-cells.ts'
import { bitsLength, clearBit, countBits, hasBit, setBit } from '../util/bits.ts'
import { Additions } from './additions.ts'
import { commonBits } from './common-bits.ts'
import { shuffledGroups } from './shuffled-groups.ts'

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

const none = new Uint32Array(0)

/** The selection priorities of pieces, as the table of pieces has them. */
export interface Priorities {
  readonly pieceCount: number
  /** The priority of a piece, 1 to 7, or 0 when it is not selected. */
  priority(piece: number): number
}

/** A piece that lies in no bucket. */
const nowhere = 0xffff_ffff

/**
 * The pieces that are still to be picked, best first: higher priority before lower, and among equals the piece that
 * fewer peers have; pieces that nobody has come last of their priority, and equals stand in random order.
 *
 * The pieces lie in one array, divided into buckets of equal priority and availability. A piece whose availability changes by
 * one swaps places with one end of its bucket, and one that is taken out goes to the front part of its bucket, where those lie that
 * are no longer contained: both are O(1), whatever the number of pieces and peers. After a change of many pieces the array is only
 * marked, and sorted by counting at the next look; a peer that joins a large swarm with many pieces moves only those that nobody had
 * before, and the array is sorted once a sixteenth of the peers came or went.
 *
 * Invariants while not marked: `order[position[piece]] = piece`; bucket b is `[starts[b], starts[b + 1])`, and of it
 * `[lives[b], starts[b + 1])` are contained. The first bucket of each priority holds what nobody has.
 */
export class RarityOrder {
  /** How many peers have each piece, also of pieces that are not contained. To be read, not written. */
  readonly availability: Uint32Array
  /** Pieces that were put in. */
  readonly additions: Additions = new Additions()
  /** How many pieces and buckets searches, moves and sorts have looked at. */
  steps = 0
  readonly #random: () => number
  readonly #together: number
  readonly #priorities: Priorities
  // These are made for the first look: a torrent without peers needs none of them.
  #order: Uint32Array = none
  #position: Uint32Array = none
  #bucket: Uint32Array = none
  /** Bit i (from the high end of each byte) says that piece i is contained. */
  readonly #contained: Uint8Array
  /** All pieces in random order: the order inside the buckets after a sort. */
  #shuffled: Uint32Array = none
  /** For each priority ever used its class, counted from the highest; buckets exist for used priorities only. */
  readonly #classOf = new Uint8Array(8)
  #used = 0
  /** Buckets of a class: availability 0 to width - 1. */
  #width = 0
  #buckets = 0
  #starts: Uint32Array = none
  #lives: Uint32Array = none
  /** No piece is contained in buckets before this one. */
  #firstBucket = 0
  /** Pieces in the array, contained or not. */
  #placed = 0
  #size = 0
  #marked = true
  /** Bucket steps since the last sort: once they have cost as much as a sort, the next is one. */
  #spent = 0
  /** Peers whose bitfields are counted, and how many of them came or went since the last sort without being sorted for. */
  #peers = 0
  #lag = 0
  /** Whether anything was searched for since a peer last came or went. */
  #searched = false
  #lacking: CellCounts | undefined

  /**
   * An empty order over pieces that nobody has; `random` returns [0, 1). Equals stand in groups of `together`
   * neighbours, in random order: small pieces that come one after the other can be written together.
   */
  constructor(priorities: Priorities, random: () => number, together = 1) {
    const { pieceCount } = priorities
    this.#priorities = priorities
    this.#together = together
    this.#random = random
    // In one piece of memory, as each takes some besides.
    const containedLength = bitsLength(pieceCount)
    const memory = new ArrayBuffer(4 * pieceCount + containedLength)
    this.availability = new Uint32Array(memory, 0, pieceCount)
    // At a multiple of 4, so that it can be read in words.
    this.#contained = new Uint8Array(memory, 4 * pieceCount, containedLength)
  }

  /** How many pieces are contained. */
  get size(): number {
    return this.#size
  }

  /** How many pieces of each cell of a coarse map no peer has; counted at the first call, and kept up from then on. */
  get lacking(): CellCounts {
    this.#lacking ??= new CellCounts(this.availability, -1, true)
    return this.#lacking
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
      list.push(...this.#order.subarray(this.#lives[bucket] ?? 0, this.#starts[bucket + 1] ?? 0))
    }
    for (let first = 0; first < this.#buckets; first += this.#width) {
      for (let bucket = first + 1; bucket < first + this.#width; bucket++) push(bucket)
      push(first)
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
    const order = this.#order
    let looks = 0
    let all = true
    let bucket = this.#firstFrom(this.#starts[this.#firstBucket] ?? 0)
    this.#firstBucket = bucket < 0 ? this.#buckets : bucket
    for (; bucket >= 0; bucket = this.#firstFrom(this.#starts[bucket + 1] ?? 0)) {
      if (bucket % this.#width === 0) continue
      const start = this.#lives[bucket] ?? 0
      const end = this.#starts[bucket + 1] ?? 0
      const count = Math.min(end - start, Math.max(sampleLooks, exactLooks - looks))
      for (let at = start; at < start + count; at++) {
        looks++
        const piece = order[at] ?? 0
        if (!fits(piece)) continue
        this.steps += looks
        return piece
      }
      if (count < end - start) all = false
      if (looks < mostLooks) continue
      all = false
      break
    }
    this.steps += looks
    return all ? -1 : this.#anyOf(fits, bits ?? this.#contained)
  }

  /** Puts a piece in, or moves it to where its priority belongs when it is there. */
  add(piece: number): void {
    if (piece >= this.availability.length) return
    this.#use(this.#priorities.priority(piece))
    if (this.has(piece)) {
      if (!this.#marked) this.#reclass(piece)
      return
    }
    setBit(this.#contained, piece)
    this.#size++
    this.additions.add(piece)
    if (this.#marked) return
    let bucket = this.#bucket[piece] ?? nowhere
    if (bucket === nowhere) {
      // At the end of the array, which is the end of the last bucket.
      bucket = this.#buckets - 1
      this.#put(piece, this.#placed++)
      this.#starts[this.#buckets] = this.#placed
      this.#bucket[piece] = bucket
    } else {
      const last = (this.#lives[bucket] ?? 0) - 1
      this.#swap(this.#position[piece] ?? 0, last)
      this.#lives[bucket] = last
    }
    this.#moveTo(piece, this.#bucketOf(piece))
  }

  /** Takes a piece out; its availability is still counted. */
  remove(piece: number): void {
    if (!this.has(piece)) return
    clearBit(this.#contained, piece)
    this.#size--
    if (this.#marked) return
    const bucket = this.#bucket[piece] ?? 0
    const first = this.#lives[bucket] ?? 0
    this.#swap(this.#position[piece] ?? 0, first)
    this.#lives[bucket] = first + 1
    // Buckets of nothing but what was taken out would be passed over again and again.
    if (this.#placed > 2 * this.#size + exactLooks) this.#marked = true
  }

  /** Counts one more peer that has the piece. */
  increment(piece: number): void {
    if (piece < this.availability.length) this.#step(piece, 1)
  }

  /** Counts one peer less that has the piece; never below 0. */
  decrement(piece: number): void {
    if ((this.availability[piece] ?? 0) > 0) this.#step(piece, -1)
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
    if (bitfield === 'all') this.#countAll(step)
    else this.#countBits(bitfield, step)
    // Peers that come and go cause the sort, so it belongs to what they cost, and not to the next search.
    if (this.#marked && this.#searched) this.#sort()
    this.#searched = false
  }

  #countAll(step: 1 | -1): void {
    const { availability } = this
    this.#marked = true
    this.#lacking = undefined
    for (let piece = 0; piece < availability.length; piece++)
      availability[piece] = Math.max(0, (availability[piece] ?? 0) + step)
  }

  #countBits(bitfield: Uint8Array, step: 1 | -1): void {
    const { availability } = this
    this.#peers = Math.max(0, this.#peers + step)
    // A sort looks at every contained piece once, a single move costs a few times as much.
    const many = countBits(bitfield) * 4 > this.#size
    if (many && !this.#marked && ++this.#lag > this.#peers * lagPart) this.#marked = true
    const end = Math.min(availability.length, bitfield.length * 8)
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
      const before = availability[piece] ?? 0
      const count = Math.max(0, before + step * bit)
      availability[piece] = count
      if (count !== edge || !looks || count === before) continue
      this.#lacking?.add(piece, step > 0 ? -1 : 1)
      if (moves) this.#refile(piece)
    }
  }

  #refile(piece: number): void {
    if (!this.#marked && this.has(piece)) this.#moveTo(piece, this.#bucketOf(piece))
  }

  #step(piece: number, step: 1 | -1): void {
    const count = (this.availability[piece] ?? 0) + step
    if (count < 0) return
    this.availability[piece] = count
    if (count === (step > 0 ? 1 : 0)) this.#lacking?.add(piece, step > 0 ? -1 : 1)
    if (this.#marked || !this.has(piece)) return
    // Where peers came or went unsorted, the bucket is that of another count: one step from there is as true as before.
    const bucket = this.#bucket[piece] ?? 0
    const filed = bucket % this.#width
    const to = count === 0 ? 0 : Math.max(1, filed + step)
    if (to >= this.#width) this.#marked = true
    else this.#moveTo(piece, bucket - filed + to)
  }

  #bucketOf(piece: number): number {
    const first = (this.#classOf[classPriority(this.#priorities.priority(piece))] ?? 0) * this.#width
    return first + Math.min(this.availability[piece] ?? 0, this.#width - 1)
  }

  /** Moves a contained piece to the bucket of its priority if it lies among those of another one. */
  #reclass(piece: number): void {
    const to = this.#bucketOf(piece)
    const from = this.#bucket[piece] ?? 0
    if (Math.floor(to / this.#width) !== Math.floor(from / this.#width)) this.#moveTo(piece, to)
  }

  /** The first bucket from a position on that contains a piece, or -1. */
  #firstFrom(position: number): number {
    for (let at = position; at < this.#placed; ) {
      // Empty buckets have no piece and so cost nothing.
      const bucket = this.#bucket[this.#order[at] ?? 0] ?? 0
      const end = this.#starts[bucket + 1] ?? 0
      if ((this.#lives[bucket] ?? 0) < end) return bucket
      this.steps++
      at = end
    }
    return -1
  }

  /** The best of the first pieces that fit, from some place of the torrent on. */
  #anyOf(fits: (piece: number) => boolean, bits: Uint8Array): number {
    const from = Math.floor(this.#random() * this.#contained.length)
    let best = -1
    this.steps += commonBits(this.#contained, bits, from, mostCandidates, (piece) => {
      if (fits(piece) && (best < 0 || (this.#position[piece] ?? 0) < (this.#position[best] ?? 0)))
        best = piece
    })
    return best
  }

  /** Moves a contained piece to a bucket, and there to a random place. */
  #moveTo(piece: number, to: number): void {
    const starts = this.#starts
    const lives = this.#lives
    let bucket = this.#bucket[piece] ?? 0
    const distance = Math.abs(to - bucket)
    this.steps += distance + 1
    this.#spent += distance
    if (this.#spent > 4 * this.#placed + this.#buckets) {
      this.#marked = true
      return
    }
    let at = this.#position[piece] ?? 0
    for (; bucket < to; bucket++) {
      // Behind its own bucket, and so before what is contained of the next.
      const last = (starts[bucket + 1] ?? 0) - 1
      this.#swap(at, last)
      starts[bucket + 1] = last
      at = (lives[bucket + 1] ?? 0) - 1
      this.#swap(last, at)
      lives[bucket + 1] = at
    }
    for (; bucket > to; bucket--) {
      const live = lives[bucket] ?? 0
      const first = starts[bucket] ?? 0
      this.#swap(at, live)
      this.#swap(live, first)
      lives[bucket] = live + 1
      starts[bucket] = first + 1
      at = first
    }
    this.#bucket[piece] = to
    if (to < this.#firstBucket) this.#firstBucket = to
    if (distance === 0) return
    const start = lives[to] ?? 0
    this.#swap(at, start + Math.floor(this.#random() * ((starts[to + 1] ?? 0) - start)))
  }

  #swap(a: number, b: number): void {
    if (a === b) return
    const piece = this.#order[a] ?? 0
    this.#put(this.#order[b] ?? 0, a)
    this.#put(piece, b)
  }

  #put(piece: number, position: number): void {
    this.#order[position] = piece
    this.#position[piece] = position
  }

  #use(priority: number): void {
    const bit = 1 << classPriority(priority)
    if ((this.#used & bit) !== 0) return
    this.#used |= bit
    this.#marked = true
  }

  #sort(): void {
    if (this.#shuffled === none) {
      const { length } = this.availability
      this.#order = new Uint32Array(length)
      this.#position = new Uint32Array(length)
      this.#bucket = new Uint32Array(length)
      // The array is filled from the end, so the first of a group stands last here.
      this.#shuffled = shuffledGroups(length, this.#together, this.#random)
    }
    this.#marked = false
    this.#spent = 0
    this.#lag = 0
    this.#firstBucket = 0
    this.steps += this.availability.length + this.#buckets
    let most = 0
    for (let piece = 0; piece < this.availability.length; piece++) {
      most = Math.max(most, this.availability[piece] ?? 0)
      // A priority may have changed of which the order was not told yet.
      if (this.has(piece)) this.#used |= 1 << classPriority(this.#priorities.priority(piece))
    }
    let classes = 0
    for (let priority = 7; priority > 0; priority--) {
      if ((this.#used & (1 << priority)) !== 0) this.#classOf[priority] = classes++
    }
    // Half as much again, so that a growing swarm does not sort for each new peer.
    if (most >= this.#width || most * 4 < this.#width) this.#width = Math.max(8, most + (most >> 1) + 2)
    this.#buckets = classes * this.#width
    if (this.#starts.length < this.#buckets + 1) {
      this.#starts = new Uint32Array(this.#buckets + 1)
      this.#lives = new Uint32Array(this.#buckets + 1)
    } else this.#starts.fill(0)
    const starts = this.#starts
    for (let piece = 0; piece < this.availability.length; piece++) {
      if (!this.has(piece)) {
        this.#bucket[piece] = nowhere
        continue
      }
      const bucket = this.#bucketOf(piece)
      this.#bucket[piece] = bucket
      starts[bucket] = (starts[bucket] ?? 0) + 1
    }
    let end = 0
    for (let bucket = 0; bucket <= this.#buckets; bucket++) starts[bucket] = end += starts[bucket] ?? 0
    this.#placed = end
    for (let at = 0; at < this.#shuffled.length; at++) {
      const piece = this.#shuffled[at] ?? 0
      const bucket = this.#bucket[piece] ?? nowhere
      if (bucket === nowhere) continue
      const position = (starts[bucket] ?? 0) - 1
      starts[bucket] = position
      this.#put(piece, position)
    }
    this.#lives.set(starts)
  }
}

/** The priority by which a contained piece is filed: one that was deselected just now, and is about to be taken out, comes last. */
function classPriority(priority: number): number {
  return Math.max(1, priority)
}
