import { isBytes } from '../util/bytes.ts'
import { TorrentError } from '../util/errors.ts'
import { show } from '../util/show.ts'

/** Limits of a decoder. */
export interface DecodeLimits {
  /** Maximum nesting of lists and dictionaries. Default 100, far more than any BEP needs. */
  readonly depth: number
  /** Maximum number of values and keys. Default 3,000,000, which bounds the memory of the decoded value. */
  readonly tokens: number
  /** Maximum number of bytes. Default 2^29 - 1. */
  readonly bytes: number
}

/** A violation of BEP 3 that was accepted. */
export interface Irregularity {
  /** Kind of the violation. */
  readonly kind: 'unsorted-key' | 'duplicate-key' | 'leading-zero' | 'negative-zero'
  /** Offset in the input. */
  readonly position: number
}

const defaultLimits: DecodeLimits = { depth: 100, tokens: 3_000_000, bytes: 2 ** 29 - 1 }
const maxIrregularities = 100
/** Maximum digits of an integer; BigInt() takes quadratic time. */
const maxIntegerDigits = 64
const maxLengthDigits = 20
/** Integers up to this many digits are always safe integers. */
const safeDigits = 15

/** Returns the error for bytes that are not bencode. */
export function syntaxError(what: string, position: number): TorrentError {
  return new TorrentError('ERR_BENCODE_SYNTAX', `Not bencode at byte ${position}: ${what}`, {
    details: { position }
  })
}

/** Returns the error for bencode beyond the limits. */
function limitError(what: string, position: number): TorrentError {
  return new TorrentError('ERR_BENCODE_LIMIT', `Bencode beyond limits at byte ${position}: ${what}`, {
    details: { position }
  })
}

/** Reads the tokens of bencode in sequence and enforces the limits. */
export class Scanner {
  readonly bytes: Uint8Array
  /** A Buffer over the same bytes. */
  readonly buffer: Buffer
  readonly limits: DecodeLimits
  /** Violations of the canonical form, up to a limit. */
  readonly irregularities: Irregularity[] = []
  /** Offset of the next token. */
  at = 0
  /** Number of values and keys read so far. */
  tokens = 0

  /** Makes a scanner at the start of `bytes`, which must not change. */
  constructor(bytes: Uint8Array, limits: Partial<DecodeLimits> | undefined) {
    if (!isBytes(bytes)) throw syntaxError(`${show(bytes)} is not a Uint8Array`, 0)
    // Views must be plain Uint8Arrays even if the input is a Buffer, whose slice() does not copy.
    this.bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.limits = { ...defaultLimits, ...limits }
    if (bytes.length > this.limits.bytes)
      throw limitError(`${bytes.length} bytes, more than ${this.limits.bytes}`, 0)
  }

  /** Counts the value at the current offset and returns its first byte: `l`, `d`, `i` or a digit. Does not move. */
  value(depth: number): number {
    const first = this.bytes[this.at]
    this.#token()
    if (first === 0x6c || first === 0x64) {
      if (depth >= this.limits.depth) throw limitError(`nested deeper than ${this.limits.depth}`, this.at)
      return first
    }
    if (first === 0x69 || (first !== undefined && first >= 0x30 && first <= 0x39)) return first
    if (first === undefined) throw syntaxError('the input ends where a value is expected', this.at)
    throw syntaxError('a value is expected', this.at)
  }

  /** Counts the key at the current offset, moves to its text, and returns the offset of its end. */
  key(): number {
    const first = this.bytes[this.at]
    if (first === undefined) throw syntaxError('the input ends inside a dictionary', this.at)
    if (first < 0x30 || first > 0x39) throw syntaxError('a key is expected', this.at)
    this.#token()
    return this.string()
  }

  /** Moves from the length of a string to its first byte, and returns the offset of its end. */
  string(): number {
    const { bytes, at: start } = this
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
    if (bytes[start] === 0x30 && at - start > 1) this.report('leading-zero', start)
    if (length > bytes.length - at - 1)
      throw syntaxError(`a string of ${length} bytes extends past the end of the input`, at)
    this.at = at + 1
    return at + 1 + length
  }

  /** Moves past an integer and returns it, as a bigint beyond ±(2^53 - 1). */
  integer(): number | bigint {
    const { bytes } = this
    const start = this.at + 1
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
      if (at - first > 1) this.report('leading-zero', first)
      else if (negative) this.report('negative-zero', start)
    }
    this.at = at + 1
    if (at - first > safeDigits) {
      const exact = BigInt(this.buffer.toString('latin1', first, at))
      if (exact > BigInt(Number.MAX_SAFE_INTEGER)) return negative ? -exact : exact
    }
    return negative && value !== 0 ? -value : value
  }

  /** Records a violation of the canonical form, up to a limit. */
  report(kind: Irregularity['kind'], position: number): void {
    if (this.irregularities.length < maxIrregularities) this.irregularities.push({ kind, position })
  }

  #token(): void {
    if (++this.tokens > this.limits.tokens)
      throw limitError(`more than ${this.limits.tokens} values and keys`, this.at)
  }
}
