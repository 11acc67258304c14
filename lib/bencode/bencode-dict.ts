import { isBytes, toLatin1, toText } from '../util/bytes.ts'
import { skipValue } from './skip-value.ts'

/** A decoded value. Byte strings are views into the decoded bytes; integers beyond 2^53 - 1 are bigint. */
export type BencodeValue = number | bigint | Uint8Array | BencodeValue[] | BencodeDict

/** Dictionaries up to this size are searched linearly; larger ones get an index. */
const linearKeys = 8

/**
 * A decoded dictionary, read-only. Each character of a key is one byte (U+0000 to U+00FF), so every key is preserved, including invalid
 * UTF-8 and `__proto__`; ASCII keys read as usual. The typed getters return undefined when the key is missing or its value is of another
 * type, and never throw.
 */
export class BencodeDict {
  readonly #source: Uint8Array
  readonly #start: number
  readonly #keys: string[]
  readonly #values: BencodeValue[]
  #index: Map<string, number> | undefined

  /**
   * Takes the keys and values of the dictionary at `source[start]`; `keys` are unique and in the order of `values`. `source` must not
   * change.
   */
  constructor(source: Uint8Array, start: number, keys: string[], values: BencodeValue[]) {
    this.#source = source
    this.#start = start
    this.#keys = keys
    this.#values = values
  }

  /** Number of keys. */
  get size(): number {
    return this.#keys.length
  }

  /** Raw bencoded bytes of this dictionary, a view into the decoded bytes. */
  get raw(): Uint8Array {
    return this.#source.subarray(this.#start, skipValue(this.#source, this.#start))
  }

  /** Returns the keys in input order. */
  keys(): IterableIterator<string> {
    return this.#keys.values()
  }

  /** Yields keys and values in input order. */
  *entries(): Generator<[string, BencodeValue]> {
    for (const [n, key] of this.#keys.entries()) {
      const value = this.#values[n]
      if (value !== undefined) yield [key, value]
    }
  }

  /** Returns whether the key exists. */
  has(key: string): boolean {
    return this.#find(key) >= 0
  }

  /** Returns the value of a key, of any type. */
  get(key: string): BencodeValue | undefined {
    return this.#values[this.#find(key)]
  }

  /** Returns a byte string, a view into the decoded bytes. */
  bytes(key: string): Uint8Array | undefined {
    const value = this.get(key)
    return isBytes(value) ? value : undefined
  }

  /** Returns a byte string as text; undefined also for invalid UTF-8. */
  text(key: string): string | undefined {
    const value = this.get(key)
    return isBytes(value) ? toText(value) : undefined
  }

  /** Returns an integer; undefined also beyond ±(2^53 - 1). */
  integer(key: string): number | undefined {
    const value = this.get(key)
    return typeof value === 'number' ? value : undefined
  }

  /** Returns a list. */
  list(key: string): BencodeValue[] | undefined {
    const value = this.get(key)
    return Array.isArray(value) ? value : undefined
  }

  /** Returns a dictionary. */
  dict(key: string): BencodeDict | undefined {
    const value = this.get(key)
    return value instanceof BencodeDict ? value : undefined
  }

  /** Returns the raw bencoded bytes of a key's value, a view into the decoded bytes; the info hash is computed from them (BEP 3). */
  span(key: string): Uint8Array | undefined {
    if (!this.has(key)) return undefined
    const source = this.#source
    // The first of several equal keys counts, as in `get`.
    for (let at = this.#start + 1; ; ) {
      const valueAt = skipValue(source, at)
      const end = skipValue(source, valueAt)
      if (toLatin1(source.subarray(source.indexOf(0x3a, at) + 1, valueAt)) === key) {
        return source.subarray(valueAt, end)
      }
      at = end
    }
  }

  #find(key: string): number {
    if (this.#keys.length <= linearKeys) return this.#keys.indexOf(key)
    this.#index ??= new Map(this.#keys.map((name, n) => [name, n]))
    return this.#index.get(key) ?? -1
  }
}
