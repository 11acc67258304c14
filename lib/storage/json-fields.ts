/** Maximum nesting; records nest four deep. */
const mostDepth = 16
/** More than the files and pieces of any torrent. Each array or object takes about 50 bytes and 100 ns. */
const mostContainers = 3_000_000

const quote = 0x22
const backslash = 0x5c
const bracket = 0x5b
const bracketEnd = 0x5d
const brace = 0x7b
const braceEnd = 0x7d

/**
 * Parses the JSON of a record. Refuses text that nests deeper or holds more arrays and objects than any record, because parsing it could
 * take seconds and hundreds of megabytes.
 * @throws SyntaxError for invalid JSON, TypeError for too many or too deep containers.
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
      if (containers > mostContainers) throw new TypeError(`more than ${mostContainers} arrays and objects`)
    } else if (code === bracketEnd || code === braceEnd) depth--
  }
  return JSON.parse(text)
}

/** Typed access to the fields of an unknown object; throws a TypeError for a field of another type. */
export class JsonFields {
  readonly #values: Map<string, unknown>

  constructor(object: unknown) {
    if (typeof object !== 'object' || object === null) throw new TypeError('not an object')
    this.#values = new Map(Object.entries(object))
  }

  /** Returns a field of any type; undefined when it is missing. */
  value(name: string): unknown {
    return this.#values.get(name)
  }

  string(name: string): string {
    return asString(this.value(name))
  }

  /** Returns a string field, or undefined when it is missing. */
  optionalString(name: string): string | undefined {
    const value = this.value(name)
    return value === undefined ? undefined : asString(value)
  }

  /** Returns a whole number field from 0 to 2^53 - 1. */
  count(name: string): number {
    return asCount(this.value(name))
  }

  /** Returns a number field from 0 to 2^53 - 1, which may be a fraction. */
  amount(name: string): number {
    return asAmount(this.value(name))
  }

  /** Returns an array field. */
  list(name: string): unknown[] {
    return asList(this.value(name))
  }

  /** Returns a field that is an array of strings. */
  strings(name: string): string[] {
    return this.list(name).map(asString)
  }
}

/** Returns the value; throws a TypeError unless it is a string. */
export function asString(value: unknown): string {
  if (typeof value !== 'string') throw new TypeError('not a string')
  return value
}

/** Returns the value; throws a TypeError unless it is a whole number from 0 to 2^53 - 1. */
export function asCount(value: unknown): number {
  if (!Number.isInteger(value)) throw new TypeError('not a whole number')
  return asAmount(value)
}

/** Returns the value; throws a TypeError unless it is a number from 0 to 2^53 - 1. */
export function asAmount(value: unknown): number {
  if (typeof value !== 'number' || !(value >= 0) || value > Number.MAX_SAFE_INTEGER)
    throw new TypeError('not a number from 0 to 2^53 - 1')
  // Turns -0, which JSON can express, into 0.
  return value + 0
}

/** Returns the value; throws a TypeError unless it is an array. */
export function asList(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw new TypeError('not an array')
  return value
}
