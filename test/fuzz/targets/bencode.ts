import { BencodeDict, type BencodeValue } from '../../../lib/bencode/bencode-dict.ts'
import { decode, decodeDetailed, decodePrefix } from '../../../lib/bencode/decode.ts'
import { encode } from '../../../lib/bencode/encode.ts'
import { type Outline, outlinePrefixSteps, outlineSteps } from '../../../lib/bencode/outline.ts'
import { skipValue } from '../../../lib/bencode/skip-value.ts'
import type { Check, Target } from '../target.ts'

const wanted = { info: { a: {}, info: {} }, a: {}, id: {} }

/**
 * The decoder and outlines, with and without bytes after the value. Decoded values encode to an equal value.
 */
export const bencode: Target = {
  name: 'bencode',
  grammar: 'bencode',
  corpus: ['torrent', 'krpc', 'extended', 'http-reply'],
  words: ['info', 'a', 'id', '__proto__', '\u00ff'],
  maxBytes: 512 << 10,
  run(input, check) {
    const limits = { depth: 100, tokens: 100_000 }
    const { value, end, irregularities } = check.turn(() => decodePrefix(input, limits))
    check.that(end > 0 && end <= input.length, 'the end of a value is outside the input')
    check.equal(skipValue(input, 0), end, 'skipValue() finds another end than the decoder')
    const whole = input.subarray(0, end)
    checkOutline(check.steps(outlinePrefixSteps(input, wanted, limits)), value, check)
    checkOutline(check.steps(outlineSteps(whole, wanted, limits)), value, check)
    const encoded = check.turn(() => encode(value))
    check.equal(decode(encoded), plain(value), 'decode(encode(x)) is not x')
    check.that(decodeDetailed(encoded).irregularities.length === 0, 'encode() is not canonical')
    if (irregularities.length === 0) check.equal(encoded, new Uint8Array(whole), 'encode(decode(x)) is not x')
    checkDicts(value, check)
    return value
  }
}

/** Returns a form that is equal for equal values, whatever their bytes were. */
function plain(value: BencodeValue): BencodeValue {
  return decodeDetailed(encode(value)).value
}

/** Checks that the outline ends with the value and finds the same values of wanted keys. */
function checkOutline(outline: Outline, value: BencodeValue, check: Check): void {
  const isDict = value instanceof BencodeDict
  check.equal(outline.isDict, isDict, 'the outline has another type')
  if (!isDict) {
    check.equal(outline.scalar, Array.isArray(value) ? undefined : value, 'the outline has another scalar')
    return
  }
  check.equal(outline.raw.length, value.raw.length, 'the outline ends elsewhere')
  for (const key of Object.keys(wanted)) {
    check.equal(outline.get(key)?.raw, value.span(key), `the outline finds another value of ${key}`)
    check.equal(outline.integer(key), value.integer(key), `the outline finds another integer of ${key}`)
  }
  const [found, info] = [outline.get('info'), value.dict('info')]
  for (const key of ['a', 'info'])
    check.equal(found?.get(key)?.raw, info?.span(key), `the outline finds another value of ${key} in info`)
}

function checkDicts(value: BencodeValue, check: Check): void {
  if (Array.isArray(value)) for (const item of value.slice(0, 20)) checkDicts(item, check)
  if (!(value instanceof BencodeDict)) return
  check.equal(decodeDetailed(value.raw).end, value.raw.length, 'raw is more or less than the dictionary')
  for (const [key, item] of [...value.entries()].slice(0, 20)) {
    const span = value.span(key)
    check.that(span !== undefined, 'a key has no span')
    check.equal(span && decodeDetailed(span).end, span?.length, 'a span is more or less than the value')
    checkDicts(item, check)
  }
}
