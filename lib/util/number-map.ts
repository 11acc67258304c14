const fewest = 16
/** What an empty map has; nothing is ever put into them. */
const none = new Int32Array(0)
const noKeys: number[] = []
const noValues: never[] = []

/**
 * A map from whole numbers (0 to 2^31 - 1) that uses its memory again: of a `Map` in which entries come and go by the thousand new tables
 * are made again and again, which outlive the young generation. It takes next to none before the first entry and after `clear`, and
 * keeps what it has while it is merely empty. Entries have the order in which they were first set.
 */
export class NumberMap<V> {
  /** For each hash the place of an entry plus one, 0 for none, -1 for one that is gone; twice as long as there are places. */
  #index: Int32Array = none
  #shift = 32
  /** Key and value of each place; a key of -1 is none. */
  #keys: number[] = noKeys
  #values: (V | undefined)[] = noValues
  /** Places in use, those of entries that are gone among them. */
  #end = 0
  #size = 0

  /** How many entries there are. */
  get size(): number {
    return this.#size
  }

  /** The value of a key. */
  get(key: number): V | undefined {
    const place = this.#find(key)
    return place < 0 ? undefined : this.#values[place]
  }

  /** Whether there is a key. */
  has(key: number): boolean {
    return this.#find(key) >= 0
  }

  /** Sets the value of a key. */
  set(key: number, value: V): void {
    const known = this.#find(key)
    if (known >= 0) {
      this.#values[known] = value
      return
    }
    if (2 * this.#end >= this.#index.length) this.#makeRoom()
    const place = this.#end++
    this.#keys[place] = key
    this.#values[place] = value
    this.#size++
    this.#enter(key, place)
  }

  /** Removes a key; false when there was none. */
  delete(key: number): boolean {
    if (this.#size === 0) return false
    const index = this.#index
    const mask = index.length - 1
    for (let at = this.#hash(key); ; at = (at + 1) & mask) {
      const entry = index[at] ?? 0
      if (entry === 0) return false
      if (entry < 0 || this.#keys[entry - 1] !== key) continue
      index[at] = -1
      this.#keys[entry - 1] = -1
      this.#values[entry - 1] = undefined
      this.#size--
      return true
    }
  }

  /** Removes everything, and gives the memory back. */
  clear(): void {
    this.#index = none
    this.#shift = 32
    this.#keys = noKeys
    this.#values = noValues
    this.#end = 0
    this.#size = 0
  }

  /** The keys, oldest first; nothing may be set while they are gone through. */
  *keys(): Generator<number, void> {
    for (let place = 0; place < this.#end; place++) {
      const key = this.#keys[place] ?? -1
      if (key >= 0) yield key
    }
  }

  /** The values, in the same order and under the same condition. */
  *values(): Generator<V, void> {
    for (let place = 0; place < this.#end; place++) {
      if ((this.#keys[place] ?? -1) >= 0) yield this.#values[place] as V
    }
  }

  /** Both, in the same order and under the same condition. */
  *[Symbol.iterator](): Generator<[number, V], void> {
    for (const key of this.keys()) yield [key, this.get(key) as V]
  }

  #hash(key: number): number {
    return Math.imul(key, 0x9e3779b1) >>> this.#shift
  }

  #find(key: number): number {
    if (this.#size === 0) return -1
    const index = this.#index
    const mask = index.length - 1
    for (let at = this.#hash(key); ; at = (at + 1) & mask) {
      const entry = index[at] ?? 0
      if (entry === 0) return -1
      if (entry > 0 && this.#keys[entry - 1] === key) return entry - 1
    }
  }

  #enter(key: number, place: number): void {
    const index = this.#index
    const mask = index.length - 1
    let at = this.#hash(key)
    while ((index[at] ?? 0) !== 0) at = (at + 1) & mask
    index[at] = place + 1
  }

  /** Moves the entries together; if that gains little there is twice the room from now on. */
  #makeRoom(): void {
    const places = this.#index.length / 2
    if (places === 0) {
      this.#keys = []
      this.#values = []
    }
    if (this.#size > places / 2 || places === 0) {
      this.#index = new Int32Array(2 * Math.max(fewest, 2 * places))
      this.#shift = Math.clz32(this.#index.length - 1)
    } else this.#index.fill(0)
    let end = 0
    for (let place = 0; place < this.#end; place++) {
      const key = this.#keys[place] ?? -1
      if (key < 0) continue
      this.#keys[end] = key
      this.#values[end] = this.#values[place]
      this.#enter(key, end++)
    }
    // What moved away must not be held on to.
    this.#values.fill(undefined, end, this.#end)
    this.#end = end
  }
}
