import { isBytes } from '../util/bytes.ts'
import { TorrentError } from '../util/errors.ts'
import { show } from '../util/show.ts'
import type { Steps } from '../util/turn-share.ts'
import { BencodeDict, type BencodeValue } from './bencode-dict.ts'

/** Bounds on what a decoder accepts. */
export interface DecodeLimits {
  /** How deep lists and dictionaries may be nested; 100 by default, far more than any BEP needs. */
  readonly depth: number
  /** How many values and keys there may be; 3,000,000 by default, which bounds the memory of the decoded value. */
  readonly tokens: number
  /** How many bytes are decoded; 2^29 - 1 by default. */
  readonly bytes: number
}

/** What was accepted although BEP 3 forbids it. */
export interface Irregularity {
  readonly kind: 'unsorted-key' | 'duplicate-key' | 'leading-zero' | 'negative-zero'
  /** Offset in the input. */
  readonly position: number
}

/** A decoded value and what there is to know about its bytes. */
export interface Decoded {
  readonly value: BencodeValue
  /** The offset after the value. */
  readonly end: number
  /** Breaches of the canonical form in the order of the input, the first 100 of them. */
  readonly irregularities: readonly Irregularity[]
}

const defaultLimits: DecodeLimits = { depth: 100, tokens: 3_000_000, bytes: 2 ** 29 - 1 }
const maxIrregularities = 100
/** Values and keys that are decoded without a pause. */
const tokensOfStep = 10_000
/** Nobody needs more, and BigInt() takes quadratic time for many. */
const maxIntegerDigits = 64
const maxLengthDigits = 20
/** Keys up to this length are looked for among so many that came before. */
const mostKnownKey = 16
const knownKeys = 32
/** So many digits always fit a safe integer. */
const safeDigits = 15

/**
 * The one value that `bytes` holds (BEP 3). Byte strings are views into `bytes`: borrowed, so copy what outlives them.
 * Keys out of order and of several equal keys the first are accepted, and so are leading zeros.
 * @throws TorrentError ERR_BENCODE_SYNTAX or ERR_BENCODE_LIMIT, with the offset in `details.position` and the message.
 */
export function decode(bytes: Uint8Array, limits?: Partial<DecodeLimits>): BencodeValue {
  return decodeDetailed(bytes, limits).value
}

/** As {@link decode}, and reports what is not canonical, so that the caller decides. */
export function decodeDetailed(bytes: Uint8Array, limits?: Partial<DecodeLimits>): Decoded {
  const decoded = decodePrefix(bytes, limits)
  if (decoded.end < bytes.length) throw syntaxError('bytes follow the value', decoded.end)
  return decoded
}

/** As {@link decode}, in parts of a few milliseconds. */
export function* decodeSteps(bytes: Uint8Array, limits?: Partial<DecodeLimits>): Steps<BencodeValue> {
  const { value, end } = yield* decodePrefixSteps(bytes, limits)
  if (end < bytes.length) throw syntaxError('bytes follow the value', end)
  return value
}

/** As {@link decodePrefix}, in parts of a few milliseconds. */
export function* decodePrefixSteps(bytes: Uint8Array, limits?: Partial<DecodeLimits>): Steps<Decoded> {
  checkBytes(bytes)
  const decoder = new Decoder(bytes, { ...defaultLimits, ...limits })
  let decoded = decoder.decode(tokensOfStep)
  while (decoded === undefined) {
    yield
    decoded = decoder.decode(tokensOfStep)
  }
  return decoded
}

/** As {@link decodeDetailed} for the value that `bytes` begin with; what follows it is left alone: BEP 9 puts data there, and trackers and peers a line end. */
export function decodePrefix(bytes: Uint8Array, limits?: Partial<DecodeLimits>): Decoded {
  checkBytes(bytes)
  const decoder = new Decoder(bytes, { ...defaultLimits, ...limits })
  let decoded = decoder.decode(Number.POSITIVE_INFINITY)
  while (decoded === undefined) decoded = decoder.decode(Number.POSITIVE_INFINITY)
  return decoded
}

function checkBytes(bytes: unknown): void {
  if (!isBytes(bytes)) throw syntaxError(`${show(bytes)} is no Uint8Array`, 0)
}

function syntaxError(what: string, position: number): TorrentError {
  return new TorrentError('ERR_BENCODE_SYNTAX', `Not bencode at byte ${position}: ${what}`, {
    details: { position }
  })
}

function limitError(what: string, position: number): TorrentError {
  return new TorrentError('ERR_BENCODE_LIMIT', `Bencode beyond limits at byte ${position}: ${what}`, {
    details: { position }
  })
}

/** A list or dictionary that is not finished yet. */
interface Frame {
  readonly start: number
  readonly values: BencodeValue[]
  /** Undefined for a list. */
  readonly keys: string[] | undefined
  /** The greatest key so far: what is greater is new without a look at the others. */
  greatest: string
  /** All keys, once one came out of order. */
  known: Set<string> | undefined
  /** Whether the value to come belongs to a repeated key. */
  skip: boolean
}

// An own stack instead of recursion: depth is a limit here and not an accident of the machine.
class Decoder {
  readonly #bytes: Uint8Array
  readonly #buffer: Buffer
  readonly #limits: DecodeLimits
  readonly #stack: Frame[] = []
  readonly #irregularities: Irregularity[] = []
  readonly #known: (string | undefined)[] = []
  #lastKeys: string[] = []
  #frame: Frame | undefined
  #at = 0
  #tokens = 0

  constructor(bytes: Uint8Array, limits: DecodeLimits) {
    // Views must be plain arrays even into a Buffer, whose slice() does not copy.
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#limits = limits
    if (bytes.length > limits.bytes) throw limitError(`${bytes.length} bytes, more than ${limits.bytes}`, 0)
  }

  /** Goes on for so many values and keys, or some more; undefined when that is not the end. */
  decode(tokens: number): Decoded | undefined {
    const pause = this.#tokens + tokens
    let frame = this.#frame
    while (this.#tokens < pause) {
      const byte = this.#bytes[this.#at]
      let value: BencodeValue
      if (frame !== undefined && byte === 0x65) {
        // Copies, which take no more memory than there are values: what grows keeps room for many.
        value = frame.keys === undefined ? frame.values.slice() : this.#dict(frame, frame.keys)
        this.#at++
        this.#stack.pop()
        frame = this.#stack.at(-1)
      } else {
        if (frame?.keys !== undefined) this.#key(frame, frame.keys)
        const start = this.#at
        const first = this.#bytes[start]
        this.#token()
        if (first === 0x6c || first === 0x64) {
          if (this.#stack.length >= this.#limits.depth) {
            throw limitError(`nested deeper than ${this.#limits.depth}`, start)
          }
          const keys = first === 0x64 ? [] : undefined
          frame = { start, values: [], keys, greatest: '', known: undefined, skip: false }
          this.#stack.push(frame)
          this.#at++
          continue
        }
        if (first === 0x69) value = this.#integer()
        else if (first !== undefined && first >= 0x30 && first <= 0x39) value = this.#string()
        else if (first === undefined) throw syntaxError('the input ends where a value is expected', start)
        else throw syntaxError('a value is expected', start)
      }
      if (frame === undefined) return { value, end: this.#at, irregularities: this.#irregularities }
      if (frame.skip) frame.skip = false
      else frame.values.push(value)
    }
    this.#frame = frame
    return undefined
  }

  #dict(frame: Frame, keys: string[]): BencodeDict {
    // Of very many dictionaries most have the same keys as the one before.
    const last = this.#lastKeys
    let isSame = last.length === keys.length
    for (let n = 0; isSame && n < keys.length; n++) isSame = last[n] === keys[n]
    if (!isSame) this.#lastKeys = keys.slice()
    return new BencodeDict(this.#bytes, frame.start, this.#lastKeys, frame.values.slice())
  }

  /** The text of a key; short ones are mostly the same few again and again. */
  #keyText(start: number, end: number): string {
    const length = end - start
    if (length === 0 || length > mostKnownKey) return this.#buffer.toString('latin1', start, end)
    const bytes = this.#bytes
    const slot = (length * 7 + (bytes[start] ?? 0) * 3 + (bytes[end - 1] ?? 0)) % knownKeys
    const known = this.#known[slot]
    if (known !== undefined && known.length === length) {
      let n = 0
      while (n < length && known.charCodeAt(n) === bytes[start + n]) n++
      if (n === length) return known
    }
    const text = this.#buffer.toString('latin1', start, end)
    this.#known[slot] = text
    return text
  }

  #key(frame: Frame, keys: string[]): void {
    const position = this.#at
    const first = this.#bytes[position]
    if (first === undefined) throw syntaxError('the input ends inside a dictionary', position)
    if (first < 0x30 || first > 0x39) throw syntaxError('a key is expected', position)
    this.#token()
    const end = this.#stringEnd()
    const key = this.#keyText(this.#at, end)
    this.#at = end
    if (keys.length === 0 || key > frame.greatest) frame.greatest = key
    else {
      frame.known ??= new Set(keys)
      frame.skip = frame.known.has(key)
      this.#report(frame.skip ? 'duplicate-key' : 'unsorted-key', position)
    }
    if (frame.skip) return
    frame.known?.add(key)
    keys.push(key)
  }

  #string(): Uint8Array {
    const end = this.#stringEnd()
    const value = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return value
  }

  /** Reads the length and the colon, and returns where the string ends. */
  #stringEnd(): number {
    const bytes = this.#bytes
    const start = this.#at
    let at = start
    let length = 0
    for (;;) {
      const digit = (bytes[at] ?? 0) - 0x30
      if (digit < 0 || digit > 9) break
      if (at - start >= maxLengthDigits) throw limitError('a length has too many digits', at)
      length = length * 10 + digit
      at++
    }
    if (at >= bytes.length) throw syntaxError('the input ends inside a length', at)
    if (bytes[at] !== 0x3a) throw syntaxError("a digit or ':' is expected", at)
    if (bytes[start] === 0x30 && at - start > 1) this.#report('leading-zero', start)
    if (length > bytes.length - at - 1) throw syntaxError(`a string of ${length} bytes passes the end`, at)
    this.#at = at + 1
    return at + 1 + length
  }

  #integer(): number | bigint {
    const bytes = this.#bytes
    const start = this.#at + 1
    const negative = bytes[start] === 0x2d
    const first = negative ? start + 1 : start
    let at = first
    let value = 0
    for (;;) {
      const digit = (bytes[at] ?? 0) - 0x30
      if (digit < 0 || digit > 9) break
      if (at - first >= maxIntegerDigits) throw limitError('an integer has too many digits', at)
      value = value * 10 + digit
      at++
    }
    if (at >= bytes.length) throw syntaxError('the input ends inside an integer', at)
    if (at === first || bytes[at] !== 0x65) {
      throw syntaxError(at === first ? 'a digit is expected' : "a digit or 'e' is expected", at)
    }
    if (bytes[first] === 0x30) {
      if (at - first > 1) this.#report('leading-zero', first)
      else if (negative) this.#report('negative-zero', start)
    }
    this.#at = at + 1
    if (at - first > safeDigits) {
      const exact = BigInt(this.#buffer.toString('latin1', first, at))
      if (exact > BigInt(Number.MAX_SAFE_INTEGER)) return negative ? -exact : exact
    }
    return negative && value !== 0 ? -value : value
  }

  #token(): void {
    if (++this.#tokens > this.#limits.tokens) {
      throw limitError(`more than ${this.#limits.tokens} values and keys`, this.#at)
    }
  }

  #report(kind: Irregularity['kind'], position: number): void {
    if (this.#irregularities.length < maxIrregularities) this.#irregularities.push({ kind, position })
  }
}
