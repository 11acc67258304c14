import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  encodeAnnounce,
  encodeConnect,
  encodeScrape,
  isUdpReply,
  parseAnnounce,
  parseConnect,
  parseScrape,
  transactionOf
} from '../../lib/tracker/udp-packets.ts'
import { TorrentError } from '../../lib/util/errors.ts'
import { regularAnnounce } from '../support/announce-parameters.ts'
import { fc } from '../support/fast-check.ts'
import { announceBody, words } from './udp-server.ts'

test('arbitrary bytes give a reply or a TorrentError', () => {
  const anyAction = fc
    .tuple(fc.constantFrom(0, 1, 2, 3, 4), fc.uint8Array({ maxLength: 200 }))
    .map(([action, rest]) => Uint8Array.of(0, 0, 0, action, ...rest))
  fc.assert(
    fc.property(
      fc.oneof(fc.uint8Array({ maxLength: 120 }), anyAction),
      fc.constantFrom(4 as const, 6 as const),
      (bytes, family) => {
        const parsers = [
          () => parseConnect(bytes),
          () => parseAnnounce(bytes, family),
          () => parseScrape(bytes, 3),
          () => isUdpReply(bytes) && transactionOf(bytes)
        ]
        for (const parse of parsers) {
          try {
            parse()
          } catch (error) {
            assert.ok(error instanceof TorrentError)
            assert.doesNotMatch(error.message, /\p{Cc}/u)
            assert.ok(error.message.length < 300)
          }
        }
      }
    )
  )
})

test('absurd numbers count as unknown', () => {
  for (const interval of [0, -1, 0x80000000]) {
    const reply = parseAnnounce(Buffer.concat([words(1, 0), announceBody(interval, -1, -5, [])]), 4)
    assert.deepEqual(
      [reply.intervalMs, reply.complete, reply.incomplete, reply.peers.length],
      [undefined, undefined, undefined, 0]
    )
  }
})

test('the number of peers is limited', () => {
  const body = Buffer.concat([words(1, 0), announceBody(1, 1, 1, Array<number>(60_000).fill(1))])
  assert.equal(parseAnnounce(body, 4).peers.length, 4096)
})

test('a long path is split into options of 255 bytes', () => {
  const path = `/${'x'.repeat(300)}`
  const options = encodeAnnounce(1n, 1, regularAnnounce, path).subarray(98)
  assert.deepEqual([options[0], options[1], options[257], options[258]], [2, 255, 2, 46])
  assert.equal(Buffer.concat([options.subarray(2, 257), options.subarray(259)]).toString(), path)
  assert.equal(encodeAnnounce(1n, 1, regularAnnounce, '/').length, 98)
  assert.equal(encodeAnnounce(1n, 1, regularAnnounce).length, 98)
})

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'))
}

function sameBytes(actual: Uint8Array, expected: string): void {
  assert.equal(Buffer.from(actual).toString('hex'), expected.replaceAll(/\s/g, ''))
}

test('BEP 15: requests, byte for byte', () => {
  sameBytes(encodeConnect(0x01020304), '0000041727101980 00000000 01020304')
  const parameters = {
    infoHash: hex('aa'.repeat(20)),
    peerId: hex('bb'.repeat(20)),
    port: 6881,
    uploaded: 0x33,
    downloaded: 0x11,
    left: 0x2200000000,
    key: 0xfedcba98,
    numwant: -1,
    event: 'started'
  } as const
  sameBytes(
    encodeAnnounce(0x1122334455667788n, 0x01020304, parameters),
    `1122334455667788 00000001 01020304 ${'aa'.repeat(20)} ${'bb'.repeat(20)}
    0000000000000011 0000002200000000 0000000000000033 00000002 00000000 fedcba98 ffffffff 1ae1`
  )
  const hashes = [hex('aa'.repeat(20)), hex('cc'.repeat(20))]
  sameBytes(
    encodeScrape(0x1122334455667788n, 0x01020304, hashes),
    `1122334455667788 00000002 01020304 ${'aa'.repeat(20)} ${'cc'.repeat(20)}`
  )
})

test('BEP 15: event numbers', () => {
  const numbers = (['completed', 'started', 'stopped', undefined] as const).map((event) => {
    const parameters = event === undefined ? regularAnnounce : { ...regularAnnounce, event }
    return encodeAnnounce(1n, 1, parameters)[83]
  })
  assert.deepEqual(numbers, [1, 2, 3, 0])
})

test('BEP 15: answers, byte for byte', () => {
  const connect = hex('00000000 01020304 1122334455667788')
  assert.deepEqual([isUdpReply(connect), transactionOf(connect)], [true, 0x01020304])
  assert.equal(parseConnect(connect), 0x1122334455667788n)
  const head = '00000001 01020304 00000708 00000003 00000005'
  const announce = parseAnnounce(hex(`${head} c0000207 1ae1 cb007109 c8d5`), 4)
  assert.deepEqual([announce.intervalMs, announce.incomplete, announce.complete], [1_800_000, 3, 5])
  assert.deepEqual(announce.peers, [
    { host: '192.0.2.7', port: 6881 },
    { host: '203.0.113.9', port: 51413 }
  ])
  const six = parseAnnounce(hex(`${head} 20010db8000000000000000000000007 1ae1`), 6)
  assert.deepEqual(six.peers, [{ host: '2001:db8::7', port: 6881 }])
  assert.deepEqual(parseScrape(hex('00000002 01020304 00000005 00000007 00000003'), 1), [
    { complete: 5, downloaded: 7, incomplete: 3 }
  ])
  const refused = hex('00000003 01020304 756e726567697374657265642074 6f7272656e74')
  for (const parse of [parseConnect, (bytes: Uint8Array) => parseAnnounce(bytes, 4)])
    assert.throws(() => parse(refused), /unregistered torrent/)
})
