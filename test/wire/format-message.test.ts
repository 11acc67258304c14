import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encode } from '../../lib/bencode.ts'
import { encodeExtendedHandshake } from '../../lib/wire/extended-handshake.ts'
import {
  formatBitfield,
  formatExtended,
  formatExtendedHandshake,
  formatHandshake,
  formatKeepAlive,
  formatNumbers
} from '../../lib/wire/format-message.ts'
import { formatReserved, type messageIds } from '../../lib/wire/messages.ts'
import { encodePex } from '../../lib/wire/ut-pex.ts'
import { fc } from '../support/fast-check.ts'

/** Each message that has an id and no extension, by the name of its id. */
const messages: Readonly<Record<Exclude<keyof typeof messageIds, 'extended'>, [line: string, text: string]>> =
  {
    choke: [formatNumbers(0), 'choke'],
    unchoke: [formatNumbers(1), 'unchoke'],
    interested: [formatNumbers(2), 'interested'],
    notInterested: [formatNumbers(3), 'not-interested'],
    have: [formatNumbers(4, 7), 'have 7'],
    bitfield: [formatBitfield(Uint8Array.of(0xff, 0x40)), 'bitfield 9 pieces, 2 bytes'],
    request: [formatNumbers(6, 1, 2, 3), 'request 1 offset 2 length 3'],
    piece: [formatNumbers(7, 1, 2, 3), 'piece 1 offset 2 length 3'],
    cancel: [formatNumbers(8, 0, 0, 16384), 'cancel 0 offset 0 length 16384'],
    port: [formatNumbers(9, 6881), 'port 6881'],
    suggest: [formatNumbers(13, 0), 'suggest 0'],
    haveAll: [formatNumbers(14), 'have-all'],
    haveNone: [formatNumbers(15), 'have-none'],
    reject: [formatNumbers(16, 1, 2, 3), 'reject 1 offset 2 length 3'],
    allowedFast: [formatNumbers(17, 0xffffffff), 'allowed-fast 4294967295']
  }
for (const [name, [line, text]] of Object.entries(messages)) {
  test(`the line of ${name}`, () => assert.equal(line, text))
}

test('the lines of messages without an id', () => {
  assert.equal(formatKeepAlive(), 'keep-alive')
  const [infoHash, peerId] = [new Uint8Array(20).fill(1), Buffer.from('-qB4520-abcdefghijkl')]
  const reserved = formatReserved({ fast: true, extended: false, dht: true })
  assert.equal(
    formatHandshake(reserved, infoHash, peerId),
    `handshake of ${'01'.repeat(20)} peer ${peerId.toString('hex')} (qBittorrent 4.5.2) fast dht`
  )
  assert.equal(
    formatHandshake(new Uint8Array(8), infoHash, infoHash),
    `handshake of ${'01'.repeat(20)} peer ${'01'.repeat(20)}`
  )
})

test('the line of an extended handshake names no address', () => {
  const fields = { version: 'a b', port: 6881, maxRequests: 500, metadataSize: 20_000, uploadOnly: true }
  const addresses = { yourIp: '1.2.3.4', ipv4: '5.6.7.8', ipv6: '::1' }
  const extensions = new Map([
    ['ut_pex', 1],
    ['x\n1 <- choke', 0]
  ])
  assert.equal(
    formatExtendedHandshake(encodeExtendedHandshake({ ...fields, ...addresses }, extensions)),
    "extended-handshake 'a b' port 6881 reqq 500 metadata_size 20000 upload_only true ut_pex=1 x?1??-?choke=0"
  )
  assert.equal(formatExtendedHandshake(Buffer.from('de')), 'extended-handshake')
  assert.equal(formatExtendedHandshake(Buffer.from('x')), 'extended-handshake malformed, 1 bytes')
})

const address = { host: '1.2.3.4', port: 1 }
const extended: readonly [name: string, payload: Uint8Array, text: string][] = [
  ['ut_metadata', encode({ msg_type: 0, piece: 3 }), 'ut_metadata request 3'],
  [
    'ut_metadata',
    Buffer.concat([encode({ msg_type: 1, piece: 0, total_size: 6 }), Buffer.from('secret')]),
    'ut_metadata data 0'
  ],
  ['ut_metadata', encode({ msg_type: 2, piece: 3 }), 'ut_metadata reject 3'],
  ['ut_metadata', encode({ msg_type: 9, piece: 3 }), 'ut_metadata type 9 3'],
  ['ut_metadata', Buffer.from('d'), 'ut_metadata malformed, 1 bytes'],
  [
    'ut_pex',
    encodePex({ added: [{ address, flags: 0 }], dropped: [address, address] }),
    'ut_pex added 1 dropped 2'
  ],
  ['ut_pex', Buffer.from('le'), 'ut_pex malformed, 2 bytes'],
  ['lt_donthave', Uint8Array.of(0, 0, 1, 0), 'lt_donthave 256'],
  ['lt_donthave', Uint8Array.of(1), 'lt_donthave 1 bytes'],
  ['upload_only', Uint8Array.of(1), 'upload_only 1'],
  ['upload_only', new Uint8Array(0), 'upload_only 0 bytes'],
  ['lt_tex', Buffer.from('d5:added25:http://tracker/?key=secrete'), 'lt_tex 38 bytes'],
  ['constructor', Uint8Array.of(1), 'constructor 1 bytes'],
  ['a\x1b[2J b', Uint8Array.of(1), 'a??2J?b 1 bytes']
]
test('any payload is one line', () => {
  const name = fc.constantFrom('ut_metadata', 'ut_pex', 'lt_donthave', 'upload_only', 'x')
  const property = fc.property(name, fc.uint8Array({ maxLength: 100 }), (extension, payload) => {
    for (const line of [formatExtended(extension, payload), formatExtendedHandshake(payload)])
      assert.match(line, /^[ -~]+$/)
  })
  fc.assert(property, { numRuns: 200 })
})

for (const [name, payload, text] of extended) {
  test(`the line of ${text}`, () => assert.equal(formatExtended(name, payload), text))
}
