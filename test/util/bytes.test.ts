import assert from 'node:assert/strict'
import test from 'node:test'
import * as bytes from '../../lib/util/bytes.ts'

test('hexadecimal both ways', () => {
  assert.equal(bytes.toHex(Uint8Array.of(0, 171, 255)), '00abff')
  assert.deepEqual(bytes.fromHex('00aBFf'), Uint8Array.of(0, 171, 255))
  assert.deepEqual(bytes.fromHex(''), new Uint8Array(0))
  for (const text of ['0', 'abc', '0g', ' 00', '00 ']) assert.equal(bytes.fromHex(text), undefined, text)
  assert.equal(bytes.toHex(Uint8Array.of(1, 2, 3, 4).subarray(1, 3)), '0203')
})

test('base32 (RFC 4648)', () => {
  for (const [text, expected] of [
    ['', ''],
    ['MY', 'f'],
    ['MZXQ', 'fo'],
    ['mzxw6ytboi', 'foobar']
  ] as const) {
    assert.deepEqual(bytes.fromBase32(text), bytes.fromText(expected))
  }
  for (const text of ['M1', 'MZ=', 'M\u0131', 'M\u017f', 'stra\u00dfe'])
    assert.equal(bytes.fromBase32(text), undefined)
})

test('text is UTF-8, whole or not at all', () => {
  for (const text of ['', 'abc', 'žluť 😀', '\ufeffmark'])
    assert.equal(bytes.toText(bytes.fromText(text)), text)
  for (const raw of [[0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xe2, 0x82]]) {
    assert.equal(bytes.toText(Uint8Array.from(raw)), undefined)
  }
  assert.equal(bytes.toText(bytes.fromText('xabcx').subarray(1, 4)), 'abc')
})

test('latin1 keeps each byte', () => {
  const all = Uint8Array.from({ length: 256 }, (_, n) => n)
  assert.deepEqual(
    Array.from(bytes.toLatin1(all), (letter) => letter.charCodeAt(0)),
    [...all]
  )
})

test('equality is of content', () => {
  assert.ok(bytes.equalBytes(Uint8Array.of(1, 2), Uint8Array.of(0, 1, 2).subarray(1)))
  assert.ok(bytes.equalBytes(new Uint8Array(0), new Uint8Array(0)))
  assert.ok(!bytes.equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3)))
  assert.ok(!bytes.equalBytes(Uint8Array.of(1), Uint8Array.of(1, 0)))
})

test('random bytes have the length and differ', () => {
  assert.equal(bytes.randomBytes(20).length, 20)
  assert.ok(!bytes.equalBytes(bytes.randomBytes(20), bytes.randomBytes(20)))
})
