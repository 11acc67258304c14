import { BencodeDict, type BencodeValue } from '../../../lib/bencode/bencode-dict.ts'
import {
  decode,
  decodeDetailed,
  decodePrefix,
  decodePrefixSteps,
  decodeSteps
} from '../../../lib/bencode/decode.ts'
import { encode } from '../../../lib/bencode/encode.ts'
import { skipValue } from '../../../lib/bencode/skip-value.ts'
import type { Check, Target } from '../target.ts'

/** The decoder: whole, in slices, and with bytes behind the value; what it yields encodes to the same value. */
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
    check.equal(
      check.steps(decodePrefixSteps(input, limits)).value,
      value,
      'sliced decoding gives another value'
    )
    const whole = input.subarray(0, end)
    check.equal(check.steps(decodeSteps(whole, limits)), value, 'decodeSteps() gives another value')
    const encoded = check.turn(() => encode(value))
    check.equal(decode(encoded), plain(value), 'decode(encode(x)) is not x')
    check.that(decodeDetailed(encoded).irregularities.length === 0, 'encode() is not canonical')
    if (irregularities.length === 0) check.equal(encoded, new Uint8Array(whole), 'encode(decode(x)) is not x')
    checkDicts(value, check)
    return value
  }
}

/** Equal for equal values, whatever their bytes were. */
function plain(value: BencodeValue): BencodeValue {
  return decodeDetailed(encode(value)).value
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
