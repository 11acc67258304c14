import { isBytes } from '../util/bytes.ts'
import type { Steps } from '../util/slices.ts'
import { Cursor } from './cursor.ts'
import { type DecodeLimits, Scanner, syntaxError } from './scanner.ts'

/** The keys to find in a dictionary. Each maps to the keys to find in its value, which may be none. */
export interface KeyTree {
  readonly [key: string]: KeyTree
}

/** Values and keys checked before yielding. */
const tokensOfStep = 10_000
/** Longer keys are never wanted. */
const maxWantedKey = 64

/** A value that was validated but not decoded: its offsets, and those of the values of its wanted keys. */
export class Outline {
  /** The bytes that contain the value; they must not change. */
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

  /** Returns a cursor before the value. */
  cursor(): Cursor {
    return new Cursor(this.bytes, this.start)
  }

  /** Whether the value is a dictionary. */
  get isDict(): boolean {
    return this.cursor().kind === 'dict'
  }

  /** Whether the value is a list. */
  get isList(): boolean {
    return this.cursor().kind === 'list'
  }

  /** Raw bencoded bytes of the value, a view. */
  get raw(): Uint8Array {
    return this.bytes.subarray(this.start, this.end)
  }

  /** The value if it is a string or an integer; strings are views. */
  get scalar(): number | bigint | Uint8Array | undefined {
    return this.cursor().scalar()
  }

  /** Returns the value of a wanted key, the first one if the key is duplicated. */
  get(key: string): Outline | undefined {
    return this.#found?.get(key)
  }

  /** Returns the bytes of a string, a view. */
  string(key: string): Uint8Array | undefined {
    const value = this.get(key)?.scalar
    return isBytes(value) ? value : undefined
  }

  /** Returns an integer; undefined also beyond ±(2^53 - 1). */
  integer(key: string): number | undefined {
    const value = this.get(key)?.scalar
    return typeof value === 'number' ? value : undefined
  }
}

/** A dictionary being searched for wanted keys. */
interface Search {
  readonly start: number
  readonly wanted: KeyTree
  readonly found: Map<string, Outline>
  /** The wanted key whose value comes next, and the offset of that value. */
  key: string | undefined
  valueAt: number
}

/**
 * Validates the first value in `bytes` as `decode` does, in steps of a few milliseconds, and returns the offsets of the values of wanted
 * keys. Memory use depends on `wanted` and the depth limit, not on the number of values.
 * @throws TorrentError ERR_BENCODE_SYNTAX or ERR_BENCODE_LIMIT.
 */
export function* outlinePrefixSteps(
  bytes: Uint8Array,
  wanted: KeyTree,
  limits?: Partial<DecodeLimits>
): Steps<Outline> {
  const scanner = new Scanner(bytes, limits)
  const source = scanner.bytes
  /** For each open list and dictionary, whether it is a dictionary. */
  const isDict: boolean[] = []
  /** The open dictionaries on the path of a wanted key, from the root down. */
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

/** Does the same as {@link outlinePrefixSteps} for bytes that hold a single value. */
export function* outlineSteps(
  bytes: Uint8Array,
  wanted: KeyTree,
  limits?: Partial<DecodeLimits>
): Steps<Outline> {
  const outline = yield* outlinePrefixSteps(bytes, wanted, limits)
  if (outline.end < bytes.length) throw syntaxError('bytes follow the value', outline.end)
  return outline
}

/** Moves past a key and records it in the search if it is wanted. */
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
