// Answers of a node beyond those that our own look-ups need.
import assert from 'node:assert/strict'
import test from 'node:test'
import { encode } from '../../lib/bencode/encode.ts'
import { DhtNode } from '../../lib/dht/dht-node.ts'
import { mutableTarget, privateKeyOf, publicKeyOf, signItem } from '../../lib/dht/item.ts'
import { decodeKrpc, encodeQuery, type KrpcReply, type KrpcValues } from '../../lib/dht/krpc.ts'
import { limits } from '../../lib/dht/limits.ts'
import { secureId } from '../../lib/dht/node-id.ts'
import { formatNodes } from '../../lib/dht/node-info.ts'
import { fromText, randomBytes, toHex } from '../../lib/util/bytes.ts'
import { SimNetwork } from './sim-network.ts'

const asker = { host: '20.9.9.9', port: 9 }

/** Starts a node in a network of its own, with a function that queries it. */
function start(): {
  network: SimNetwork
  node: DhtNode
  ask: (method: string, args: KrpcValues) => Promise<KrpcReply>
} {
  const network = new SimNetwork()
  const address = { host: '20.0.0.1', port: 1 }
  const options = { timers: network, random: randomBytes, readOnly: false }
  const node = new DhtNode({ port: network.open(address), ...options })
  const port = network.open(asker)
  return {
    network,
    node,
    ask: (method, args) =>
      network.run(
        new Promise((resolve) => {
          const release = port.claim({
            matches: () => true,
            receive: (bytes) => {
              const reply = decodeKrpc(bytes)
              // It pings a node that queries it.
              if (reply === undefined || reply.kind === 'query') return
              release()
              resolve(reply)
            }
          })
          port.send(encodeQuery(fromText('tt'), method, { id: randomBytes(20), ...args }), address)
        })
      )
  }
}

function valuesOf(reply: KrpcReply): Extract<KrpcReply, { kind: 'response' }>['values'] {
  assert.ok(reply.kind === 'response')
  return reply.values
}

test('BEP 51: samples of info hashes, their number, their interval, and nodes close to the target', async () => {
  const { network, node, ask } = start()
  const target = randomBytes(20)
  for (let n = 1; n <= 40; n++) {
    const host = `30.${n}.0.1`
    node.table.answered({ id: secureId(host, randomBytes), host, port: n }, network.now())
  }
  const hashes = Array.from({ length: limits.samples + 5 }, () => randomBytes(20))
  for (const infoHash of hashes.slice(0, 3)) node.peers.add(infoHash, { host: '20.1.1.1', port: 1 }, false)
  const first = valuesOf(await ask('sample_infohashes', { target }))
  const samples = first.bytes('samples') ?? new Uint8Array()
  const keys = [0, 20, 40].map((at) => toHex(samples.subarray(at, at + 20)))
  assert.deepEqual([samples.length, first.integer('num'), first.integer('interval')], [60, 3, 300])
  assert.deepEqual(keys.sort(), hashes.slice(0, 3).map(toHex).sort())
  assert.deepEqual(first.bytes('nodes'), formatNodes(node.closest(target)))
  assert.equal(first.bytes('nodes')?.length, 8 * 26)

  // Another sample is drawn after the interval, and not before.
  for (const infoHash of hashes) node.peers.add(infoHash, { host: '20.1.1.1', port: 1 }, false)
  await network.run(new Promise<void>((resolve) => network.after(100_000, resolve)))
  const second = valuesOf(await ask('sample_infohashes', { target }))
  assert.deepEqual(second.bytes('samples'), samples)
  assert.ok((second.integer('interval') ?? 0) <= 200)
  await network.run(new Promise<void>((resolve) => network.after(201_000, resolve)))
  const third = valuesOf(await ask('sample_infohashes', { target }))
  assert.equal(third.bytes('samples')?.length, limits.samples * 20)
  assert.deepEqual([third.integer('num'), third.integer('interval')], [hashes.length, 300])
  const refused = await ask('sample_infohashes', { target: randomBytes(3) })
  assert.equal(refused.kind === 'error' && refused.code, 203)
  node.close()
})

test('BEP 5: only a peer with the token of an earlier query is stored', async () => {
  const { node, ask } = start()
  const infoHash = randomBytes(20)
  const announce = (token: Uint8Array): Promise<KrpcReply> =>
    ask('announce_peer', { info_hash: infoHash, port: 7000, token })
  const token = valuesOf(await ask('get_peers', { info_hash: infoHash })).bytes('token') ?? randomBytes(8)
  const other = valuesOf(await ask('get_peers', { info_hash: randomBytes(20) })).bytes('token')
  for (const wrong of [randomBytes(token.length), new Uint8Array(0), other ?? token]) {
    const refused = await announce(wrong)
    assert.equal(refused.kind === 'error' && refused.code, 203)
  }
  assert.equal(node.peers.size, 0)
  assert.equal((await announce(token)).kind, 'response')
  assert.equal(node.peers.size, 1)
  node.close()
})

test('BEP 33: seeds are omitted on request', async () => {
  const { node, ask } = start()
  const infoHash = randomBytes(20)
  node.peers.add(infoHash, { host: '20.1.1.1', port: 1 }, true)
  node.peers.add(infoHash, { host: '20.1.1.2', port: 2 }, false)
  const ports = async (args: KrpcValues): Promise<number[]> => {
    const list = valuesOf(await ask('get_peers', { info_hash: infoHash, ...args })).list('values') ?? []
    return list.map((peer) => (peer instanceof Uint8Array ? (peer[5] ?? 0) : 0)).sort()
  }
  assert.deepEqual(await ports({}), [1, 2])
  assert.deepEqual(await ports({ noseed: 0 }), [1, 2])
  assert.deepEqual(await ports({ noseed: 1 }), [2])
  node.close()
})

test('BEP 44: get with seq returns only a newer value', async () => {
  const { node, ask } = start()
  const key = privateKeyOf(randomBytes(32))
  const target = mutableTarget(publicKeyOf(key))
  const encoded = encode('value')
  node.items.put({ encoded, mutable: signItem(encoded, 4, new Uint8Array(), key) })
  for (const seq of [undefined, 3]) {
    const values = valuesOf(await ask('get', { target, seq }))
    assert.deepEqual([values.integer('seq'), values.span('v')], [4, encoded])
    assert.deepEqual([values.bytes('k')?.length, values.bytes('sig')?.length], [32, 64])
    assert.ok(values.bytes('token') !== undefined)
  }
  for (const seq of [4, 5]) {
    const values = valuesOf(await ask('get', { target, seq }))
    assert.equal(values.integer('seq'), 4)
    assert.deepEqual(
      ['v', 'k', 'sig'].map((name) => values.get(name)),
      [undefined, undefined, undefined]
    )
    assert.ok(values.bytes('token') !== undefined && values.bytes('nodes') !== undefined)
  }
  node.close()
})
