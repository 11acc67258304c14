/**
 * The pieces that are still to be picked, best first: higher priority before lower, and among equals the piece that
 * fewer peers have; pieces that nobody has come last of their priority, and equals stand in random order.
 *
 * The pieces lie in one array, divided into buckets of equal priority and availability. A piece whose availability
 * changes by one swaps places with one end of its bucket, which is O(1). After a change of many pieces the array is
 * only marked, and sorted by counting at the next look.
 *
 * Invariants while not marked: `order[position[piece]] = piece`; bucket b is `[starts[b], starts[b + 1])`.
 */
export class RarityOrder {
  /** How many peers have each piece, also of pieces that are not contained. To be read, not written. */
  readonly availability: Uint32Array
  /** How many pieces were ever put in: unchanged, a search that found nothing would find nothing again. */
  added = 0
  readonly #random: () => number
  readonly #priority: Uint8Array
  readonly #order: Uint32Array
  readonly #position: Uint32Array
  /** All pieces in random order: the order inside the buckets after a sort. */
  readonly #shuffled: Uint32Array
  /** For each priority ever used its class, counted from the highest; buckets exist for used priorities only. */
  readonly #classOf = new Uint8Array(8)
  #used = 0
  /** Buckets of a class: availability 1 to width - 1, then 0. */
  #width = 0
  #buckets = 0
  #starts = new Uint32Array(1)
  #size = 0
  #marked = true

  /** An empty order over `pieceCount` pieces that nobody has; `random` returns [0, 1). */
  constructor(pieceCount: number, random: () => number) {
    this.availability = new Uint32Array(pieceCount)
    this.#random = random
    this.#priority = new Uint8Array(pieceCount)
    this.#order = new Uint32Array(pieceCount)
    this.#position = new Uint32Array(pieceCount)
    this.#shuffled = new Uint32Array(pieceCount)
    for (let piece = 0; piece < pieceCount; piece++) {
      const other = Math.floor(random() * (piece + 1))
      this.#shuffled[piece] = this.#shuffled[other] ?? 0
      this.#shuffled[other] = piece
    }
  }

  /** How many pieces are contained. */
  get size(): number {
    return this.#size
  }

  /** The piece at a position below `size`, best first, else -1. Any change of the order may move it. */
  at(position: number): number {
    if (this.#marked) this.#sort()
    return position < this.#size ? (this.#order[position] ?? -1) : -1
  }

  /** Whether the piece is contained. */
  has(piece: number): boolean {
    return (this.#priority[piece] ?? 0) > 0
  }

  /** The priority of a piece, 1 to 7, or 0 when it is not contained. */
  priority(piece: number): number {
    return this.#priority[piece] ?? 0
  }

  /** Puts a piece in with a priority of 1 to 7, or changes the priority when it is there; 0 removes it. */
  add(piece: number, priority: number): void {
    if (priority <= 0 || this.has(piece)) {
      this.setPriority(piece, priority)
      return
    }
    if (piece >= this.#priority.length) return
    this.#use(priority)
    this.#priority[piece] = Math.min(7, priority)
    this.#size++
    this.added++
    if ((this.availability[piece] ?? 0) >= this.#width) this.#marked = true
    if (this.#marked) return
    this.#starts[this.#buckets] = this.#size
    this.#move(piece, this.#size - 1, this.#buckets - 1, this.#bucketOf(piece))
  }

  /** Takes a piece out; its availability is still counted. */
  remove(piece: number): void {
    if (!this.has(piece)) return
    if (!this.#marked) {
      // Through all later buckets to the end of the array, which then ends one earlier.
      this.#move(piece, this.#position[piece] ?? 0, this.#bucketOf(piece), this.#buckets - 1, false)
      this.#starts[this.#buckets] = this.#size - 1
    }
    this.#priority[piece] = 0
    this.#size--
  }

  /** Changes the priority of a contained piece; 0 removes it. Nothing happens when the piece is not contained. */
  setPriority(piece: number, priority: number): void {
    if (priority <= 0) this.remove(piece)
    if (!this.has(piece) || this.#priority[piece] === priority) return
    this.#use(priority)
    const from = this.#marked ? 0 : this.#bucketOf(piece)
    this.#priority[piece] = Math.min(7, priority)
    if (!this.#marked) this.#move(piece, this.#position[piece] ?? 0, from, this.#bucketOf(piece))
  }

  /** Counts one more peer that has the piece. */
  increment(piece: number): void {
    this.#count(piece, 1)
  }

  /** Counts one peer less that has the piece; never below 0. */
  decrement(piece: number): void {
    if ((this.availability[piece] ?? 0) > 0) this.#count(piece, -1)
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
    const { availability } = this
    if (bitfield === 'all') {
      this.#marked = true
      for (let piece = 0; piece < availability.length; piece++) {
        availability[piece] = Math.max(0, (availability[piece] ?? 0) + step)
      }
      return
    }
    // A sort looks at every contained piece once, a single move costs a few times as much.
    if (!this.#marked && countBits(bitfield) * 4 > this.#size) this.#marked = true
    const end = Math.min(availability.length, bitfield.length * 8)
    for (let piece = 0; piece < end; piece++) {
      const bits = bitfield[piece >> 3] ?? 0
      if (bits === 0) piece |= 7
      else if (!this.#marked) {
        if ((bits & (0x80 >> (piece & 7))) !== 0) this.#step(piece, step)
      } else {
        // Without a branch on the bit, which no processor could foresee.
        const count = (availability[piece] ?? 0) + step * ((bits >> (7 - (piece & 7))) & 1)
        availability[piece] = Math.max(0, count)
      }
    }
  }

  #count(piece: number, step: 1 | -1): void {
    if (piece < this.availability.length) this.#step(piece, step)
  }

  #step(piece: number, step: 1 | -1): void {
    const count = this.availability[piece] ?? 0
    if (count + step < 0) return
    if (this.#marked || !this.has(piece)) {
      this.availability[piece] = count + step
      return
    }
    const from = this.#bucketOf(piece)
    this.availability[piece] = count + step
    if (count + step >= this.#width) this.#marked = true
    else this.#move(piece, this.#position[piece] ?? 0, from, this.#bucketOf(piece))
  }

  #bucketOf(piece: number): number {
    const count = this.availability[piece] ?? 0
    const first = (this.#classOf[this.#priority[piece] ?? 0] ?? 0) * this.#width
    return first + (count === 0 ? this.#width : count) - 1
  }

  /** Moves a piece between buckets by passing one piece of each bucket between over to its other end. */
  #move(piece: number, position: number, from: number, to: number, mix = true): void {
    const order = this.#order
    const starts = this.#starts
    let hole = position
    for (let bucket = from; bucket < to; bucket++) {
      const last = (starts[bucket + 1] ?? 0) - 1
      if (last !== hole) this.#put(order[last] ?? 0, hole)
      starts[bucket + 1] = hole = last
    }
    for (let bucket = from; bucket > to; bucket--) {
      const first = starts[bucket] ?? 0
      if (first !== hole) this.#put(order[first] ?? 0, hole)
      starts[bucket] = first + 1
      hole = first
    }
    if (mix) {
      const start = starts[to] ?? 0
      const other = start + Math.floor(this.#random() * ((starts[to + 1] ?? 0) - start))
      if (other !== hole) this.#put(order[other] ?? 0, hole)
      hole = other
    } else {
      const last = (starts[to + 1] ?? 0) - 1
      if (last !== hole) this.#put(order[last] ?? 0, hole)
      hole = last
    }
    this.#put(piece, hole)
  }

  #put(piece: number, position: number): void {
    this.#order[position] = piece
    this.#position[piece] = position
  }

  #use(priority: number): void {
    const bit = 1 << Math.min(7, priority)
    if ((this.#used & bit) !== 0) return
    this.#used |= bit
    this.#marked = true
  }

  #sort(): void {
    this.#marked = false
    let classes = 0
    for (let priority = 7; priority > 0; priority--) {
      if ((this.#used & (1 << priority)) !== 0) this.#classOf[priority] = classes++
    }
    let most = 0
    for (const count of this.availability) if (count > most) most = count
    // Half as much again, so that a growing swarm does not sort for each new peer.
    if (most >= this.#width || most * 4 < this.#width) this.#width = Math.max(8, most + (most >> 1) + 2)
    this.#buckets = classes * this.#width
    if (this.#starts.length < this.#buckets + 1) this.#starts = new Uint32Array(this.#buckets + 1)
    else this.#starts.fill(0)
    const starts = this.#starts
    const priorities = this.#priority
    for (let piece = 0; piece < priorities.length; piece++) {
      if (priorities[piece] === 0) continue
      const bucket = this.#bucketOf(piece)
      starts[bucket] = (starts[bucket] ?? 0) + 1
    }
    let end = 0
    for (let bucket = 0; bucket <= this.#buckets; bucket++) starts[bucket] = end += starts[bucket] ?? 0
    for (const piece of this.#shuffled) {
      if (priorities[piece] === 0) continue
      const bucket = this.#bucketOf(piece)
      const position = (starts[bucket] ?? 0) - 1
      starts[bucket] = position
      this.#put(piece, position)
    }
  }
}

function countBits(bitfield: Uint8Array): number {
  let count = 0
  for (let bits of bitfield) {
    bits -= (bits >> 1) & 0x55
    bits = (bits & 0x33) + ((bits >> 2) & 0x33)
    count += (bits + (bits >> 4)) & 0x0f
  }
  return count
}
