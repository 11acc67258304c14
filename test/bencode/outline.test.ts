import assert from 'node:assert/strict'
import test from 'node:test'
import { BencodeDict, type BencodeValue } from '../../lib/bencode/bencode-dict.ts'
import { decode, decodePrefix } from '../../lib/bencode/decode.ts'
import { encode } from '../../lib/bencode/encode.ts'
import { type KeyTree, type Outline, outlinePrefixSteps, outlineSteps } from '../../lib/bencode/outline.ts'
import { fromText } from '../../lib/util/bytes.ts'
import { isTorrentError } from '../../lib/util/errors.ts'
import { runSteps } from '../../lib/util/slices.ts'
import { fc } from '../support/fast-check.ts'

const wanted: KeyTree = { a: {}, info: { a: {}, b: { c: {} } }, list: {} }

function outline(text: string): Outline {
  return runSteps(outlineSteps(fromText(text), wanted))
}

/** Returns the result of a task, or the code and position of its error. */
function outcome<T>(task: () => T): T | { readonly code: string; readonly message: string } {
  try {
    return task()
  } catch (error) {
    assert.ok(isTorrentError(error))
    return { code: error.code, message: error.message }
  }
}

/** Returns the wanted values, decoded. */
function found(part: Outline, tree: KeyTree): unknown {
  return Object.fromEntries(
    Object.keys(tree).flatMap((key) => {
      const value = part.get(key)
      return value === undefined ? [] : [[key, [decode(value.raw), found(value, tree[key] ?? {})]]]
    })
  )
}

/** Returns the same from a decoded value. */
function expected(value: BencodeValue, tree: KeyTree): unknown {
  if (!(value instanceof BencodeDict)) return {}
  return Object.fromEntries(
    Object.keys(tree).flatMap((key) => {
      const raw = value.span(key)
      return raw === undefined ? [] : [[key, [decode(raw), expected(value.get(key) ?? 0, tree[key] ?? {})]]]
    })
  )
}

const texts = [
  'i5e',
  '1:a',
  'le',
  'de',
  'd1:ai1ee',
  'd4:infod1:ai1e1:bd1:c2:xyeee',
  'd4:infoli1ee4:infod1:ai1eee',
  'd4:infoi1e4:infod1:ai1eee',
  'd1:zd4:infod1:ai1eeee',
  'd4:listl1:al1:bd1:ci1eeee1:ai9007199254740993ee',
  'd1:bi1e1:ai2e1:ai3ee',
  'ld1:ai1eee',
  'i-0e',
  'd1:ai007ee',
  `d${'9'.repeat(9)}:aee`,
  'd1:a',
  'd1:ae',
  'di1ei2ee',
  'd4:infod1:aee',
  'l'.repeat(101) + 'e'.repeat(101),
  `i${'1'.repeat(65)}e`,
  'i1ei2e',
  ''
]
for (const text of texts) {
  const shown = text.length > 40 ? `${text.slice(0, 40)}…` : text
  test(`the outline of ${JSON.stringify(shown)} agrees with its decoded value`, () => {
    const bytes = fromText(text)
    const result = outcome(() => found(runSteps(outlinePrefixSteps(bytes, wanted)), wanted))
    assert.deepEqual(
      result,
      outcome(() => expected(decodePrefix(bytes).value, wanted))
    )
  })
}

test('bytes have an outline if and only if they can be decoded', () => {
  const key = fc.constantFrom('a', 'b', 'c', 'info', 'list', '__proto__', 'constructor')
  const { value: tree } = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.integer(),
      fc.bigInt(-(2n ** 70n), 2n ** 70n),
      fc.string({ maxLength: 5 }),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.array(fc.tuple(key, tie('value')), { maxLength: 5 }).map((entries) => new Map(entries as never))
    )
  }))
  const changes = fc.array(fc.tuple(fc.nat(), fc.constantFrom(...Buffer.from('edli0123:-'))), {
    maxLength: 2
  })
  fc.assert(
    fc.property(tree, changes, (value, changed) => {
      const bytes = encode(value as never)
      for (const [at, byte] of changed) bytes[at % bytes.length] = byte
      assert.deepEqual(
        outcome(() => found(runSteps(outlinePrefixSteps(bytes, wanted)), wanted)),
        outcome(() => expected(decodePrefix(bytes).value, wanted))
      )
    }),
    { numRuns: 2000 }
  )
})

test('bytes after the value are an error, except of a prefix', () => {
  assert.throws(() => outline('dei1e'), { code: 'ERR_BENCODE_SYNTAX', details: { position: 2 } })
  assert.equal(runSteps(outlinePrefixSteps(fromText('dei1e'), wanted)).end, 2)
})

test('limits are those of decoding', () => {
  const limited = (text: string, limits: object): (() => unknown) => {
    return () => runSteps(outlineSteps(fromText(text), wanted, limits))
  }
  assert.throws(limited('li1ei2ei3ee', { tokens: 3 }), { code: 'ERR_BENCODE_LIMIT' })
  assert.throws(limited('llleee', { depth: 2 }), { code: 'ERR_BENCODE_LIMIT' })
  assert.throws(limited('4:spam', { bytes: 5 }), { code: 'ERR_BENCODE_LIMIT' })
  assert.throws(() => runSteps(outlineSteps('le' as never, wanted)), { code: 'ERR_BENCODE_SYNTAX' })
})

test('typed getters return undefined for other types', () => {
  const dict = outline('d1:ai5e4:infod1:a2:hi1:bi1ee4:listl1:aee')
  assert.deepEqual([dict.integer('a'), dict.string('a')], [5, undefined])
  const info = dict.get('info')
  assert.deepEqual(
    [info?.string('a'), info?.integer('a'), info?.isDict, info?.isList],
    [fromText('hi'), undefined, true, false]
  )
  assert.equal(info?.string('b'), undefined)
  assert.deepEqual(
    [dict.get('list')?.isList, dict.get('list')?.scalar, dict.get('c')],
    [true, undefined, undefined]
  )
})

test('many values are outlined in several slices', () => {
  const steps = outlineSteps(fromText(`l${'i1e'.repeat(100_000)}e`), wanted)
  let parts = 1
  while (steps.next().done !== true) parts++
  assert.ok(parts >= 10, `${parts}`)
})
