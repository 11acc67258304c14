import assert from 'node:assert/strict'
import test from 'node:test'
import { BencodeDict } from '../../lib/bencode/bencode-dict.ts'
import { decode } from '../../lib/bencode/decode.ts'
import { encode } from '../../lib/bencode/encode.ts'
import { fromText, toText } from '../../lib/util/bytes.ts'

function dictOf(bytes: Uint8Array | string): BencodeDict {
  const value = decode(typeof bytes === 'string' ? fromText(bytes) : bytes)
  assert.ok(value instanceof BencodeDict)
  return value
}

test('getters return a value only of the requested type', () => {
  const dict = dictOf(
    encode({ big: 2n ** 60n, bytes: Uint8Array.of(0xff), dict: {}, int: -7, list: [1], text: 'žluť' })
  )
  assert.equal(dict.size, 6)
  assert.equal(dict.integer('int'), -7)
  assert.equal(dict.integer('big'), undefined)
  assert.equal(dict.get('big'), 2n ** 60n)
  assert.deepEqual(dict.bytes('bytes'), Uint8Array.of(0xff))
  assert.equal(dict.text('bytes'), undefined)
  assert.equal(dict.text('text'), 'žluť')
  assert.deepEqual(dict.list('list'), [1])
  assert.equal(dict.dict('dict')?.size, 0)
  for (const key of dict.keys()) {
    const types = [dict.bytes(key), dict.integer(key), dict.list(key), dict.dict(key)].filter(
      (v) => v !== undefined
    )
    assert.equal(types.length, key === 'big' ? 0 : 1, key)
  }
  assert.equal(dict.bytes('missing'), undefined)
  assert.equal(dict.has('missing'), false)
})

test('names from Object.prototype are ordinary keys', () => {
  const dict = dictOf('d9:__proto__d1:ai1eee')
  assert.equal(dict.dict('__proto__')?.integer('a'), 1)
  for (const key of ['constructor', 'toString', 'hasOwnProperty']) assert.equal(dict.get(key), undefined)
})

test('keys that are not UTF-8 are kept apart', () => {
  const dict = dictOf(
    Uint8Array.of(0x64, ...fromText('1:'), 0xfe, ...fromText('i1e1:'), 0xff, ...fromText('i2ee'))
  )
  assert.equal(dict.integer('\u00fe'), 1)
  assert.equal(dict.integer('\u00ff'), 2)
  assert.deepEqual([...dict.keys()], ['\u00fe', '\u00ff'])
})

test('large dictionaries are found by key like small ones', () => {
  const entries = Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`key${n}`, n]))
  const dict = dictOf(encode(entries))
  for (let n = 0; n < 500; n++) assert.equal(dict.integer(`key${n}`), n)
  assert.equal(dict.has('key500'), false)
})

test('span is the raw bytes of a value, also irregular ones', () => {
  const dict = dictOf('d8:announce3:url4:infod5:filesld1:xi00eee1:ai-5ee3:endlee')
  assert.equal(toText(dict.span('info') ?? new Uint8Array()), 'd5:filesld1:xi00eee1:ai-5ee')
  assert.equal(toText(dict.span('announce') ?? new Uint8Array()), '3:url')
  assert.equal(toText(dict.span('end') ?? new Uint8Array()), 'le')
  assert.equal(dict.span('missing'), undefined)
  assert.equal(toText(dict.dict('info')?.raw ?? new Uint8Array()), 'd5:filesld1:xi00eee1:ai-5ee')
})

test('the first of equal keys counts, in get and in span', () => {
  const dict = dictOf('d1:bi1e1:ai2e1:ai3ee')
  assert.equal(dict.integer('a'), 2)
  assert.equal(toText(dict.span('a') ?? new Uint8Array()), 'i2e')
})
