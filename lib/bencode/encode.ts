import { types } from 'node:util'
import { isBytes, toLatin1 } from '../util/bytes.ts'
import { TorrentError } from '../util/errors.ts'
import { BencodeDict } from './bencode-dict.ts'

/** Values that can be bencoded. Strings become UTF-8; keys with the value undefined are omitted. */
export type BencodeInput =
  | string
  | number
  | bigint
  | Uint8Array
  | BencodeDict
  | readonly BencodeInput[]
  | ReadonlyMap<string | Uint8Array, BencodeInput | undefined>
  | { readonly [key: string]: BencodeInput | undefined }

/** Deeper values are taken for cycles; the limit is far below the call stack's. */
const maxDepth = 200

/**
 * Returns the canonical bencoding of a value (BEP 3), with keys sorted by their raw bytes, in memory of its own.
 * @throws TorrentError ERR_BENCODE_VALUE for a number that is not a safe integer, a value of another type, a duplicate key, or more than
 * 200 levels of nesting; the message and `details.path` name the value.
 */
export function encode(value: BencodeInput): Uint8Array {
  const encoder = new Encoder()
  encoder.add(value)
  return encoder.finish()
}

function byteString(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

// Collects the output first, with short parts joined into strings of one character per byte, then writes it in one pass.
class Encoder {
  readonly #parts: (string | Uint8Array)[] = []
  readonly #path: (string | number)[] = []
  #text = ''
  #length = 0

  add(value: unknown): void {
    if (typeof value === 'string') this.#string(value)
    else if (isBytes(value)) this.#bytes(value)
    else if (typeof value === 'number') {
      if (!Number.isSafeInteger(value)) throw this.#refusal(`the number ${value} is not a safe integer`)
      this.#text += `i${value}e`
    } else if (typeof value === 'bigint') this.#text += `i${value}e`
    else if (typeof value === 'object' && value !== null) this.#container(value)
    else
      throw this.#refusal(value === null ? 'null cannot be bencoded' : `${typeof value} cannot be bencoded`)
  }

  finish(): Uint8Array {
    this.#flush()
    const out = new Uint8Array(this.#length)
    const buffer = Buffer.from(out.buffer)
    let at = 0
    for (const part of this.#parts) {
      if (typeof part === 'string') buffer.write(part, at, 'latin1')
      else out.set(part, at)
      at += part.length
    }
    return out
  }

  #container(value: object): void {
    if (this.#path.length >= maxDepth)
      throw this.#refusal(`the value is nested deeper than ${maxDepth} or contains itself`)
    if (Array.isArray(value)) {
      this.#text += 'l'
      for (let n = 0; n < value.length; n++) {
        this.#path.push(n)
        this.add(value[n])
        this.#path.pop()
      }
    } else {
      this.#text += 'd'
      const entries = this.#entries(value)
      for (const key of [...entries.keys()].sort()) {
        this.#text += `${key.length}:${key}`
        this.#path.push(key)
        this.add(entries.get(key))
        this.#path.pop()
      }
    }
    this.#text += 'e'
  }

  /** Returns the values by the bytes of their keys. */
  #entries(value: object): Map<string, unknown> {
    if (value instanceof BencodeDict) return new Map(value.entries())
    const entries = new Map<string, unknown>()
    const add = (key: unknown, entry: unknown): void => {
      if (entry === undefined) return
      if (typeof key !== 'string' && !isBytes(key))
        throw this.#refusal(`a key of type ${typeof key} cannot be bencoded`)
      const bytes = typeof key === 'string' ? byteString(key) : toLatin1(key)
      if (entries.has(bytes)) throw this.#refusal(`the key '${bytes}' occurs twice`)
      entries.set(bytes, entry)
    }
    if (types.isMap(value)) {
      for (const [key, entry] of value) add(key, entry)
      return entries
    }
    const prototype: unknown = Object.getPrototypeOf(value)
    // Compared by its prototype, because `Object.prototype` differs between realms.
    if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
      throw this.#refusal(`an object of class ${value.constructor?.name ?? 'unknown'} cannot be bencoded`)
    }
    for (const [key, entry] of Object.entries(value)) add(key, entry)
    return entries
  }

  #string(value: string): void {
    const bytes = byteString(value)
    this.#text += `${bytes.length}:${bytes}`
  }

  #bytes(value: Uint8Array): void {
    this.#text += `${value.length}:`
    if (value.length <= 64) this.#text += toLatin1(value)
    else {
      this.#flush()
      this.#parts.push(value)
      this.#length += value.length
    }
  }

  #flush(): void {
    if (this.#text === '') return
    this.#parts.push(this.#text)
    this.#length += this.#text.length
    this.#text = ''
  }

  #refusal(reason: string): TorrentError {
    const path = this.#path.join('.')
    const place = path === '' ? 'the value' : `'${path}'`
    return new TorrentError('ERR_BENCODE_VALUE', `Cannot bencode ${place}: ${reason}`, { details: { path } })
  }
}
