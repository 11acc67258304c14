import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BencodeInput, encode } from '../../lib/bencode/encode.ts'
import { findFailure, parseHttpAnnounce, parseHttpScrape } from '../../lib/tracker/http-reply.ts'
import { TorrentError } from '../../lib/util/errors.ts'
import { fc } from '../support/fast-check.ts'

test('reads every field', () => {
  const reply = parseHttpAnnounce(
    encode({
      interval: 1800,
      'min interval': 60,
      complete: 3,
      incomplete: 4,
      downloaded: 5,
      'tracker id': Uint8Array.of(1, 255),
      'warning message': 'be\tcareful',
      'external ip': Uint8Array.of(198, 51, 100, 7),
      peers: Uint8Array.of(10, 0, 0, 1, 0, 80, 10, 0, 0, 2, 0, 0, 9),
      peers6: Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0)
    })
  )
  assert.deepEqual(reply, {
    peers: [
      { host: '10.0.0.1', port: 80 },
      { host: '2001:db8::1', port: 256 }
    ],
    intervalMs: 1_800_000,
    minIntervalMs: 60_000,
    complete: 3,
    incomplete: 4,
    downloaded: 5,
    warning: 'be careful',
    externalHost: '198.51.100.7',
    trackerId: Uint8Array.of(1, 255)
  })
})

test('reads peers in dictionary form, and omits broken ones', () => {
  const { peers } = parseHttpAnnounce(
    encode({
      peers: [
        { ip: '10.0.0.1', port: 6881, 'peer id': 'x' },
        { ip: '2001:DB8::0:1', port: 6881 },
        { ip: 'peer.example', port: 1 },
        { ip: '10.0.0.2', port: 0 },
        { ip: '10.0.0.2', port: 65536 },
        { ip: '10.0.0.2', port: 'x' },
        { ip: 'a b', port: 5 },
        { ip: '', port: 5 },
        { port: 5 },
        {}
      ]
    })
  )
  assert.deepEqual(peers, [
    { host: '10.0.0.1', port: 6881 },
    { host: '2001:db8::1', port: 6881 },
    { host: 'peer.example', port: 1 }
  ])
})

const absent: [string, BencodeInput][] = [
  ['interval', 0],
  ['interval', -5],
  ['interval', 'x'],
  ['interval', 2n ** 70n],
  ['min interval', -1],
  ['complete', -1],
  ['incomplete', 'x'],
  ['downloaded', []],
  ['external ip', 'nowhere'],
  ['external ip', ''],
  ['tracker id', 'x'.repeat(257)],
  ['warning message', 5]
]
test('useless fields count as missing', () => {
  for (const [key, value] of absent) {
    const { peers, ...rest } = parseHttpAnnounce(encode({ peers: '', [key]: value }))
    assert.deepEqual(new Set(Object.values(rest)), new Set([undefined]), key)
    assert.deepEqual(peers, [])
  }
})

test('an external address may be text', () => {
  assert.equal(
    parseHttpAnnounce(encode({ peers: '', 'external ip': '2001:DB8::1' })).externalHost,
    '2001:db8::1'
  )
})

test('a failure has its reason and retry time', () => {
  const failure = (reply: BencodeInput): TorrentError | undefined => findFailure(encode(reply))
  assert.deepEqual(failure({ 'failure reason': 'busy', 'retry in': 5 })?.details, {
    reason: 'busy',
    retryInMs: 300_000
  })
  assert.deepEqual(
    failure({ 'failure reason': 'x', 'retry in': 'never' })?.details['retryInMs'],
    Number.POSITIVE_INFINITY
  )
  assert.deepEqual(failure({ 'failure reason': '', 'retry in': -1 })?.details, { reason: 'no reason given' })
  assert.deepEqual(failure({ 'failure reason': 'x', interval: 300 })?.details['retryInMs'], 300_000)
  assert.deepEqual(failure({ 'failure reason': 'x', 'min interval': 60 })?.details['retryInMs'], 60_000)
  assert.deepEqual(
    failure({ 'failure reason': 'x', interval: 300, 'retry in': 1 })?.details['retryInMs'],
    60_000
  )
  assert.equal(failure({ 'failure reason': 7 }), undefined)
  assert.equal(failure({ peers: '' }), undefined)
  assert.equal(findFailure(Uint8Array.of(1)), undefined)
  const endless = failure({ 'failure reason': `${'é'.repeat(5000)}\u202e\0` })
  assert.ok((endless?.message.length ?? 999) < 260)
})

test('arbitrary bytes and arbitrary values give a reply or a TorrentError', () => {
  const names = [
    'interval',
    'min interval',
    'peers',
    'peers6',
    'failure reason',
    'warning message',
    'external ip'
  ]
  const leaf = fc.oneof(
    fc.integer(),
    fc.uint8Array({ maxLength: 40 }),
    fc.bigInt(),
    fc.constant({ ip: 'x', port: 1 })
  )
  const value = fc.oneof(leaf, fc.array(leaf, { maxLength: 4 }))
  const entries = fc.array(fc.tuple(fc.constantFrom(...names, 'tracker id', 'files', 'complete'), value), {
    maxLength: 6
  })
  const valid = entries.map((list) => encode(new Map<string, BencodeInput>(list)))
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 100 }), valid), (bytes) => {
      for (const parse of [
        (b: Uint8Array) => parseHttpAnnounce(b, (odd) => assert.ok(odd.length <= 200)),
        (b: Uint8Array) => parseHttpScrape(b, [new Uint8Array(20)]),
        findFailure
      ]) {
        try {
          parse(bytes)
        } catch (error) {
          assert.ok(error instanceof TorrentError && error.code.startsWith('ERR_TRACKER_'))
          assert.doesNotMatch(error.message, /\p{Cc}/u)
          assert.ok(error.message.length < 300)
        }
      }
    })
  )
})
