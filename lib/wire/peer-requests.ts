import { randomFillSync } from 'node:crypto'

/** A block that the peer requested. */
export interface PeerRequest {
  readonly piece: number
  readonly offset: number
  readonly length: number
}

/** A request and the data that answers it. */
export interface PeerAnswer extends PeerRequest {
  readonly data: Uint8Array
}

const gone = 0
const waiting = 1
const answered = 2
const putOff = 3
/** Numbers stored per request: piece, offset, length. */
const fields = 3
const firstCapacity = 64
const noBytes = new Uint8Array(0)
const noNumbers = new Uint32Array(0)
const noChains = new Int32Array(0)
/** Random, so that peers cannot choose requests that all collide in one chain. */
const hashKey = randomFillSync(new Uint32Array(2))

/** Returns a 32-bit hash; the two numbers of `key` decide which requests collide. */
export function requestHash(piece: number, offset: number, key: Uint32Array): number {
  // Multiplication by an odd factor loses no bits.
  let mixed = Math.imul(piece, (key[0] ?? 0) | 1) + Math.imul(offset, (key[1] ?? 0) | 1)
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

/**
 * Requests of a peer whose blocks are not sent yet, in their order. A request waits for its answer, is put off, or is answered and its
 * block waits to be sent. They are stored in a ring buffer with a hash table, so that adding, finding and removing one take constant time
 * and allocate nothing: a fast peer has hundreds.
 */
export class PeerRequests {
  /** Bytes of the answers that wait to be sent. */
  answerLength = 0
  /** Called with the data of each answer that is removed before it was sent. */
  onDiscarded: ((data: Uint8Array) => void) | undefined
  #size = 0
  /** Serial numbers of the oldest request and of the next one. The low bits of a serial number are its place in the ring. */
  #head = 0
  #tail = 0
  /** Lower bounds: no request before `#firstWaiting` waits, and none before `#firstAnswered` is answered. */
  #firstWaiting = 0
  #firstAnswered = 0
  /** Number of places in the ring; a power of two. */
  #capacity = 0
  #numbers = noNumbers
  #states = noBytes
  #data: (Uint8Array | undefined)[] = []
  /** Chains of places with the same hash: the first place per hash, and the next place per place; -1 ends a chain. */
  #firsts = noChains
  #nexts = noChains

  /** Number of requests, answered or not. */
  get size(): number {
    return this.#size
  }

  /** The oldest waiting request, or undefined. */
  get oldest(): PeerRequest | undefined {
    while (this.#firstWaiting < this.#tail && this.#states[this.#place(this.#firstWaiting)] !== waiting)
      this.#firstWaiting++
    return this.#firstWaiting < this.#tail ? this.#at(this.#place(this.#firstWaiting)) : undefined
  }

  /** Returns the request `count` places after the oldest waiting one, or the newest; undefined if that one does not wait. */
  ahead(count: number): PeerRequest | undefined {
    const place = this.#place(Math.min(this.#tail - 1, this.#firstWaiting + count))
    return this.#states[place] === waiting ? this.#at(place) : undefined
  }

  /** Whether there is a request at this offset of the piece. */
  has(piece: number, offset: number): boolean {
    return this.#find(piece, offset) >= 0
  }

  /** Adds a request; there must be none at this offset. */
  add(piece: number, offset: number, length: number): void {
    if (this.#tail - this.#head === this.#capacity) this.#rearrange()
    this.#put(piece, offset, length, waiting, undefined)
  }

  /** Stores the answer to a request; returns false if no such request waits. */
  answer(piece: number, offset: number, data: Uint8Array): boolean {
    const place = this.#find(piece, offset)
    if (place < 0 || this.#states[place] !== waiting || this.#numbers[fields * place + 2] !== data.length)
      return false
    this.#states[place] = answered
    this.#data[place] = data
    this.answerLength += data.length
    this.#firstAnswered = Math.min(this.#firstAnswered, this.#serial(place))
    return true
  }

  /** Excludes a waiting request from `oldest` until `putBack`. */
  putOff(piece: number, offset: number): void {
    const place = this.#find(piece, offset)
    if (place >= 0 && this.#states[place] === waiting) this.#states[place] = putOff
  }

  /** Makes all put-off requests wait again; returns them in their order. */
  putBack(): PeerRequest[] {
    const back: PeerRequest[] = []
    for (let serial = this.#head; serial < this.#tail; serial++) {
      const place = this.#place(serial)
      if (this.#states[place] !== putOff) continue
      this.#states[place] = waiting
      back.push(this.#at(place))
    }
    if (back.length > 0) this.#firstWaiting = this.#head
    return back
  }

  /** Removes and returns the oldest answer, or undefined. */
  next(): PeerAnswer | undefined {
    if (this.answerLength === 0) return undefined
    while (this.#firstAnswered < this.#tail && this.#states[this.#place(this.#firstAnswered)] !== answered)
      this.#firstAnswered++
    const place = this.#place(this.#firstAnswered)
    const data = this.#data[place]
    if (data === undefined) return undefined
    const { piece, offset, length } = this.#at(place)
    const answer = { piece, offset, length, data }
    this.#forget(place)
    return answer
  }

  /** Removes a request; returns false if there is none with this length. */
  remove(piece: number, offset: number, length: number): boolean {
    const place = this.#find(piece, offset)
    if (place < 0 || this.#numbers[fields * place + 2] !== length) return false
    this.#discard(place)
    return true
  }

  /** Removes all requests for which `which` returns true; returns them in their order. */
  removeAll(which: (request: PeerRequest, isAnswered: boolean) => boolean = () => true): PeerRequest[] {
    const removed: PeerRequest[] = []
    for (let serial = this.#head; serial < this.#tail; serial++) {
      const place = this.#place(serial)
      const state = this.#states[place]
      if (state === gone) continue
      const request = this.#at(place)
      if (!which(request, state === answered)) continue
      removed.push(request)
      this.#discard(place)
    }
    return removed
  }

  #place(serial: number): number {
    return serial & (this.#capacity - 1)
  }

  #serial(place: number): number {
    return this.#head + ((place - this.#head) & (this.#capacity - 1))
  }

  #at(place: number): PeerRequest {
    const at = fields * place
    const numbers = this.#numbers
    return { piece: numbers[at] ?? 0, offset: numbers[at + 1] ?? 0, length: numbers[at + 2] ?? 0 }
  }

  #hash(piece: number, offset: number): number {
    return requestHash(piece, offset, hashKey) & (this.#capacity - 1)
  }

  #find(piece: number, offset: number): number {
    if (this.#size === 0) return -1
    let place = this.#firsts[this.#hash(piece, offset)] ?? -1
    while (place >= 0) {
      if (this.#numbers[fields * place] === piece && this.#numbers[fields * place + 1] === offset)
        return place
      place = this.#nexts[place] ?? -1
    }
    return -1
  }

  #put(piece: number, offset: number, length: number, state: number, data: Uint8Array | undefined): void {
    const place = this.#place(this.#tail++)
    this.#numbers[fields * place] = piece
    this.#numbers[fields * place + 1] = offset
    this.#numbers[fields * place + 2] = length
    this.#states[place] = state
    this.#data[place] = data
    const hash = this.#hash(piece, offset)
    this.#nexts[place] = this.#firsts[hash] ?? -1
    this.#firsts[hash] = place
    this.#size++
  }

  #discard(place: number): void {
    const data = this.#data[place]
    this.#forget(place)
    if (data !== undefined) this.onDiscarded?.(data)
  }

  #forget(place: number): void {
    this.answerLength -= this.#data[place]?.length ?? 0
    this.#data[place] = undefined
    this.#states[place] = gone
    this.#unchain(place)
    this.#size--
    while (this.#head < this.#tail && this.#states[this.#place(this.#head)] === gone) this.#head++
    this.#firstWaiting = Math.max(this.#firstWaiting, this.#head)
    this.#firstAnswered = Math.max(this.#firstAnswered, this.#head)
  }

  #unchain(place: number): void {
    const hash = this.#hash(this.#numbers[fields * place] ?? 0, this.#numbers[fields * place + 1] ?? 0)
    const next = this.#nexts[place] ?? -1
    let before = this.#firsts[hash] ?? -1
    if (before === place) {
      this.#firsts[hash] = next
      return
    }
    while (before >= 0) {
      const after = this.#nexts[before] ?? -1
      if (after === place) {
        this.#nexts[before] = next
        return
      }
      before = after
    }
  }

  /** Removes the gaps of removed requests, and doubles the ring if it is at least half full. */
  #rearrange(): void {
    const [capacity, head, tail] = [this.#capacity, this.#head, this.#tail]
    const [numbers, states, data] = [this.#numbers, this.#states, this.#data]
    if (2 * this.#size >= capacity) this.#capacity = Math.max(firstCapacity, 2 * capacity)
    this.#numbers = new Uint32Array(fields * this.#capacity)
    this.#states = new Uint8Array(this.#capacity)
    this.#data = new Array<Uint8Array | undefined>(this.#capacity).fill(undefined)
    this.#firsts = new Int32Array(this.#capacity).fill(-1)
    this.#nexts = new Int32Array(this.#capacity).fill(-1)
    this.#size = this.#head = this.#tail = this.#firstWaiting = this.#firstAnswered = 0
    for (let serial = head; serial < tail; serial++) {
      const place = serial & (capacity - 1)
      const state = states[place] ?? gone
      if (state === gone) continue
      const at = fields * place
      this.#put(numbers[at] ?? 0, numbers[at + 1] ?? 0, numbers[at + 2] ?? 0, state, data[place])
    }
  }
}
