// How large answers get, and how many are sent: a forged source address directs them to a victim.
import assert from 'node:assert/strict'
import test from 'node:test'
import { encode } from '../../lib/bencode/encode.ts'
import { immutableTarget, mutableTarget, privateKeyOf, publicKeyOf, signItem } from '../../lib/dht/item.ts'
import { ItemStore } from '../../lib/dht/item-store.ts'
import {
  decodeKrpc,
  encodeQuery,
  encodeResponse,
  type KrpcResponse,
  type KrpcValues
} from '../../lib/dht/krpc.ts'
import { limits } from '../../lib/dht/limits.ts'
import { type NodeInfo, parseNodes } from '../../lib/dht/node-info.ts'
import { PeerStore } from '../../lib/dht/peer-store.ts'
import { RateLimits } from '../../lib/dht/rate-limits.ts'
import { Responder } from '../../lib/dht/responder.ts'
import { Tokens } from '../../lib/dht/token.ts'
import { randomBytes } from '../../lib/util/bytes.ts'
import { SimNetwork } from './sim-network.ts'

const infoHash = randomBytes(20)
const key = privateKeyOf(randomBytes(32))
const mutable = mutableTarget(publicKeyOf(key))
const small = mutableTarget(publicKeyOf(key), Buffer.from('small'))
const large = encode('x'.repeat(996))
const immutable = immutableTarget(large)
const both = { want: ['n4', 'n6'] }

/** Returns the answers of a full node to a query from its own family's network. */
function fullNode(
  family: 4 | 6
): (method: string, args: KrpcValues) => { size: number; times: number; reply: KrpcResponse } {
  const time = new SimNetwork()
  const [peers, items] = [new PeerStore(time, randomBytes), new ItemStore(time)]
  const host = (n: number, of: 4 | 6): string => (of === 4 ? `20.0.${n >> 8}.${n & 255}` : `2001:db8:${n}::1`)
  for (let n = 1; n <= limits.peersPerInfoHash; n++)
    peers.add(infoHash, { host: host(n, family), port: 6881 }, n % 2 === 0)
  for (let n = 0; n < limits.samples; n++)
    peers.add(randomBytes(20), { host: host(1, family), port: 6881 }, false)
  assert.equal(large.length, limits.itemBytes)
  items.put({ encoded: large })
  items.put({ encoded: large, mutable: signItem(large, 2 ** 40, new Uint8Array(), key) })
  const value = encode(1)
  items.put({ encoded: value, mutable: signItem(value, 1, Buffer.from('small'), key) })
  const closest = (_: Uint8Array, of: 4 | 6): NodeInfo[] =>
    Array.from({ length: 8 }, (_, n) => ({ id: randomBytes(20), host: host(n, of), port: 6881 }))
  const tokens = new Tokens(time, randomBytes)
  const responder = new Responder({ family, peers, items, tokens, closest })
  const from = { host: host(999, family), port: 6881 }
  return (method, args) => {
    const question = encodeQuery(randomBytes(2), method, { id: randomBytes(20), ...args })
    const query = decodeKrpc(question)
    assert.ok(query?.kind === 'query')
    const answer = responder.answer(query, from)
    assert.ok('values' in answer)
    const bytes = encodeResponse(query.transaction, { id: randomBytes(20), ...answer.values }, from)
    const reply = decodeKrpc(bytes)
    assert.ok(reply?.kind === 'response')
    return { size: bytes.length, times: bytes.length / question.length, reply }
  }
}

// Method, arguments, the most bytes, and the most as a multiple of the query, over IPv4 and IPv6.
const greatest: readonly [
  string,
  string,
  KrpcValues,
  readonly [number, number],
  readonly [number, number]
][] = [
  ['ping', 'ping', {}, [68, 1.1], [81, 1.3]],
  ['find_node', 'find_node', { target: infoHash }, [290, 3], [400, 4]],
  ['find_node of both families', 'find_node', { target: infoHash, ...both }, [620, 5.5], [630, 5.6]],
  ['get_peers', 'get_peers', { info_hash: infoHash }, [570, 5.6], [770, 7.6]],
  ['get_peers of both families', 'get_peers', { info_hash: infoHash, ...both }, [1024, 8.7], [1024, 8.7]],
  ['a scrape', 'get_peers', { info_hash: infoHash, scrape: 1 }, [1024, 9], [1024, 9]],
  [
    'a scrape of both families',
    'get_peers',
    { info_hash: infoHash, scrape: 1, ...both },
    [1024, 8],
    [1024, 8]
  ],
  ['a large immutable item', 'get', { target: immutable, ...both }, [1210, 11], [1270, 11.5]],
  ['a large mutable item', 'get', { target: mutable }, [1340, 14.2], [1400, 14.8]],
  ['a large mutable item of both families', 'get', { target: mutable, ...both }, [1340, 12.1], [1400, 12.7]],
  ['a mutable item that the asker has', 'get', { target: mutable, seq: 2 ** 40 }, [330, 3], [440, 4]],
  ['sample_infohashes', 'sample_infohashes', { target: infoHash, ...both }, [1024, 8.2], [1024, 8.2]]
]
for (const [title, method, args, ...bounds] of greatest) {
  test(`the largest answer to ${title}`, () => {
    for (const [n, family] of ([4, 6] as const).entries()) {
      const { size, times } = fullNode(family)(method, args)
      const [most = 0, mostTimes = 0] = bounds[n] ?? []
      assert.ok(size <= most && times <= mostTimes, `IPv${family}: ${size} bytes, ${times} times`)
    }
  })
}

test('an answer omits values that do not fit, and keeps those that look-ups need to continue', () => {
  const nodesIn = ({ values }: KrpcResponse): number[] =>
    (['nodes', 'nodes6'] as const).map(
      (name) => parseNodes(values.bytes(name) ?? new Uint8Array(), name === 'nodes' ? 4 : 6).length
    )
  for (const family of [4, 6] as const) {
    const ask = fullNode(family)
    const own = (four: number, six: number): number[] => (family === 4 ? [four, six] : [six, four])
    const few = limits.nodesBesideItem
    assert.deepEqual(nodesIn(ask('get', { target: mutable, ...both }).reply), own(few, 0))
    assert.deepEqual(nodesIn(ask('get', { target: immutable }).reply), own(few, 0))
    assert.deepEqual(nodesIn(ask('get', { target: small, ...both }).reply), [8, 8])
    assert.deepEqual(nodesIn(ask('find_node', { target: infoHash, ...both }).reply), [8, 8])
    const { values } = ask('get_peers', { info_hash: infoHash, ...both }).reply
    assert.equal(values.list('values')?.length, limits.answerPeers[family])
    const scrape = ask('get_peers', { info_hash: infoHash, scrape: 1, ...both }).reply
    assert.deepEqual([scrape.values.bytes('BFsd')?.length, scrape.values.bytes('BFpe')?.length], [256, 256])
    assert.equal(nodesIn(scrape)[family === 4 ? 0 : 1], 8)
  }
})

test('bytes to one address and in all are bounded, except on this machine', async () => {
  const time = new SimNetwork()
  const rates = new RateLimits(time)
  const pass = (ms: number) => time.run(new Promise<void>((resolve) => time.after(ms, resolve)))
  const size = 1340
  const sentTo = async (host: string, seconds: number, perSecond: number): Promise<number> => {
    let bytes = 0
    for (let n = 0; n < seconds * perSecond; n++) {
      await pass(1000 / perSecond)
      const from = { host, port: 6881 }
      if (!rates.mayAnswer(from)) continue
      rates.answered(from, size)
      bytes += size
    }
    return bytes
  }
  assert.ok((await sentTo('20.0.0.1', 9, 10)) <= limits.answerBytesPerAddress + size)
  assert.ok((await sentTo('::1', 9, 10)) === 90 * size)
  await pass(limits.floodWindowMs)
  let bytes = 0
  for (let n = 0; n < 2000; n++) {
    await pass(5)
    const from = { host: `20.1.${n >> 8}.${n & 255}`, port: 6881 }
    if (!rates.mayAnswer(from)) continue
    rates.answered(from, size)
    bytes += size
  }
  const allowed = limits.answerBytesPerSecond * 10.25 + size
  assert.ok(bytes <= allowed && bytes > allowed / 2, `${bytes} bytes`)
})
