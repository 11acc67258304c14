import { shuffledGroups } from './shuffled-groups.ts'

const none = new Uint32Array(0)

/** The bucket of a piece that is not in the array. */
const nowhere = 0xffff_ffff

/**
 * Pieces in one array that is divided into buckets; the order within a bucket is random. A piece that moves to the next bucket is
 * swapped with the piece at that end of its old bucket. A removed piece moves to the front part of its bucket, which holds the
 * removed ones. Both are O(1), whatever the number of pieces. Many changes at once are made by a new sort.
 *
 * Invariants: `order[position[piece]] = piece`; bucket b is `[starts[b], starts[b + 1])`, of which `[lives[b], starts[b + 1])`
 * are contained and the rest are removed.
 */
export class PieceBuckets {
  /** Number of pieces and buckets that moves and searches have looked at. */
  steps = 0
  /** Number of buckets. */
  count = 0
  readonly #pieceCount: number
  readonly #together: number
  readonly #random: () => number
  // The arrays are allocated at the first sort: a torrent without peers needs none of them.
  #order: Uint32Array = none
  #position: Uint32Array = none
  #bucket: Uint32Array = none
  /** All pieces in random order: the order inside the buckets after a sort. */
  #shuffled: Uint32Array = none
  #starts: Uint32Array = none
  #lives: Uint32Array = none
  /** Lower bound of the first bucket that contains a piece. */
  #first = 0
  #placed = 0
  /** Bucket steps since the last sort. Once they have cost as much as a sort, the next move is replaced by one. */
  #spent = 0

  /** Creates empty buckets. A sort keeps `together` adjacent pieces of one bucket together; `random` returns [0, 1). */
  constructor(pieceCount: number, together: number, random: () => number) {
    this.#pieceCount = pieceCount
    this.#together = together
    this.#random = random
  }

  /** Number of pieces in the array, contained or removed. */
  get placed(): number {
    return this.#placed
  }

  /** Sorts all pieces into `count` buckets. `bucketOf` returns the bucket of a piece, or -1 to leave it out. */
  sort(count: number, bucketOf: (piece: number) => number): void {
    if (this.#shuffled === none) {
      this.#order = new Uint32Array(this.#pieceCount)
      this.#position = new Uint32Array(this.#pieceCount)
      this.#bucket = new Uint32Array(this.#pieceCount)
      // The array is filled from the end, so the first piece of a group is last here.
      this.#shuffled = shuffledGroups(this.#pieceCount, this.#together, this.#random)
    }
    this.#spent = 0
    this.#first = 0
    this.count = count
    if (this.#starts.length < count + 1) {
      this.#starts = new Uint32Array(count + 1)
      this.#lives = new Uint32Array(count + 1)
    } else this.#starts.fill(0)
    const starts = this.#starts
    for (let piece = 0; piece < this.#pieceCount; piece++) {
      const bucket = bucketOf(piece)
      this.#bucket[piece] = bucket < 0 ? nowhere : bucket
      if (bucket >= 0) starts[bucket] = (starts[bucket] ?? 0) + 1
    }
    let end = 0
    for (let bucket = 0; bucket <= count; bucket++) starts[bucket] = end += starts[bucket] ?? 0
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

  /** Returns the first bucket that contains a piece, or -1. */
  first(): number {
    const bucket = this.#firstFrom(this.#starts[this.#first] ?? 0)
    this.#first = bucket < 0 ? this.count : bucket
    return bucket
  }

  /** Returns the next bucket that contains a piece, or -1. */
  after(bucket: number): number {
    return this.#firstFrom(this.#starts[bucket + 1] ?? 0)
  }

  /** Returns the position of the first contained piece of a bucket. */
  start(bucket: number): number {
    return this.#lives[bucket] ?? 0
  }

  /** Returns the position after the last piece of a bucket. */
  end(bucket: number): number {
    return this.#starts[bucket + 1] ?? 0
  }

  /** Returns the piece at a position in the order of all buckets. */
  at(position: number): number {
    return this.#order[position] ?? 0
  }

  /** Returns the position of a piece. */
  placeOf(piece: number): number {
    return this.#position[piece] ?? 0
  }

  /** Returns the bucket of a contained piece. */
  of(piece: number): number {
    return this.#bucket[piece] ?? 0
  }

  /** Adds a piece to a bucket. Returns false as {@link move} does. */
  insert(piece: number, to: number): boolean {
    let bucket = this.#bucket[piece] ?? nowhere
    if (bucket === nowhere) {
      // A new piece enters at the end of the array, which is the end of the last bucket.
      bucket = this.count - 1
      this.#put(piece, this.#placed++)
      this.#starts[this.count] = this.#placed
      this.#bucket[piece] = bucket
    } else {
      const last = (this.#lives[bucket] ?? 0) - 1
      this.#swap(this.#position[piece] ?? 0, last)
      this.#lives[bucket] = last
    }
    return this.move(piece, to)
  }

  /** Removes a contained piece. */
  remove(piece: number): void {
    const bucket = this.#bucket[piece] ?? 0
    const first = this.#lives[bucket] ?? 0
    this.#swap(this.#position[piece] ?? 0, first)
    this.#lives[bucket] = first + 1
  }

  /**
   * Moves a contained piece to a random position in a bucket. Returns false if a sort is cheaper: the buckets are then invalid
   * until the caller sorts.
   */
  move(piece: number, to: number): boolean {
    const starts = this.#starts
    const lives = this.#lives
    let bucket = this.#bucket[piece] ?? 0
    const distance = Math.abs(to - bucket)
    this.steps += distance + 1
    this.#spent += distance
    if (this.#spent > 4 * this.#placed + this.count) return false
    let at = this.#position[piece] ?? 0
    for (; bucket < to; bucket++) {
      // First to the end of its own bucket, then before the contained pieces of the next.
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
    if (to < this.#first) this.#first = to
    if (distance === 0) return true
    const start = lives[to] ?? 0
    this.#swap(at, start + Math.floor(this.#random() * ((starts[to + 1] ?? 0) - start)))
    return true
  }

  /** Returns the first bucket at or after a position that contains a piece, or -1. */
  #firstFrom(position: number): number {
    for (let at = position; at < this.#placed; ) {
      // Empty buckets occupy no positions and so cost nothing.
      const bucket = this.#bucket[this.#order[at] ?? 0] ?? 0
      const end = this.#starts[bucket + 1] ?? 0
      if ((this.#lives[bucket] ?? 0) < end) return bucket
      this.steps++
      at = end
    }
    return -1
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
}
