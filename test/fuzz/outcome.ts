import { isTorrentError } from '../../lib/util/errors.ts'

const deepest = 4
const mostEntries = 4

/**
 * Returns a text that is equal for results of the same kind: types, keys and orders of magnitude, and no
 * values.
 */
export function shapeOf(value: unknown, depth = 0): string {
  switch (typeof value) {
    case 'number':
      return numberShape(value)
    case 'bigint':
      return value < 0n ? '-N' : 'N'
    case 'string':
      return `'${textShape(value)}'`
    case 'boolean':
      return value ? 'T' : 'F'
    case 'object':
      return value === null ? '0' : objectShape(value, depth)
    default:
      return typeof value === 'undefined' ? '_' : typeof value
  }
}

/** Returns the kind of a refusal: its code, and its message without quoted input. */
export function refusalShape(thrown: unknown): string {
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  const code = isTorrentError(thrown) ? thrown.code : 'refused'
  const template = message
    .replace(/'[^']*'|"[^"]*"|`[^`]*`/g, '#')
    .replace(/[^a-z ]+/gi, '#')
    .slice(0, 120)
  return `${code} ${template}`
}

function numberShape(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  const size = value === 0 ? 0 : Math.ceil(Math.log2(Math.abs(value) + 1) / 8) + 1
  return `${value < 0 ? '-' : ''}${Math.min(size, 9)}${Number.isInteger(value) ? '' : '.'}`
}

function textShape(text: string): string {
  const kinds = [/[/\\]/, /%/, /[^ -~]/].map((kind) => (kind.test(text) ? 1 : 0))
  return `${lengthShape(text.length)}${kinds.join('')}`
}

function lengthShape(length: number): number {
  return Math.ceil(Math.log2(length + 1) / 2)
}

function objectShape(value: object, depth: number): string {
  if (value instanceof Uint8Array) return `b${lengthShape(value.length)}`
  if (value instanceof Date) return 'date'
  if (depth >= deepest) return '…'
  if (Array.isArray(value) || value instanceof Set) {
    const shapes = new Set<string>()
    let count = 0
    for (const item of value) {
      if (shapes.size >= mostEntries || count++ > 200) break
      shapes.add(shapeOf(item, depth + 1))
    }
    const length = Array.isArray(value) ? value.length : value.size
    return `${lengthShape(length)}[${[...shapes].sort().join(',')}]`
  }
  const entries = value instanceof Map ? [...value].slice(0, 200) : Object.entries(value)
  const shapes = entries.map(
    ([key, item]) => `${typeof key === 'string' ? key : ''}:${shapeOf(item, depth + 1)}`
  )
  if (value instanceof Map)
    return `m${lengthShape(value.size)}{${[...new Set(shapes)].slice(0, mostEntries)}}`
  return `{${shapes.slice(0, 40).join(',')}}`
}
