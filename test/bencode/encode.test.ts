import assert from 'node:assert/strict'
import test from 'node:test'
import { BencodeDict, type BencodeValue } from '../../lib/bencode/bencode-dict.ts'
import { decode, decodeDetailed } from '../../lib/bencode/decode.ts'
import { type BencodeInput, encode } from '../../lib/bencode/encode.ts'
import { fromText, toLatin1 } from '../../lib/util/bytes.ts'
import { fc } from '../support/fast-check.ts'

const vectors: [string, BencodeInput, string][] = [
  ['zero', 0, 'i0e'],
  ['negative zero', -0, 'i0e'],
  ['a negative', -42, 'i-42e'],
  ['a bigint', 2n ** 64n, 'i18446744073709551616e'],
  ['empty text', '', '0:'],
  ['text by its UTF-8 length', 'é', '2:\u00c3\u00a9'],
  ['bytes', Uint8Array.of(0, 255), '2:\u0000\u00ff'],
  ['a Buffer', Buffer.from('abc'), '3:abc'],
  ['a list', [1, 'a', []], 'li1e1:alee'],
  ['sorted keys', { b: 1, a: 2, aa: 3, B: 4 }, 'd1:Bi4e1:ai2e2:aai3e1:bi1ee'],
  [
    'keys by their bytes',
    { '\u{1f600}': 1, '\uffee': 2 },
    'd3:\u00ef\u00bf\u00aei2e4:\u00f0\u009f\u0098\u0080i1ee'
  ],
  ['keys like numbers', { 10: 1, 9: 2 }, 'd2:10i1e1:9i2ee'],
  ['undefined keys left out', { a: undefined, b: 1 }, 'd1:bi1ee'],
  [
    'a Map with raw keys',
    new Map<string | Uint8Array, BencodeInput>([
      [Uint8Array.of(0xff), 1],
      ['a', 2]
    ]),
    'd1:ai2e1:\u00ffi1ee'
  ],
  ['an object without prototype', Object.assign(Object.create(null), { a: 1 }), 'd1:ai1ee'],
  ['long bytes between text', ['a', new Uint8Array(100).fill(0x2e), 'b'], `l1:a100:${'.'.repeat(100)}1:be`]
]
for (const [what, value, expected] of vectors) {
  test(`encodes ${what}`, () => assert.equal(toLatin1(encode(value)), expected))
}

const cycle: BencodeInput[] = []
cycle.push(cycle)
const refused: [string, unknown, string][] = [
  ['a fraction', { a: [0, { b: 1.5 }] }, 'a.1.b'],
  ['NaN', Number.NaN, ''],
  ['an unsafe integer', [2 ** 53], '0'],
  ['null', { a: null }, 'a'],
  ['undefined in a list', [undefined], '0'],
  ['a boolean', { a: true }, 'a'],
  ['a function', [() => 1], '0'],
  ['a Date', { d: new Date(0) }, 'd'],
  ['another typed array', { t: new Uint16Array(2) }, 't'],
  ['a key that is a number', new Map([[1, 2]]), ''],
  [
    'a key that comes twice',
    {
      m: new Map<unknown, number>([
        ['a', 1],
        [fromText('a'), 2]
      ])
    },
    'm'
  ]
]
for (const [what, value, path] of refused) {
  test(`refuses ${what}`, () => {
    assert.throws(() => encode(value as BencodeInput), { code: 'ERR_BENCODE_VALUE', details: { path } })
  })
}

test('refuses a value that contains itself', () => {
  assert.throws(() => encode(cycle), { code: 'ERR_BENCODE_VALUE' })
})

test('a decoded dictionary encodes to canonical bytes, including keys that are not text', () => {
  const bytes = Uint8Array.of(0x64, ...fromText('1:'), 0xff, ...fromText('i01e1:ai2ee'))
  assert.equal(toLatin1(encode(decode(bytes))), 'd1:ai2e1:\u00ffi1ee')
})

/** Returns the decoded form of an input, dictionaries as sorted entries by byte key. */
function normal(value: unknown): unknown {
  if (typeof value === 'string') return toLatin1(fromText(value))
  if (value instanceof Uint8Array) return toLatin1(value)
  if (typeof value === 'bigint') return value
  if (Array.isArray(value)) return value.map(normal)
  if (value instanceof BencodeDict)
    return { entries: [...value.entries()].map(([k, v]: [string, BencodeValue]) => [k, normal(v)]) }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(([k, v]): [string, unknown] => [
      toLatin1(fromText(k)),
      normal(v)
    ])
    return { entries: entries.sort(([a], [b]) => (a < b ? -1 : 1)) }
  }
  return Object.is(value, -0) ? 0 : value
}

test('an encoded value decodes to the same, canonically', () => {
  const { tree } = fc.letrec<{ tree: BencodeInput }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      fc.maxSafeInteger(),
      fc.bigInt({ min: 2n ** 60n, max: 2n ** 80n }),
      fc.string({ unit: 'grapheme' }),
      fc.uint8Array({ maxLength: 100 }),
      fc.array(tie('tree'), { maxLength: 5 }),
      fc.dictionary(fc.string({ unit: 'grapheme' }), tie('tree'), { maxKeys: 12 })
    )
  }))
  fc.assert(
    fc.property(tree, (value) => {
      const bytes = encode(value)
      const { value: decoded, irregularities } = decodeDetailed(bytes)
      assert.deepEqual(irregularities, [])
      assert.deepEqual(normal(decoded), normal(value))
      assert.deepEqual(encode(decoded), bytes)
    }),
    { numRuns: 500 }
  )
})
