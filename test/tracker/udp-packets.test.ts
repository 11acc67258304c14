import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  encodeAnnounce,
  isUdpReply,
  parseAnnounce,
  parseConnect,
  parseScrape,
  transactionOf
} from '../../lib/tracker/udp-packets.ts'
import { TorrentError } from '../../lib/util/errors.ts'
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

test('only so many peers are taken', () => {
  const body = Buffer.concat([words(1, 0), announceBody(1, 1, 1, Array<number>(60_000).fill(1))])
  assert.equal(parseAnnounce(body, 4).peers.length, 4096)
})

test('a long path is split into options of 255 bytes', () => {
  const parameters = {
    infoHash: new Uint8Array(20),
    peerId: new Uint8Array(20),
    port: 1,
    uploaded: 0,
    downloaded: 0,
    left: 0,
    key: 1,
    numwant: 1
  }
  const path = `/${'x'.repeat(300)}`
  const options = encodeAnnounce(1n, 1, parameters, path).subarray(98)
  assert.deepEqual([options[0], options[1], options[257], options[258]], [2, 255, 2, 46])
  assert.equal(Buffer.concat([options.subarray(2, 257), options.subarray(259)]).toString(), path)
  assert.equal(encodeAnnounce(1n, 1, parameters, '/').length, 98)
  assert.equal(encodeAnnounce(1n, 1, parameters).length, 98)
})
