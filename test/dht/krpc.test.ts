import assert from 'node:assert/strict'
import test from 'node:test'
import { type BencodeInput, encode } from '../../lib/bencode/encode.ts'
import { decodeKrpc, encodeError, encodeQuery, encodeResponse } from '../../lib/dht/krpc.ts'
import { DHT } from '../../lib/dht.ts'
import { fromText, randomBytes } from '../../lib/util/bytes.ts'
import { fc } from '../support/fast-check.ts'
import { SimNetwork } from './sim-network.ts'

const id = randomBytes(20)
const to = { host: '192.0.2.1', port: 258 }
const t = fromText('tt')

test('messages survive encoding and decoding', () => {
  const query = decodeKrpc(encodeQuery(t, 'ping', { id }, true))
  assert.ok(query?.kind === 'query')
  assert.deepEqual([query.method, query.readOnly, [...query.id]], ['ping', true, [...id]])
  const response = decodeKrpc(encodeResponse(t, { id, left: undefined }, to))
  assert.ok(response?.kind === 'response')
  assert.deepEqual([response.ip, response.values.size], [to, 1])
  const error = decodeKrpc(encodeError(t, 203, 'no', { host: '2001:db8::1', port: 1 }))
  assert.ok(error?.kind === 'error')
  assert.deepEqual([error.code, error.message, error.ip], [203, 'no', { host: '2001:db8::1', port: 1 }])
})

test('bytes behind a message are ignored', () => {
  for (const tail of ['\n', '\0', 'de', 'nonsense']) {
    const query = decodeKrpc(Buffer.concat([encodeQuery(t, 'ping', { id }), Buffer.from(tail)]))
    assert.ok(query?.kind === 'query' && query.method === 'ping', tail)
  }
})

const none: readonly [string, BencodeInput][] = [
  ['no dictionary', 'dd'],
  ['no transaction', { y: 'q', q: 'ping', a: { id } }],
  ['a long transaction', { t: new Uint8Array(33), y: 'q', q: 'ping', a: { id } }],
  ['no kind', { t, q: 'ping', a: { id } }],
  ['an unknown kind', { t, y: 'x' }],
  ['no method', { t, y: 'q', a: { id } }],
  ['no arguments', { t, y: 'q', q: 'ping' }],
  ['a short id', { t, y: 'q', q: 'ping', a: { id: 'short' } }],
  ['an answer without values', { t, y: 'r' }],
  ['an answer without id', { t, y: 'r', r: {} }],
  ['an error without code', { t, y: 'e', e: ['text'] }],
  ['a datagram too large', { t, y: 'r', r: { id, x: new Uint8Array(5000) } }]
]
for (const [title, message] of none) {
  test(`drops ${title}`, () => {
    assert.equal(decodeKrpc(encode(message)), undefined)
  })
}

const scalar = fc.oneof(fc.integer(), fc.uint8Array({ maxLength: 40 }), fc.string({ maxLength: 5 }))
const value = fc.oneof(
  scalar,
  fc.array(scalar, { maxLength: 5 }),
  fc.dictionary(fc.constantFrom('a', 'id'), scalar)
)
const twenty = fc.uint8Array({ minLength: 20, maxLength: 20 })
const names = [
  'target',
  'info_hash',
  'token',
  'port',
  'v',
  'k',
  'seq',
  'sig',
  'salt',
  'cas',
  'want',
  'implied_port'
]
const args = fc.dictionary(fc.constantFrom('scrape', 'noseed', 'seed', ...names), fc.oneof(twenty, value))
const methods = ['ping', 'find_node', 'get_peers', 'announce_peer', 'get', 'put', 'sample_infohashes', 'vote']

test('no datagram, made up or torn, disturbs a node, and every query gets at most one answer', async () => {
  const message = fc.oneof(
    fc.uint8Array({ maxLength: 80 }).map((bytes) => Uint8Array.of(0x64, ...bytes)),
    fc
      .tuple(fc.constantFrom(...methods), args, twenty)
      .map(([q, a, own]) => encode({ t, y: 'q', q, a: { ...a, id: own } })),
    fc.tuple(args, twenty).map(([r, own]) => encode({ t, y: 'r', r: { ...r, id: own } })),
    fc.tuple(fc.constantFrom(...methods), args, fc.nat()).map(([q, a, cut]) => {
      const bytes = encode({ t, y: 'q', q, a: { ...a, id } })
      return bytes.subarray(0, cut % bytes.length)
    })
  )
  fc.assert(
    fc.property(message, (bytes) => {
      const decoded = decodeKrpc(bytes)
      if (decoded?.kind === 'query') assert.equal(decoded.id.length, 20)
    }),
    { numRuns: 500 }
  )
  const network = new SimNetwork()
  const address = { host: '20.0.0.1', port: 1 }
  const target = network.open(address)
  const node = new DHT({ ports: [target], bootstrap: [], timers: network })
  await network.run(node.ready)
  fc.assert(
    fc.property(message, (bytes) => {
      const before = network.sent
      target.deliver(bytes, { host: '10.0.0.9', port: 9 })
      // An answer, and a ping of the unknown node.
      assert.ok(network.sent - before <= 2)
    }),
    { numRuns: 1000 }
  )
  await node.close()
})
