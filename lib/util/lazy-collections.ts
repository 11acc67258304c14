const noEntries = new Map<never, never>()
const noValues = new Set<never>()

/** A Map that takes next to no memory before its first entry: for what most of a thousand idle objects never need. */
export class LazyMap<K, V> implements Map<K, V> {
  #map: Map<K, V> | undefined

  /** What texts call it. */
  get [Symbol.toStringTag](): string {
    return 'LazyMap'
  }

  /** How many entries there are. */
  get size(): number {
    return this.#map?.size ?? 0
  }

  /** The value of a key. */
  get(key: K): V | undefined {
    return this.#map?.get(key)
  }

  /** Whether there is a key. */
  has(key: K): boolean {
    return this.#map?.has(key) === true
  }

  /** Sets the value of a key. */
  set(key: K, value: V): this {
    this.#map ??= new Map()
    this.#map.set(key, value)
    return this
  }

  /** Removes a key; false when there was none. */
  delete(key: K): boolean {
    return this.#map?.delete(key) === true
  }

  /** Removes everything, and gives the memory back. */
  clear(): void {
    this.#map?.clear()
    this.#map = undefined
  }

  /** Calls back for each entry. */
  forEach(callback: (value: V, key: K, map: Map<K, V>) => void): void {
    for (const [key, value] of this.entries()) callback(value, key, this)
  }

  /** The keys in the order of their first setting. */
  keys(): MapIterator<K> {
    return (this.#map ?? noEntries).keys()
  }

  /** The values, in the same order. */
  values(): MapIterator<V> {
    return (this.#map ?? noEntries).values()
  }

  /** Both, in the same order. */
  entries(): MapIterator<[K, V]> {
    return (this.#map ?? noEntries).entries()
  }

  /** The same as `entries`. */
  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.entries()
  }
}

/** A Set that takes next to no memory before its first value; see {@link LazyMap}. */
export class LazySet<T> implements Iterable<T> {
  #set: Set<T> | undefined

  /** How many values there are. */
  get size(): number {
    return this.#set?.size ?? 0
  }

  /** Whether a value is in it. */
  has(value: T): boolean {
    return this.#set?.has(value) === true
  }

  /** Puts a value in. */
  add(value: T): this {
    this.#set ??= new Set()
    this.#set.add(value)
    return this
  }

  /** Takes a value out; false when it was not in it. */
  delete(value: T): boolean {
    return this.#set?.delete(value) === true
  }

  /** Removes everything, and gives the memory back. */
  clear(): void {
    this.#set?.clear()
    this.#set = undefined
  }

  /** The values in the order in which they came. */
  values(): SetIterator<T> {
    return (this.#set ?? noValues).values()
  }

  /** The same as `values`. */
  [Symbol.iterator](): SetIterator<T> {
    return this.values()
  }
}
