import { mutateText, oddNumber } from './mutate-text.ts'
import type { Random } from './random.ts'

type Json = unknown

function isRecord(value: Json): value is Record<string, Json> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function anyJson(random: Random, words: readonly string[]): Json {
  const number = Number(oddNumber(random))
  return random.pick([
    number,
    -number,
    0.5,
    '',
    random.pick(words) ?? '',
    null,
    true,
    [],
    {},
    [[]],
    [null],
    'Infinity'
  ])
}

/** Changes this value or one below it. */
function mutateValue(value: Json, random: Random, words: readonly string[], other: Json): Json {
  const down = !random.oneIn(4)
  if (Array.isArray(value) && value.length > 0 && down) {
    const at = random.below(value.length)
    return value.map((item, n) => (n === at ? mutateValue(item, random, words, other) : item))
  }
  if (isRecord(value) && down) {
    const key = random.pick(Object.keys(value))
    if (key !== undefined) return { ...value, [key]: mutateValue(value[key], random, words, other) }
  }
  if (random.oneIn(4)) return anyJson(random, words)
  if (Array.isArray(value)) return mutateList(value, random, words)
  if (isRecord(value)) return mutateRecord(value, random, words, other)
  if (typeof value === 'number')
    return random.pick([value + 1, -value, value / 2, Number(oddNumber(random)), String(value)])
  if (typeof value !== 'string') return anyJson(random, words)
  return Buffer.from(
    mutateText(Buffer.from(value), random, words, Buffer.from(random.pick(words) ?? ''))
  ).toString()
}

function mutateList(value: readonly Json[], random: Random, words: readonly string[]): Json {
  const item = random.oneIn(2) ? anyJson(random, words) : random.pick(value)
  const count = random.oneIn(4) ? random.length(random.oneIn(8) ? 5000 : 50) : 1
  const at = random.below(value.length + 1)
  return random.oneIn(5)
    ? value.slice(0, at)
    : [...value.slice(0, at), ...Array(count).fill(item), ...value.slice(at)]
}

function mutateRecord(
  value: Record<string, Json>,
  random: Random,
  words: readonly string[],
  other: Json
): Json {
  const copy = { ...value }
  const key = random.pick(Object.keys(copy))
  if (key !== undefined && random.oneIn(2)) delete copy[key]
  const name = random.pick(words) ?? 'a'
  const given =
    isRecord(other) && random.oneIn(2) ? random.pick(Object.values(other)) : anyJson(random, words)
  return random.oneIn(3) ? copy : { ...copy, [name]: given }
}

function parsed(bytes: Uint8Array): Json {
  try {
    return JSON.parse(Buffer.from(bytes).toString())
  } catch {
    return undefined
  }
}

/** Mutates JSON: types, fields, lengths, numbers; occasionally its text. */
export function mutateJson(
  bytes: Uint8Array,
  random: Random,
  words: readonly string[],
  other: Uint8Array
): Uint8Array {
  const value = random.oneIn(8) ? undefined : parsed(bytes)
  if (value === undefined) return mutateText(bytes, random, words, other)
  return Buffer.from(JSON.stringify(mutateValue(value, random, words, parsed(other)) ?? null))
}
