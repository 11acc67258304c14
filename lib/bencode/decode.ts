import { BencodeDict, type BencodeValue } from './bencode-dict.ts'
import { type DecodeLimits, type Irregularity, Scanner, syntaxError } from './scanner.ts'

/** A decoded value with its length and irregularities. */
export interface Decoded {
  /** The decoded value. */
  readonly value: BencodeValue
  /** Offset after the value. */
  readonly end: number
  /** Violations of the canonical form in input order, at most 100. */
  readonly irregularities: readonly Irregularity[]
}

/** Longest key in bytes that is cached as a string, and number of slots of that cache. */
const maxCachedKey = 16
const keyCacheSize = 32

/**
 * Decodes the single value in `bytes` (BEP 3). Byte strings are views into `bytes`: copy those that outlive it. Accepts unsorted keys,
 * duplicate keys (the first counts) and leading zeros.
 * @throws TorrentError ERR_BENCODE_SYNTAX or ERR_BENCODE_LIMIT, with the offset in `details.position` and the message.
 */
export function decode(bytes: Uint8Array, limits?: Partial<DecodeLimits>): BencodeValue {
  return decodeDetailed(bytes, limits).value
}

/** Decodes as {@link decode} does, and reports irregularities so that the caller can decide. */
export function decodeDetailed(bytes: Uint8Array, limits?: Partial<DecodeLimits>): Decoded {
  const decoded = decodePrefix(bytes, limits)
  if (decoded.end < bytes.length) throw syntaxError('bytes follow the value', decoded.end)
  return decoded
}

/**
 * Decodes as {@link decodeDetailed} does, but only the first value in `bytes`; bytes after it are ignored. BEP 9 messages carry data
 * there, and some trackers and peers append a newline.
 */
export function decodePrefix(bytes: Uint8Array, limits?: Partial<DecodeLimits>): Decoded {
  return new Decoder(bytes, limits).decode()
}

/** A list or dictionary being decoded. */
interface Frame {
  readonly start: number
  readonly values: BencodeValue[]
  /** Keys of a dictionary; undefined for a list. */
  readonly keys: string[] | undefined
  /** The greatest key so far. A key above it cannot be a duplicate. */
  greatest: string
  /** All keys, once one was out of order. */
  known: Set<string> | undefined
  /** Whether the next value belongs to a duplicate key. */
  skip: boolean
}

// Uses a stack of its own instead of recursion, so that the depth limit does not depend on the call stack.
class Decoder {
  readonly #scanner: Scanner
  readonly #stack: Frame[] = []
  readonly #keyCache: (string | undefined)[] = []
  #lastKeys: string[] = []

  constructor(bytes: Uint8Array, limits: Partial<DecodeLimits> | undefined) {
    this.#scanner = new Scanner(bytes, limits)
  }

  decode(): Decoded {
    const scanner = this.#scanner
    const stack = this.#stack
    const { bytes } = scanner
    let frame: Frame | undefined
    for (;;) {
      let value: BencodeValue
      if (frame !== undefined && bytes[scanner.at] === 0x65) {
        // Copies have the exact size; arrays that grew keep spare capacity.
        value =
          frame.keys === undefined
            ? frame.values.slice()
            : new BencodeDict(bytes, frame.start, this.#shared(frame.keys), frame.values.slice())
        scanner.at++
        stack.pop()
        frame = stack.at(-1)
      } else {
        if (frame?.keys !== undefined) this.#key(scanner, frame, frame.keys)
        const start = scanner.at
        const first = scanner.value(stack.length)
        if (first === 0x6c || first === 0x64) {
          const keys = first === 0x64 ? [] : undefined
          frame = { start, values: [], keys, greatest: '', known: undefined, skip: false }
          stack.push(frame)
          scanner.at++
          continue
        }
        if (first === 0x69) value = scanner.integer()
        else {
          const end = scanner.string()
          value = bytes.subarray(scanner.at, end)
          scanner.at = end
        }
      }
      if (frame === undefined) {
        const { at: end, irregularities } = scanner
        return { value, end, irregularities }
      }
      if (frame.skip) frame.skip = false
      else frame.values.push(value)
    }
  }

  /**
   * Returns an exact-size array of these keys: the one of the previous dictionary if its keys are the same, as in most lists of
   * dictionaries, else a copy.
   */
  #shared(keys: string[]): string[] {
    const last = this.#lastKeys
    let isSame = last.length === keys.length
    for (let n = 0; isSame && n < keys.length; n++) isSame = last[n] === keys[n]
    if (!isSame) this.#lastKeys = keys.slice()
    return this.#lastKeys
  }

  /** Returns the text of a key; short keys are cached, because the same few occur again and again. */
  #keyText({ bytes, buffer, at: start }: Scanner, end: number): string {
    const length = end - start
    if (length === 0 || length > maxCachedKey) return buffer.toString('latin1', start, end)
    const slot = (length * 7 + (bytes[start] ?? 0) * 3 + (bytes[end - 1] ?? 0)) % keyCacheSize
    const known = this.#keyCache[slot]
    if (known !== undefined && known.length === length) {
      let n = 0
      while (n < length && known.charCodeAt(n) === bytes[start + n]) n++
      if (n === length) return known
    }
    const text = buffer.toString('latin1', start, end)
    this.#keyCache[slot] = text
    return text
  }

  #key(scanner: Scanner, frame: Frame, keys: string[]): void {
    const position = scanner.at
    const end = scanner.key()
    const key = this.#keyText(scanner, end)
    scanner.at = end
    if (keys.length === 0 || key > frame.greatest) frame.greatest = key
    else {
      frame.known ??= new Set(keys)
      frame.skip = frame.known.has(key)
      scanner.report(frame.skip ? 'duplicate-key' : 'unsorted-key', position)
    }
    if (frame.skip) return
    frame.known?.add(key)
    keys.push(key)
  }
}
