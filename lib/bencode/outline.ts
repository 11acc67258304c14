import { isBytes } from '../util/bytes.ts'
import type { Steps } from '../util/turn-share.ts'
import { Cursor } from './cursor.ts'
import { type DecodeLimits, Scanner, syntaxError } from './scanner.ts'

/** Keys of a dictionary whose values are to be found, each with those of the dictionary that its value is. */
export interface KeyTree {
  readonly [key: string]: KeyTree
}

/** Values and keys that are checked without a pause. */
const tokensOfStep = 10_000
/** Longer keys are none that are looked for. */
const maxWantedKey = 64

/** A value that was checked but not decoded: where it stands, and where the values of its wanted keys stand. */
export class Outline {
  /** The bytes in which it stands, borrowed. */
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
  readonly #found: ReadonlyMap<string, Outline> | undefined

  constructor(bytes: Uint8Array, start: number, end: number, found?: ReadonlyMap<string, Outline>) {
    this.bytes = bytes
    this.start = start
    this.end = end
    this.#found = found
  }

  /** A cursor before the value. */
  cursor(): Cursor {
    return new Cursor(this.bytes, this.start)
  }

  /** Whether it is a dictionary. */
  get isDict(): boolean {
    return this.cursor().kind === 'dict'
  }

  /** Whether it is a list. */
  get isList(): boolean {
    return this.cursor().kind === 'list'
  }

  /** Its raw bencoded bytes, a view. */
  get raw(): Uint8Array {
    return this.bytes.subarray(this.start, this.end)
  }

  /** The value, if it is a string or an integer; strings are views. */
  get scalar(): number | bigint | Uint8Array | undefined {
    return this.cursor().scalar()
  }

  /** The value of a wanted key; of several equal keys the first counts. */
  get(key: string): Outline | undefined {
    return this.#found?.get(key)
  }

  /** The bytes of a string, a view. */
  string(key: string): Uint8Array | undefined {
    const value = this.get(key)?.scalar
    return isBytes(value) ? value : undefined
  }

  /** An integer; undefined also when it is beyond plus or minus 2^53 - 1. */
  integer(key: string): number | undefined {
    const value = this.get(key)?.scalar
    return typeof value === 'number' ? value : undefined
  }
}

/** A dictionary whose wanted keys are looked for. */
interface Search {
  readonly start: number
  readonly wanted: KeyTree
  readonly found: Map<string, Outline>
  /** The wanted key whose value comes, and where that begins. */
  key: string | undefined
  valueAt: number
}

/**
 * Checks the value that `bytes` begin with as `decode` does, in parts of a few milliseconds, and returns where the values of the
 * wanted keys stand. Takes no memory for anything else, however many values there are.
 * @throws TorrentError ERR_BENCODE_SYNTAX or ERR_BENCODE_LIMIT.
 */
export function* outlinePrefixSteps(
  bytes: Uint8Array,
  wanted: KeyTree,
  limits?: Partial<DecodeLimits>
): Steps<Outline> {
  const scanner = new Scanner(bytes, limits)
  const source = scanner.bytes
  /** For each list and dictionary that is open whether it is a dictionary. */
  const isDict: boolean[] = []
  /** The outermost of these, as far as they are searched. */
  const searches: Search[] = []
  let pause = tokensOfStep
  for (;;) {
    const depth = isDict.length
    let outline: ReadonlyMap<string, Outline> | undefined
    if (depth > 0 && source[scanner.at] === 0x65) {
      scanner.at++
      isDict.pop()
      if (searches.length === depth) outline = searches.pop()?.found
    } else {
      const search = searches.length === depth ? searches.at(-1) : undefined
      if (isDict[depth - 1] === true) readKey(scanner, search)
      const start = scanner.at
      const first = scanner.value(depth)
      if (first === 0x6c || first === 0x64) {
        isDict.push(first === 0x64)
        const inner = depth === 0 ? wanted : search?.key === undefined ? undefined : search.wanted[search.key]
        if (first === 0x64 && inner !== undefined)
          searches.push({ start, wanted: inner, found: new Map(), key: undefined, valueAt: 0 })
        scanner.at++
        continue
      }
      if (first === 0x69) scanner.integer()
      else scanner.at = scanner.string()
    }
    if (isDict.length === 0) return new Outline(source, 0, scanner.at, outline)
    const search = searches.length === isDict.length ? searches.at(-1) : undefined
    if (search?.key !== undefined) {
      search.found.set(search.key, new Outline(source, search.valueAt, scanner.at, outline))
      search.key = undefined
    }
    if (scanner.tokens >= pause) {
      yield
      pause = scanner.tokens + tokensOfStep
    }
  }
}

/** As {@link outlinePrefixSteps} for bytes that hold one value and nothing else. */
export function* outlineSteps(
  bytes: Uint8Array,
  wanted: KeyTree,
  limits?: Partial<DecodeLimits>
): Steps<Outline> {
  const outline = yield* outlinePrefixSteps(bytes, wanted, limits)
  if (outline.end < bytes.length) throw syntaxError('bytes follow the value', outline.end)
  return outline
}

/** Moves behind a key, and has the search take its value if it is wanted. */
function readKey(scanner: Scanner, search: Search | undefined): void {
  const end = scanner.key()
  if (search !== undefined && end - scanner.at <= maxWantedKey) {
    const key = scanner.buffer.toString('latin1', scanner.at, end)
    if (Object.hasOwn(search.wanted, key) && !search.found.has(key)) {
      search.key = key
      search.valueAt = end
    }
  }
  scanner.at = end
}
