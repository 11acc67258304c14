/** Records nest four deep. */
const mostDepth = 16
/** More than the files and pieces of any torrent; each array or object takes about 50 bytes and 100 ns. */
const mostContainers = 3_000_000

const quote = 0x22
const backslash = 0x5c
const bracket = 0x5b
const bracketEnd = 0x5d
const brace = 0x7b
const braceEnd = 0x7d

/**
 * Parses the JSON of a record. One that nests deeper than records do, or holds more arrays and objects, would take seconds and
 * hundreds of megabytes: it is refused before.
 * @throws SyntaxError, or TypeError for such.
 */
export function parseRecordJson(text: string): unknown {
  let depth = 0
  let containers = 0
  let isString = false
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === quote) isString = !isString
    else if (isString) {
      if (code === backslash) at++
    } else if (code === bracket || code === brace) {
      containers++
      if (++depth > mostDepth) throw new TypeError(`nested deeper than ${mostDepth}`)
      if (containers > mostContainers) throw new TypeError(`more than ${mostContainers} lists and objects`)
    } else if (code === bracketEnd || code === braceEnd) depth--
  }
  return JSON.parse(text)
}

/** An object of unknown shape whose fields are asked for by type; another type throws a TypeError. */
export class JsonFields {
  readonly #values: Map<string, unknown>

  constructor(object: unknown) {
    if (typeof object !== 'object' || object === null) throw new TypeError('no object')
    this.#values = new Map(Object.entries(object))
  }

  /** The field as it is; undefined when there is none. */
  value(name: string): unknown {
    return this.#values.get(name)
  }

  /** A text. */
  string(name: string): string {
    return asString(this.value(name))
  }

  /** A text, or undefined when there is none. */
  optionalString(name: string): string | undefined {
    const value = this.value(name)
    return value === undefined ? undefined : asString(value)
  }

  /** A number from 0 to 2^53 - 1. */
  count(name: string): number {
    return asCount(this.value(name))
  }

  /** A list of anything. */
  list(name: string): unknown[] {
    return asList(this.value(name))
  }

  /** A list of texts. */
  strings(name: string): string[] {
    return this.list(name).map(asString)
  }
}

/** The value if it is a text. */
export function asString(value: unknown): string {
  if (typeof value !== 'string') throw new TypeError('no string')
  return value
}

/** The value if it is a number from 0 to 2^53 - 1. */
export function asCount(value: unknown): number {
  if (typeof value !== 'number' || !(value >= 0) || value > Number.MAX_SAFE_INTEGER)
    throw new TypeError('no count')
  // JSON knows -0, which is written as 0.
  return value + 0
}

/** The value if it is a list. */
export function asList(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw new TypeError('no list')
  return value
}
