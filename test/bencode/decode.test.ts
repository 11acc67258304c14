import assert from 'node:assert/strict'
import test from 'node:test'
import { BencodeDict, type BencodeValue } from '../../lib/bencode/bencode-dict.ts'
import { decode, decodeDetailed, decodePrefix } from '../../lib/bencode/decode.ts'
import { fromText, toText } from '../../lib/util/bytes.ts'
import { TorrentError } from '../../lib/util/errors.ts'
import { fc } from '../support/fast-check.ts'

/** Returns byte strings as text and dictionaries as entries, to compare with literals. */
function plain(value: BencodeValue): unknown {
  if (value instanceof Uint8Array) return toText(value)
  if (Array.isArray(value)) return value.map(plain)
  if (value instanceof BencodeDict)
    return { entries: [...value.entries()].map(([key, entry]) => [key, plain(entry)]) }
  return value
}

const accepted: [string, unknown][] = [
  ['i0e', 0],
  ['i-1e', -1],
  ['i9007199254740991e', 9007199254740991],
  ['i9007199254740992e', 9007199254740992n],
  ['i-9007199254740993e', -9007199254740993n],
  ['i18446744073709551616e', 18446744073709551616n],
  ['i00000000000000000000000000000000000001e', 1],
  ['0:', ''],
  ['4:spam', 'spam'],
  ['le', []],
  ['li1e3:abclee', [1, 'abc', []]],
  ['de', { entries: [] }],
  ['d0:i420ee', { entries: [['', 420]] }],
  [
    'd1:a1:b1:cd1:dlee1:ei3ee',
    {
      entries: [
        ['a', 'b'],
        ['c', { entries: [['d', []]] }],
        ['e', 3]
      ]
    }
  ],
  [
    'd9:__proto__i1e11:constructori2ee',
    {
      entries: [
        ['__proto__', 1],
        ['constructor', 2]
      ]
    }
  ]
]
for (const [text, expected] of accepted) {
  test(`decodes ${text}`, () => assert.deepEqual(plain(decode(fromText(text))), expected))
}

const refused: [string, number][] = [
  ['', 0],
  ['e', 0],
  ['x:abc', 0],
  ['-10:foobar', 0],
  ['3:ab', 1],
  ['99999999:foobar', 8],
  ['18446744073709551615:foobar', 20],
  ['10', 2],
  ['1x', 1],
  ['i', 1],
  ['ie', 1],
  ['i-e', 2],
  ['i--1e', 2],
  ['i+0e', 1],
  ['i1', 2],
  ['i1.5e', 2],
  ['i35412-5633e', 6],
  ['l', 1],
  ['li1e', 4],
  ['d', 1],
  ['d3:abc', 6],
  ['d3:000e', 6],
  ['d10000000000', 12],
  ['di5e1:ae', 1],
  ['dle1:ae', 1],
  ['d1:ai1e1:be', 10],
  ['i1ei2e', 3],
  ['dee', 2],
  ['4:spam\n', 6]
]
for (const [text, position] of refused) {
  test(`refuses ${JSON.stringify(text)} at ${position}`, () => {
    assert.throws(
      () => decode(fromText(text)),
      (error: TorrentError) => {
        assert.equal(error.code, 'ERR_BENCODE_SYNTAX')
        assert.equal(error.details['position'], position)
        assert.match(error.message, new RegExp(`at byte ${position}\\b`))
        return true
      }
    )
  })
}

const limited: [string, string, number, Parameters<typeof decode>[1]][] = [
  ['depth', 'l'.repeat(101) + 'e'.repeat(101), 100, undefined],
  ['depth given', 'ld1:aleee', 5, { depth: 2 }],
  ['tokens', 'li1ei2ei3ee', 7, { tokens: 3 }],
  ['keys as tokens', 'd1:ai1e1:bi2ee', 7, { tokens: 3 }],
  ['size', '4:spam', 0, { bytes: 5 }],
  ['digits of an integer', `i${'1'.repeat(65)}e`, 65, undefined],
  ['digits of a length', `${'0'.repeat(21)}1:a`, 20, undefined]
]
for (const [what, text, position, limits] of limited) {
  test(`bounds the ${what}`, () => {
    const expected = { code: 'ERR_BENCODE_LIMIT', details: { position } }
    assert.throws(() => decode(fromText(text), limits), expected)
  })
}

test('reads right up to the limits', () => {
  decode(fromText('l'.repeat(100) + 'e'.repeat(100)))
  decode(fromText('li1ei2ee'), { tokens: 3, bytes: 8, depth: 1 })
  assert.equal(decode(fromText(`i${'9'.repeat(64)}e`)), 10n ** 64n - 1n)
})

test('a million open lists are refused, not recursed into', () => {
  assert.throws(() => decode(new Uint8Array(1_000_000).fill(0x6c)), { code: 'ERR_BENCODE_LIMIT' })
  assert.throws(() => decode(new Uint8Array(1_000_000).fill(0x6c), { depth: 2_000_000 }), {
    code: 'ERR_BENCODE_SYNTAX'
  })
})

const irregular: [string, unknown, [string, number][]][] = [
  ['i01e', 1, [['leading-zero', 1]]],
  ['i-01e', -1, [['leading-zero', 2]]],
  ['i-0e', 0, [['negative-zero', 1]]],
  ['i00e', 0, [['leading-zero', 1]]],
  ['06:foobar', 'foobar', [['leading-zero', 0]]],
  ['00:', '', [['leading-zero', 0]]],
  [
    'd1:bi1e1:ai2ee',
    {
      entries: [
        ['b', 1],
        ['a', 2]
      ]
    },
    [['unsorted-key', 7]]
  ],
  ['d1:ai1e1:ai2ee', { entries: [['a', 1]] }, [['duplicate-key', 7]]],
  [
    'd1:bi1e1:ai2e1:ale1:ci4ee',
    {
      entries: [
        ['b', 1],
        ['a', 2],
        ['c', 4]
      ]
    },
    [
      ['unsorted-key', 7],
      ['duplicate-key', 13]
    ]
  ],
  [
    'd1:ai1e2:aai1ee',
    {
      entries: [
        ['a', 1],
        ['aa', 1]
      ]
    },
    []
  ]
]
for (const [text, expected, list] of irregular) {
  test(`reports irregularities in ${text}`, () => {
    const { value, irregularities } = decodeDetailed(fromText(text))
    assert.deepEqual(plain(value), expected)
    assert.deepEqual(
      irregularities.map(({ kind, position }) => [kind, position]),
      list
    )
  })
}

test('the report of irregularities is bounded', () => {
  const { irregularities } = decodeDetailed(fromText(`l${'i00e'.repeat(5000)}e`))
  assert.equal(irregularities.length, 100)
})

test('decodePrefix leaves the bytes after the value', () => {
  const { value, end } = decodePrefix(fromText('d8:msg_typei1e5:piecei0eexxxx'))
  assert.equal(end, 25)
  assert.equal(value instanceof BencodeDict && value.integer('msg_type'), 1)
})

test('byte strings are views into the input', () => {
  const input = fromText('l4:spame')
  const list = decode(input)
  input[3] = 0x53
  assert.deepEqual(plain(list), ['Spam'])
})

test('byte strings are plain arrays, also when the input is a Buffer', () => {
  const text = decode(Buffer.from('4:spam'))
  assert.deepEqual(text, fromText('spam'))
})

test('decodes a view in the middle of a buffer', () => {
  const whole = fromText('xxd1:a3:abcexx')
  const dict = decode(whole.subarray(2, 12))
  assert.ok(dict instanceof BencodeDict)
  assert.equal(dict.text('a'), 'abc')
  assert.equal(toText(dict.raw), 'd1:a3:abce')
})

test('any bytes decode or throw a TorrentError', () => {
  const alphabet = fc.constantFrom(...fromText('idle0123456789:-ab'), 0xff, 0)
  const input = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.array(alphabet, { maxLength: 60 }).map((b) => Uint8Array.from(b))
  )
  fc.assert(
    fc.property(input, (bytes) => {
      try {
        const { value, end } = decodePrefix(bytes, { depth: 5, tokens: 20 })
        assert.ok(end <= bytes.length)
        if (value instanceof BencodeDict) {
          assert.equal(value.raw.length, end)
          for (const key of value.keys()) decode(value.span(key) ?? new Uint8Array())
        }
      } catch (error) {
        assert.ok(error instanceof TorrentError && error.code.startsWith('ERR_BENCODE'), String(error))
      }
    }),
    { numRuns: 3000 }
  )
})
