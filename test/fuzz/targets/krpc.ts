import { BloomFilter } from '../../../lib/dht/bloom-filter.ts'
import { ItemStore } from '../../../lib/dht/item-store.ts'
import {
  decodeKrpc,
  encodeError,
  encodeQuery,
  encodeResponse,
  type KrpcResponse
} from '../../../lib/dht/krpc.ts'
import { limits } from '../../../lib/dht/limits.ts'
import { formatNodes, parseNodes } from '../../../lib/dht/node-info.ts'
import { peersOf } from '../../../lib/dht/peer-filter.ts'
import { PeerStore } from '../../../lib/dht/peer-store.ts'
import { itemOf, Responder } from '../../../lib/dht/responder.ts'
import { Tokens } from '../../../lib/dht/token.ts'
import { systemTimers } from '../../../lib/util/timers.ts'
import type { Check, Target } from '../target.ts'

const from = { host: '198.51.100.7', port: 6881 }
const id = new Uint8Array(20).fill(0x41)
const random = (length: number): Uint8Array => new Uint8Array(length)
const nodes = Array.from({ length: 8 }, (_, n) => ({ id, host: `203.0.113.${n}`, port: 6881 }))

/** A node that stores values from inputs, within its limits. */
const responder = new Responder({
  family: 4,
  peers: new PeerStore(systemTimers, random),
  items: new ItemStore(systemTimers),
  // Mutated tokens must not be the only reason of refusals.
  tokens: Object.assign(new Tokens(systemTimers, random), { verify: () => true }),
  closest: (_, family) => (family === 4 ? nodes : [])
})

/** Datagrams of the DHT: queries are answered, answers are read. */
export const krpc: Target = {
  name: 'krpc',
  grammar: 'bencode',
  corpus: ['krpc'],
  seeds: () => [
    encodeQuery(Uint8Array.of(1, 2), 'sample_infohashes', { id, target: id }),
    encodeQuery(Uint8Array.of(1, 2), 'put', { id, token: 'abcd', v: 'Hello World!' }),
    encodeQuery(Uint8Array.of(1, 2), 'get_peers', {
      id,
      info_hash: id,
      scrape: 1,
      noseed: 1,
      want: ['n4', 'n6']
    }),
    encodeResponse(
      Uint8Array.of(3),
      { id, nodes: formatNodes(nodes), values: [new Uint8Array(6).fill(1)] },
      from
    ),
    encodeError(Uint8Array.of(4), 203, 'no', from)
  ],
  words: [
    ...[
      't',
      'y',
      'q',
      'a',
      'r',
      'e',
      'v',
      'id',
      'target',
      'info_hash',
      'token',
      'port',
      'implied_port',
      'seed',
      'scrape'
    ],
    ...[
      'noseed',
      'want',
      'n4',
      'n6',
      'nodes',
      'nodes6',
      'values',
      'BFsd',
      'BFpe',
      'seq',
      'sig',
      'k',
      'salt',
      'cas',
      'ro',
      'ip'
    ],
    ...[
      'ping',
      'find_node',
      'get_peers',
      'announce_peer',
      'get',
      'put',
      'sample_infohashes',
      'samples',
      'interval',
      'num'
    ]
  ],
  maxBytes: 4200,
  run(input, check) {
    const message = check.turn(() => decodeKrpc(input))
    if (message === undefined) return 'dropped'
    check.that(message.transaction.length <= limits.transactionBytes, 'a transaction is long')
    if (message.kind === 'error') return { ...message, message: message.message.length }
    check.equal(message.id.length, 20, 'an id has another length')
    if (message.kind === 'response') return [message.kind, readResponse(message, check)]
    const answer = check.turn(() => responder.answer(message, from))
    if ('code' in answer) return [message.method.slice(0, 20), answer.code]
    const datagram = encodeResponse(message.transaction, { id, ...answer.values }, from)
    check.that(datagram.length <= 2048, `an answer has ${datagram.length} bytes`)
    check.that(decodeKrpc(datagram)?.kind === 'response', 'an answer cannot be read')
    return [message.method.slice(0, 20), answer.values]
  }
}

function readResponse({ values }: KrpcResponse, check: Check): unknown {
  const item = check.turn(() => itemOf(values))
  const filter = new BloomFilter(values.bytes('BFpe'))
  filter.merge(values.bytes('BFsd') ?? new Uint8Array())
  check.that(filter.estimate >= 0 && Number.isFinite(filter.estimate), 'an estimate is no number')
  const peers = [...peersOf(values, { ...from, id })]
  check.that(
    peers.every(({ port }) => port >= 1 && port <= 65535),
    'a port is out of bounds'
  )
  const found = ([4, 6] as const).map((family) => {
    const list = parseNodes(values.bytes(family === 4 ? 'nodes' : 'nodes6') ?? new Uint8Array(), family)
    check.equal(parseNodes(formatNodes(list), family), list, 'parseNodes(formatNodes(x)) is not x')
    return list.length
  })
  return [item, peers.length, found]
}
