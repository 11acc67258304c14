const fewest = 16
/** Shared arrays of empty maps; never written to. */
const none = new Int32Array(0)
const noKeys: number[] = []
const noValues: never[] = []

/**
 * A map from integers (0 to 2^31 - 1) that reuses its memory. A `Map` with thousands of changing entries
 * keeps allocating tables that outlive the young generation. Uses almost no memory before the first entry and
 * after `clear`, but keeps its tables when entries are deleted. Iterates in insertion order.
 */
export class NumberMap<V> {
  /** Hash table: slot number plus one, 0 if empty, -1 if deleted. Twice as long as the number of slots. */
  #index: Int32Array = none
  #shift = 32
  /** Key and value of each slot; key -1 marks a free slot. */
  #keys: number[] = noKeys
  #values: (V | undefined)[] = noValues
  /** Number of slots in use, including deleted ones. */
  #end = 0
  #size = 0

  /** Number of entries. */
  get size(): number {
    return this.#size
  }

  /** Returns the value of a key, or undefined. */
  get(key: number): V | undefined {
    const place = this.#find(key)
    return place < 0 ? undefined : this.#values[place]
  }

  /** Returns whether the key exists. */
  has(key: number): boolean {
    return this.#find(key) >= 0
  }

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

  /** Removes a key; returns false if it did not exist. */
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

  /** Removes all entries and frees their memory. */
  clear(): void {
    this.#index = none
    this.#shift = 32
    this.#keys = noKeys
    this.#values = noValues
    this.#end = 0
    this.#size = 0
  }

  /** Yields the keys in insertion order; `set` must not be called meanwhile. */
  *keys(): Generator<number, void> {
    for (let place = 0; place < this.#end; place++) {
      const key = this.#keys[place] ?? -1
      if (key >= 0) yield key
    }
  }

  /** Yields the values in insertion order; `set` must not be called meanwhile. */
  *values(): Generator<V, void> {
    for (let place = 0; place < this.#end; place++) {
      if ((this.#keys[place] ?? -1) >= 0) yield this.#values[place] as V
    }
  }

  /** Yields key and value pairs in insertion order; `set` must not be called meanwhile. */
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

  /** Compacts the entries; doubles the capacity if more than half of it is used. */
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
    // Releases references to moved values.
    this.#values.fill(undefined, end, this.#end)
    this.#end = end
  }
}
