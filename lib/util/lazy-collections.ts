const noEntries = new Map<never, never>()
const noValues = new Set<never>()

/** A Map that uses almost no memory before its first entry, for objects that exist by the thousand and mostly stay idle. */
export class LazyMap<K, V> implements Map<K, V> {
  #map: Map<K, V> | undefined

  /** Name in `Object.prototype.toString`. */
  get [Symbol.toStringTag](): string {
    return 'LazyMap'
  }

  /** Number of entries. */
  get size(): number {
    return this.#map?.size ?? 0
  }

  /** Returns the value of a key. */
  get(key: K): V | undefined {
    return this.#map?.get(key)
  }

  /** Returns whether the key exists. */
  has(key: K): boolean {
    return this.#map?.has(key) === true
  }

  set(key: K, value: V): this {
    this.#map ??= new Map()
    this.#map.set(key, value)
    return this
  }

  /** Removes a key; returns false if it did not exist. */
  delete(key: K): boolean {
    return this.#map?.delete(key) === true
  }

  /** Removes all entries and frees their memory. */
  clear(): void {
    this.#map?.clear()
    this.#map = undefined
  }

  /** Calls `callback` for each entry. */
  forEach(callback: (value: V, key: K, map: Map<K, V>) => void): void {
    for (const [key, value] of this.entries()) callback(value, key, this)
  }

  /** Returns the keys in insertion order. */
  keys(): MapIterator<K> {
    return (this.#map ?? noEntries).keys()
  }

  /** Returns the values in insertion order. */
  values(): MapIterator<V> {
    return (this.#map ?? noEntries).values()
  }

  /** Returns key and value pairs in insertion order. */
  entries(): MapIterator<[K, V]> {
    return (this.#map ?? noEntries).entries()
  }

  /** Returns `entries()`. */
  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.entries()
  }
}

/** A Set that uses almost no memory before its first value; see {@link LazyMap}. */
export class LazySet<T> implements Iterable<T> {
  #set: Set<T> | undefined

  /** Number of values. */
  get size(): number {
    return this.#set?.size ?? 0
  }

  /** Returns whether the set contains a value. */
  has(value: T): boolean {
    return this.#set?.has(value) === true
  }

  add(value: T): this {
    this.#set ??= new Set()
    this.#set.add(value)
    return this
  }

  /** Removes a value; returns false if it was not in the set. */
  delete(value: T): boolean {
    return this.#set?.delete(value) === true
  }

  /** Removes all values and frees their memory. */
  clear(): void {
    this.#set?.clear()
    this.#set = undefined
  }

  /** Returns the values in insertion order. */
  values(): SetIterator<T> {
    return (this.#set ?? noValues).values()
  }

  /** Returns `values()`. */
  [Symbol.iterator](): SetIterator<T> {
    return this.values()
  }
}
