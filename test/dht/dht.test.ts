import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import test from 'node:test'
import { DHT, type DhtOptions, type PutRequest } from '../../lib/dht.ts'
import { bindUdpPort } from '../../lib/net/udp-port.ts'
import type { PeerAddress } from '../../lib/util/address.ts'
import { randomBytes, toText } from '../../lib/util/bytes.ts'
import { TorrentError } from '../../lib/util/errors.ts'
import { until } from '../support/until.ts'

const local = '127.0.0.1'

function code(expected: string): (error: unknown) => boolean {
  return (error) => error instanceof TorrentError && error.code === expected
}

async function network(count: number, options: DhtOptions = {}): Promise<DHT[]> {
  const first = new DHT({ host: local, bootstrap: [], ...options })
  await first.ready
  const bootstrap = [`${local}:${first.ports[4]}`]
  const nodes = [first]
  while (nodes.length < count) {
    const next = new DHT({ host: local, bootstrap, ...options })
    nodes.push(next)
    await next.ready
  }
  // The node pings nodes that query it, also after they are ready.
  await until('the first node to know others', () => first.size[4], {
    is: (value) => value >= Math.min(3, count - 1)
  })
  return nodes
}

async function collect(peers: AsyncIterable<PeerAddress>): Promise<PeerAddress[]> {
  const list: PeerAddress[] = []
  for await (const peer of peers) list.push(peer)
  return list
}

async function closeAll(nodes: readonly DHT[]): Promise<void> {
  await Promise.all(nodes.map((node) => node.close()))
}

test('in a network of 16 nodes every one finds an announced peer', async () => {
  const nodes = await network(16)
  try {
    const infoHash = randomBytes(20)
    assert.ok((await (nodes[7] as DHT).announce(infoHash, 7777)) >= 8)
    for (const node of nodes) {
      assert.deepEqual(await collect(node.peers(infoHash)), [{ host: local, port: 7777 }])
    }
  } finally {
    await closeAll(nodes)
  }
})

test('items are stored in a network and read from it', async () => {
  const nodes = await network(12)
  const [a, b, c] = nodes as [DHT, DHT, DHT]
  try {
    const fixed = await a.put({ value: { hello: ['world', 1] } })
    assert.ok(fixed.nodes >= 8)
    const found = await b.get(fixed.target)
    assert.equal(toText(found?.encoded ?? new Uint8Array()), 'd5:hellol5:worldi1eee')
    assert.equal(await c.get(randomBytes(20)), undefined)

    const { privateKey } = generateKeyPairSync('ed25519')
    const salt = Buffer.from('s')
    const first = await a.put({ value: 'one', privateKey, salt })
    assert.equal(first.seq, 1)
    const one = await b.get({ publicKey: (await keyOf(privateKey)).publicKey, salt })
    assert.equal(one?.seq, 1)
    const second = await c.put({ value: 'two', privateKey, salt, cas: 1 })
    assert.deepEqual([second.seq, second.nodes > 0], [2, true])
    const { publicKey } = await keyOf(privateKey)
    const two = await b.get({ publicKey, salt })
    assert.equal(toText(two?.value as Uint8Array), 'two')
    // Any node may keep it alive.
    const { seq = 0, signature = new Uint8Array() } = two ?? {}
    assert.ok((await b.put({ value: 'two', publicKey, signature, seq, salt })).nodes > 0)
  } finally {
    await closeAll(nodes)
  }
})

test('a put tells why nodes refused it, and tells silence from refusal', async () => {
  const [root, node] = (await network(2)) as [DHT, DHT]
  try {
    const { privateKey } = generateKeyPairSync('ed25519')
    const put = async (request: Partial<PutRequest>): Promise<[number, readonly number[]]> => {
      const { nodes, refusals } = await node.put({ value: 'a', privateKey, ...request })
      return [nodes, refusals]
    }
    assert.deepEqual(await put({ seq: 2 }), [1, []])
    assert.deepEqual(await put({ value: 'b', cas: 1 }), [0, [301]])
    assert.deepEqual(await put({ value: 'b', seq: 1 }), [0, [302]])
    assert.deepEqual(await put({ value: 'b', cas: 2 }), [1, []])
    await root.close()
    assert.deepEqual(await put({ value: 'c' }), [0, []])
  } finally {
    await closeAll([root, node])
  }
})

async function keyOf(privateKey: unknown): Promise<{ publicKey: Uint8Array }> {
  const { privateKeyOf, publicKeyOf } = await import('../../lib/dht/item.ts')
  return { publicKey: publicKeyOf(privateKeyOf(privateKey as Uint8Array)) }
}

test('a scrape counts seeds and peers, and peers come with an announce', async () => {
  const nodes = await network(10)
  const [a, b, c] = nodes as [DHT, DHT, DHT]
  try {
    const infoHash = randomBytes(20)
    await a.announce(infoHash, 1, { seed: true })
    const peers: PeerAddress[] = []
    await b.announce(infoHash, 2, { impliedPort: true, onPeer: (peer) => peers.push(peer) })
    assert.deepEqual(peers, [{ host: local, port: 1 }])
    assert.deepEqual(await c.scrape(infoHash), { seeds: 1, peers: 1 })
    const ports = (await collect(c.peers(Buffer.from(infoHash).toString('hex')))).map(({ port }) => port)
    assert.deepEqual(ports.sort(), [1, b.ports[4]].sort())
  } finally {
    await closeAll(nodes)
  }
})

test('a run starts from the saved state of an earlier one', async () => {
  const nodes = await network(10)
  const [a, b] = nodes as [DHT, DHT]
  const state = a.save()
  await a.close()
  const infoHash = randomBytes(20)
  const again = new DHT({ host: local, bootstrap: [], state })
  try {
    assert.equal(state.id?.length, 20)
    assert.ok((state.nodes?.length ?? 0) >= 8 * 26)
    await b.announce(infoHash, 99)
    assert.equal((await collect(again.peers(infoHash))).length, 1)
    assert.deepEqual(again.save().id, state.id)
    assert.ok(again.size[4] >= 8)
  } finally {
    await closeAll([...nodes, again])
  }
})

test('a read-only node queries and is in no table (BEP 43)', async () => {
  const nodes = await network(3)
  const [first] = nodes as [DHT]
  const port = await bindUdpPort({ family: 4, host: local })
  const quiet = new DHT({ ports: [port], readOnly: true, bootstrap: [`${local}:${first.ports[4]}`] })
  try {
    await quiet.ready
    assert.ok(quiet.size[4] >= 3)
    const infoHash = randomBytes(20)
    assert.equal(await quiet.announce(infoHash, 5), 3)
    assert.ok(nodes.every((node) => node.size[4] <= 2))
  } finally {
    await closeAll([...nodes, quiet])
    await port.close()
  }
})

test('both families make one DHT (BEP 32)', async () => {
  const both = async (): Promise<[DHT, () => Promise<unknown>]> => {
    const ports = await Promise.all([
      bindUdpPort({ family: 4, host: local }),
      bindUdpPort({ family: 6, host: '::1' })
    ])
    const dht = new DHT({ ports, bootstrap: [], nodes: seeds })
    await dht.ready
    return [dht, () => Promise.all([dht.close(), ...ports.map((port) => port.close())])]
  }
  const seeds: PeerAddress[] = []
  const [first, closeFirst] = await both()
  seeds.push({ host: local, port: first.ports[4] ?? 0 })
  seeds.push({ host: '::1', port: first.ports[6] ?? 0 })
  const [second, closeSecond] = await both()
  // The third knows only the IPv4 side, and learns of the other.
  seeds.pop()
  const [third, closeThird] = await both()
  try {
    assert.deepEqual(second.size, { 4: 1, 6: 1 })
    const infoHash = randomBytes(20)
    assert.equal(await first.announce(infoHash, 4), 3)
    const hosts = (await collect(third.peers(infoHash))).map(({ host }) => host)
    assert.deepEqual(hosts.sort(), [local, '::1'])
    const state = first.save()
    assert.deepEqual([state.id6?.length, (state.nodes6?.length ?? 0) % 38], [20, 0])
  } finally {
    await Promise.all([closeFirst(), closeSecond(), closeThird()])
  }
})

test('an iterator may be left, and a wait aborted', async () => {
  const nodes = await network(10)
  const [a, b] = nodes as [DHT, DHT]
  try {
    const infoHash = randomBytes(20)
    await a.announce(infoHash, 1)
    for await (const peer of b.peers(infoHash)) {
      assert.equal(peer.port, 1)
      break
    }
    const reason = new Error('enough')
    const aborted = AbortSignal.abort(reason)
    await assert.rejects(collect(b.peers(infoHash, { signal: aborted })), reason)
    await assert.rejects(b.announce(infoHash, 1, { signal: aborted }), reason)
    await assert.rejects(b.get(infoHash, { signal: aborted }), reason)
    const controller = new AbortController()
    const wait = b.get(infoHash, { signal: controller.signal })
    controller.abort(reason)
    await assert.rejects(wait, reason)
    const later = new AbortController()
    const walk = collect(b.peers(randomBytes(20), { signal: later.signal }))
    setImmediate(() => later.abort(reason))
    await walk.catch((error) => assert.equal(error, reason))
  } finally {
    await closeAll(nodes)
  }
})

test('a closed DHT ends pending calls, and leaves nothing open', async () => {
  const silent = await bindUdpPort({ family: 4, host: local })
  const dht = new DHT({ host: local, bootstrap: [`${local}:${silent.port}`] })
  const walk = collect(dht.peers(randomBytes(20)))
  const told = assert.rejects(dht.announce(randomBytes(20), 1), code('ERR_DHT_CLOSED'))
  await dht.close()
  await dht.close()
  assert.deepEqual(await walk, [])
  await told
  await assert.rejects(dht.ready, code('ERR_DHT_CLOSED'))
  assert.throws(() => dht.peers(randomBytes(20)), code('ERR_DHT_CLOSED'))
  await assert.rejects(dht.put({ value: 1 }), code('ERR_DHT_CLOSED'))
  dht.addNode({ host: local, port: 1 })
  await silent.close()
})

test('nodes are added by hand, and an unresolvable bootstrap name is a warning', async () => {
  const warnings: Error[] = []
  const a = new DHT({ host: local, bootstrap: [] })
  const b = new DHT({
    host: local,
    bootstrap: ['nowhere.invalid:1'],
    lookup: () => Promise.reject(new Error('no such name')),
    onWarning: (error) => warnings.push(error)
  })
  try {
    await Promise.all([a.ready, b.ready])
    assert.ok(code('ERR_DHT_BOOTSTRAP')(warnings[0]))
    assert.equal(await b.announce(randomBytes(20), 1), 0)
    b.addNode({ host: local, port: a.ports[4] ?? 0 })
    b.addNode({ host: local, port: 0 })
    b.addNode({ host: 'nowhere.invalid', port: 1 })
    await until('a node', () => b.size[4])
    assert.equal(await b.announce(randomBytes(20), 1), 1)
  } finally {
    await closeAll([a, b])
  }
})

const mistakes: readonly [string, DhtOptions, string][] = [
  ['a bootstrap without port', { bootstrap: ['host'] }, 'ERR_UTIL_ADDRESS'],
  ['a short id', { id: new Uint8Array(3) }, 'ERR_DHT_OPTION'],
  ['a host name', { host: 'localhost' }, 'ERR_DHT_OPTION'],
  ['a port beyond', { port: 65536 }, 'ERR_DHT_OPTION'],
  ['no ports', { ports: [] }, 'ERR_DHT_OPTION']
]
for (const [title, options, expected] of mistakes) {
  test(`refuses ${title}`, () => {
    assert.throws(() => new DHT(options), code(expected))
  })
}

test('refuses wrong arguments', async () => {
  const dht = new DHT({ host: local, bootstrap: [] })
  try {
    assert.throws(() => dht.peers('abc'), code('ERR_DHT_OPTION'))
    await assert.rejects(dht.announce(randomBytes(20), 0), code('ERR_DHT_OPTION'))
    await assert.rejects(dht.get({ publicKey: new Uint8Array(3) }), code('ERR_DHT_OPTION'))
    const publicKey = randomBytes(32)
    await assert.rejects(dht.get({ publicKey, salt: new Uint8Array(65) }), code('ERR_DHT_OPTION'))
    const wrong = [
      { value: 'x'.repeat(1000) },
      { value: 1, salt: new Uint8Array(1) },
      { value: 1, privateKey: new Uint8Array(64) },
      { value: 1, publicKey },
      { value: 1, publicKey, seq: 1, signature: new Uint8Array(64) },
      { value: 1, privateKey: randomBytes(32), salt: new Uint8Array(65) },
      { value: 1, privateKey: randomBytes(32), seq: -1 }
    ]
    for (const request of wrong) await assert.rejects(dht.put(request), code('ERR_DHT_ITEM'))
  } finally {
    await dht.close()
  }
})

test('ready rejects when the port is taken', async () => {
  const taken = await bindUdpPort({ family: 4, host: local })
  const dht = new DHT({ host: local, port: taken.port, bootstrap: [] })
  await assert.rejects(dht.ready, code('ERR_TRANSPORT_LISTEN'))
  await assert.rejects(collect(dht.peers(randomBytes(20))), code('ERR_TRANSPORT_LISTEN'))
  await dht.close()
  await taken.close()
})
