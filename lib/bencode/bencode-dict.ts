import { isBytes, toLatin1, toText } from '../util/bytes.ts'
import { skipValue } from './skip-value.ts'

/** A decoded value; byte strings are views into the decoded bytes, integers beyond 2^53 - 1 are bigint. */
export type BencodeValue = number | bigint | Uint8Array | BencodeValue[] | BencodeDict

/** How many keys are searched one by one before an index pays. */
const linearKeys = 8

/**
 * A decoded dictionary, read-only. A key is a string in which each byte is one character from U+0000 to U+00FF, so every
 * key survives, also one that is no UTF-8 and also `__proto__`; an ASCII key is written as it looks. The typed getters
 * return undefined when the key is missing or its value is of another type, and never throw.
 */
export class BencodeDict {
  readonly #source: Uint8Array
  readonly #start: number
  readonly #keys: string[]
  readonly #values: BencodeValue[]
  #index: Map<string, number> | undefined

  /** What the decoder found at `source[start]`, which stays borrowed; `keys` are unique and belong to `values` in order. */
  constructor(source: Uint8Array, start: number, keys: string[], values: BencodeValue[]) {
    this.#source = source
    this.#start = start
    this.#keys = keys
    this.#values = values
  }

  /** How many keys there are. */
  get size(): number {
    return this.#keys.length
  }

  /** The raw bencoded bytes of this dictionary, a view into the decoded bytes. */
  get raw(): Uint8Array {
    return this.#source.subarray(this.#start, skipValue(this.#source, this.#start))
  }

  /** The keys in the order of the input. */
  keys(): IterableIterator<string> {
    return this.#keys.values()
  }

  /** Keys and values in the order of the input. */
  *entries(): Generator<[string, BencodeValue]> {
    for (const [n, key] of this.#keys.entries()) {
      const value = this.#values[n]
      if (value !== undefined) yield [key, value]
    }
  }

  /** Whether the key is there. */
  has(key: string): boolean {
    return this.#find(key) >= 0
  }

  /** The value of a key, of whatever type. */
  get(key: string): BencodeValue | undefined {
    return this.#values[this.#find(key)]
  }

  /** The bytes of a byte string, borrowed from the decoded bytes. */
  bytes(key: string): Uint8Array | undefined {
    const value = this.get(key)
    return isBytes(value) ? value : undefined
  }

  /** The text of a byte string; undefined also when it is no UTF-8. */
  text(key: string): string | undefined {
    const value = this.get(key)
    return isBytes(value) ? toText(value) : undefined
  }

  /** An integer; undefined also when it is beyond plus or minus 2^53 - 1. */
  integer(key: string): number | undefined {
    const value = this.get(key)
    return typeof value === 'number' ? value : undefined
  }

  /** A list. */
  list(key: string): BencodeValue[] | undefined {
    const value = this.get(key)
    return Array.isArray(value) ? value : undefined
  }

  /** A dictionary. */
  dict(key: string): BencodeDict | undefined {
    const value = this.get(key)
    return value instanceof BencodeDict ? value : undefined
  }

  /** The raw bencoded bytes of a key's value, a view into the decoded bytes: what an info hash is made of (BEP 3). */
  span(key: string): Uint8Array | undefined {
    if (!this.has(key)) return undefined
    const source = this.#source
    // The first of several equal keys is the one that counts, here as in `get`.
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
