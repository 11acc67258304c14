import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { type BencodeInput, encode } from '../../lib/bencode.ts'
import { type ExtendedHandshake, parseExtendedHandshake } from '../../lib/wire/extended-handshake.ts'

const fieldsOf = (dict: Record<string, BencodeInput>): Partial<ExtendedHandshake> => {
  const remote = parseExtendedHandshake(encode(dict), 64) ?? assert.fail()
  const said = Object.entries(remote).filter(([name, value]) => name !== 'extensions' && value !== undefined)
  return Object.fromEntries(said)
}

const within: [key: string, value: BencodeInput, said: Partial<ExtendedHandshake>][] = [
  ['p', 1, { port: 1 }],
  ['p', 65535, { port: 65535 }],
  ['reqq', 1, { maxRequests: 1 }],
  ['reqq', 0x7fffffff, { maxRequests: 0x7fffffff }],
  ['metadata_size', 1, { metadataSize: 1 }],
  ['upload_only', 2, { uploadOnly: true }],
  ['upload_only', 0, { uploadOnly: false }],
  ['yourip', Uint8Array.of(1, 2, 3, 4), { yourIp: '1.2.3.4' }],
  ['yourip', new Uint8Array(16), { yourIp: '::' }],
  ['ipv4', Uint8Array.of(1, 2, 3, 4), { ipv4: '1.2.3.4' }],
  ['ipv6', new Uint8Array(16), { ipv6: '::' }],
  ['v', 'x'.repeat(65), { version: 'x'.repeat(64) }]
]
const beyond: [key: string, value: BencodeInput][] = [
  ['p', 0],
  ['p', 65536],
  ['reqq', 0],
  ['reqq', -1],
  ['reqq', 0x80000000],
  ['metadata_size', 0],
  ['metadata_size', -1],
  ['yourip', new Uint8Array(5)],
  ['ipv4', new Uint8Array(16)],
  ['ipv6', new Uint8Array(4)],
  ['v', '\x00'],
  ['v', 7]
]

for (const [key, value, said] of within) {
  test(`${key} is read from ${inspect(value, { maxArrayLength: 0, maxStringLength: 9 })}`, () => {
    assert.deepEqual(fieldsOf({ [key]: value }), said)
  })
}

for (const [key, value] of beyond) {
  test(`${key} is left out when it is ${inspect(value, { maxArrayLength: 0 })}`, () => {
    assert.deepEqual(fieldsOf({ [key]: value }), {})
  })
}

test('extensions are stored up to a limit, with names of up to 64 letters', () => {
  const m = Object.fromEntries(
    Array.from({ length: 100 }, (_, n) => [`x${String(n).padStart(2, '0')}`, n + 1])
  )
  const names = (dict: Record<string, number>, most: number): string[] => [
    ...(parseExtendedHandshake(encode({ m: dict }), most)?.extensions.keys() ?? [])
  ]
  assert.deepEqual(names(m, 3), ['x00', 'x01', 'x02'])
  assert.equal(names(m, 64).length, 64)
  assert.deepEqual(names({ ['x'.repeat(64)]: 1, ['y'.repeat(65)]: 1 }, 64), ['x'.repeat(64)])
})

test('a handshake of more than 2000 values is refused', () => {
  const list = (length: number): Uint8Array => encode({ x: new Array<number>(length).fill(1) })
  assert.notEqual(parseExtendedHandshake(list(1900), 64), undefined)
  assert.equal(parseExtendedHandshake(list(2100), 64), undefined)
})
