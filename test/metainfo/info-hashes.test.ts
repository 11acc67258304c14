import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import test from 'node:test'
import {
  hashesOfBytes,
  hashesOfKey,
  hashKey,
  hexV2,
  type InfoHashes,
  isHashKey,
  isHexHash,
  isInfoHashes,
  isInfoOf,
  isNamedBy,
  keyOfHash,
  parseV1,
  parseV2,
  wireHash
} from '../../lib/metainfo/info-hashes.ts'
import { fromText, toHex } from '../../lib/util/bytes.ts'

const info = fromText('d4:name1:ae')
const v1 = new Uint8Array(createHash('sha1').update(info).digest())
const v2 = new Uint8Array(createHash('sha256').update(info).digest())
const hex1 = toHex(v1)
const hex2 = toHex(v2)
const short2 = hex2.slice(0, 40)
const other = new Uint8Array(20).fill(1)

const identities: [string, InfoHashes, string][] = [
  ['v1', { v1 }, hex1],
  ['a hybrid', { v1, v2 }, hex1],
  ['v2 alone', { v2 }, short2]
]
for (const [what, hashes, key] of identities) {
  test(`${what} has one key, and the same 20 bytes on the wire`, () => {
    assert.equal(hashKey(hashes), key)
    assert.equal(toHex(wireHash(hashes)), key)
    assert.equal(keyOfHash(wireHash(hashes)), key)
    assert.equal(keyOfHash(key.toUpperCase()), key)
    assert.equal(isHashKey(key), true)
  })

  test(`${what} is named by the hash that it sends`, () => {
    assert.equal(isNamedBy(hashes, Buffer.from(key, 'hex')), true)
    for (const hash of [other, v2, new Uint8Array(), key === hex1 ? v2.subarray(0, 20) : v1])
      assert.equal(isNamedBy(hashes, hash), false, toHex(hash))
  })

  test(`${what} knows its info dictionary`, () => {
    assert.equal(isInfoOf(hashes, info), true)
    assert.equal(isInfoOf(hashes, fromText('d4:name1:be')), false)
    assert.equal(isInfoOf(hashes, new Uint8Array()), false)
  })

  test(`${what} is restored from its key`, () => {
    assert.deepEqual(hashesOfKey(hashKey(hashes), hexV2(hashes)), hashes)
    assert.equal(hexV2(hashes), hashes.v2 && hex2)
  })
}

test('a torrent without a hash has no identity, and zeros do not replace it', () => {
  for (const call of [wireHash, hashKey]) assert.throws(() => call({}), TypeError)
  assert.throws(() => isNamedBy({}, new Uint8Array(20)), TypeError)
  assert.equal(isInfoOf({}, info), false)
})

const malformed: [string, string, string | undefined][] = [
  ['an empty key', '', undefined],
  ['a short key', hex1.slice(1), undefined],
  ['a key in capitals', hex1.toUpperCase(), undefined],
  ['a key that is no hex', `${hex1.slice(1)}g`, undefined],
  ['a key with a newline', `${hex1}\n`, undefined],
  ['a v2 hash as key', hex2, undefined],
  ['a v1 hash as v2 hash', hex1, hex1],
  ['a v2 hash in capitals', hex1, hex2.toUpperCase()],
  ['an empty v2 hash', hex1, '']
]
for (const [what, key, infoHashV2] of malformed)
  test(`${what} is refused in saved torrents`, () =>
    assert.throws(() => hashesOfKey(key, infoHashV2), TypeError))

const digits: [string, boolean][] = [
  [hex1, true],
  [hex2, true],
  ['', false],
  [hex1.toUpperCase(), false],
  [`${hex1}0`, false],
  [hex2.slice(1), false],
  [`${hex1.slice(1)}/`, false],
  [`${hex1.slice(1)}\n`, false]
]
for (const [text, expected] of digits)
  test(`file names and records ${expected ? 'have' : 'do not have'} ${JSON.stringify(text)}`, () =>
    assert.equal(isHexHash(text), expected))

const written: [string, (text: string) => Uint8Array | undefined, string, Uint8Array | undefined][] = [
  ['hexadecimal', parseV1, hex1, v1],
  ['hexadecimal capitals', parseV1, hex1.toUpperCase(), v1],
  ['base32', parseV1, 'AEBAGBAFAYDQQCIKBMGA2DQPCAIREEYU', Uint8Array.from({ length: 20 }, (_, n) => n + 1)],
  ['base32 in small letters', parseV1, 'a'.repeat(32), new Uint8Array(20)],
  ['no hexadecimal digits', parseV1, 'g'.repeat(40), undefined],
  ['no base32 digits', parseV1, '1'.repeat(32), undefined],
  ['too few digits', parseV1, hex1.slice(2), undefined],
  ['a v2 hash', parseV1, hex2, undefined],
  ['a multihash', parseV2, `1220${hex2}`, v2],
  ['a multihash of SHA-1', parseV2, `1114${hex1}`, undefined],
  ['a multihash of another function', parseV2, `1320${hex2}`, undefined],
  ['a multihash that is cut', parseV2, `1220${hex2.slice(2)}`, undefined],
  ['a v2 hash without function and length', parseV2, hex2, undefined],
  ['no hexadecimal multihash', parseV2, `1220${'g'.repeat(64)}`, undefined]
]
for (const [what, parse, text, expected] of written)
  test(`${parse.name} reads ${what}`, () => assert.deepEqual(parse(text), expected))

test('only 20 bytes are a hash by themselves', () => {
  assert.deepEqual(hashesOfBytes(v1), { v1 })
  for (const length of [0, 19, 21, 32]) assert.equal(hashesOfBytes(new Uint8Array(length)), undefined)
})

const values: [unknown, boolean][] = [
  [{ v1 }, true],
  [{ v2 }, true],
  [{ v1, v2 }, true],
  [{}, false],
  [null, false],
  ['v1', false],
  [{ v1: hex1 }, false],
  [{ v1: v2 }, false],
  [{ v2: v1 }, false],
  [{ v1: [...v1] }, false]
]
test('values of another realm are identified by their properties', () => {
  for (const [value, expected] of values) assert.equal(isInfoHashes(value), expected, JSON.stringify(value))
})
