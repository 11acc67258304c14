import { BencodeDict, type BencodeValue } from './bencode-dict.ts'
import { type DecodeLimits, type Irregularity, Scanner, syntaxError } from './scanner.ts'

/** A decoded value and what there is to know about its bytes. */
export interface Decoded {
  readonly value: BencodeValue
  /** The offset after the value. */
  readonly end: number
  /** Breaches of the canonical form in the order of the input, the first 100 of them. */
  readonly irregularities: readonly Irregularity[]
}

/** Keys up to this length are looked for among so many that came before. */
const mostKnownKey = 16
const knownKeys = 32

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

/** As {@link decodeDetailed} for the value that `bytes` begin with; what follows it is left alone: BEP 9 puts data there, and trackers and peers a line end. */
export function decodePrefix(bytes: Uint8Array, limits?: Partial<DecodeLimits>): Decoded {
  return new Decoder(bytes, limits).decode()
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
  readonly #scanner: Scanner
  readonly #stack: Frame[] = []
  readonly #known: (string | undefined)[] = []
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
        // Copies, which take no more memory than there are values: what grows keeps room for many.
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

  /** The keys of a dictionary: of very many dictionaries most have the same as the one before. */
  #shared(keys: string[]): string[] {
    const last = this.#lastKeys
    let isSame = last.length === keys.length
    for (let n = 0; isSame && n < keys.length; n++) isSame = last[n] === keys[n]
    if (!isSame) this.#lastKeys = keys.slice()
    return this.#lastKeys
  }

  /** The text of a key; short ones are mostly the same few again and again. */
  #keyText({ bytes, buffer, at: start }: Scanner, end: number): string {
    const length = end - start
    if (length === 0 || length > mostKnownKey) return buffer.toString('latin1', start, end)
    const slot = (length * 7 + (bytes[start] ?? 0) * 3 + (bytes[end - 1] ?? 0)) % knownKeys
    const known = this.#known[slot]
    if (known !== undefined && known.length === length) {
      let n = 0
      while (n < length && known.charCodeAt(n) === bytes[start + n]) n++
      if (n === length) return known
    }
    const text = buffer.toString('latin1', start, end)
    this.#known[slot] = text
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
