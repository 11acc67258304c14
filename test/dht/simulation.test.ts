import assert from 'node:assert/strict'
import test from 'node:test'
import { DhtNode } from '../../lib/dht/dht-node.ts'
import { decodeKrpc, encodeResponse } from '../../lib/dht/krpc.ts'
import { isSecureId, secureId } from '../../lib/dht/node-id.ts'
import { formatNodes, type NodeInfo } from '../../lib/dht/node-info.ts'
import { DHT } from '../../lib/dht.ts'
import type { PeerAddress } from '../../lib/util/address.ts'
import { formatCompact } from '../../lib/util/address.ts'
import { SimNetwork, type SimPort, seededRandom } from './sim-network.ts'

const count = 1200
const random = seededRandom(7)

/** Returns a global address in a network of its own. */
function hostOf(n: number): string {
  return `${20 + (n % 60)}.${n % 251}.${n % 241}.${1 + (n % 200)}`
}

/**
 * Returns the table of each node by id: up to 8 random nodes in each bucket, as after some time in the
 * network.
 */
function knownTo(self: NodeInfo, all: readonly NodeInfo[]): NodeInfo[] {
  const known: NodeInfo[] = []
  let part = all
  for (let bit = 0; part.length > 8; bit++) {
    const isSet = ({ id }: NodeInfo): boolean => ((id[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0
    const at = part.findIndex(isSet)
    const middle = at < 0 ? part.length : at
    const [low, high] = [part.slice(0, middle), part.slice(middle)]
    const others = isSet(self) ? low : high
    part = isSet(self) ? high : low
    const start = others.length > 8 ? ((random(1)[0] ?? 0) * 7) % (others.length - 7) : 0
    known.push(...others.slice(start, start + 8))
  }
  return [...known, ...part]
}

/** Starts a liar. It takes any id, and names only other liars and made-up nodes close to every target. */
function hostile(port: SimPort, self: NodeInfo, friends: readonly NodeInfo[]): void {
  port.claim({
    matches: () => true,
    receive: (bytes, from) => {
      const query = decodeKrpc(bytes)
      if (query?.kind !== 'query') return
      const target = query.args.bytes('info_hash') ?? query.args.bytes('target') ?? self.id
      const close = (last: number): Uint8Array => Uint8Array.of(...target.subarray(0, 18), ...random(1), last)
      const nodes = [
        ...friends.slice(0, 4).map(({ host, port: at }, n) => ({ id: close(n), host, port: at })),
        ...[1, 2, 3, 4, 5, 6].map((n) => ({ id: close(n), host: `99.9.9.${random(1)[0]}`, port: 1 + n })),
        { id: close(9), host: from.host, port: from.port },
        { id: close(9), host: '127.0.0.1', port: 22 }
      ]
      const id = random(1)[0] === 0 ? self.id : close(8)
      const values = [formatCompact({ host: '10.0.0.1', port: 80 }) ?? new Uint8Array()]
      const ip = { host: '66.66.66.66', port: 6 }
      const answer = { id, nodes: formatNodes(nodes), token: random(8), values }
      port.send(encodeResponse(query.transaction, answer, ip), from)
    }
  })
}

test('1,200 nodes, 20 % hostile, then 30 % dead: every look-up finds the announced peer, in 6 hops at most', async () => {
  const network = new SimNetwork()
  const infos = Array.from({ length: count }, (_, n): NodeInfo => {
    const host = hostOf(n)
    return { id: secureId(host, random), host, port: 1000 + n }
  }).sort((a, b) => Buffer.compare(a.id, b.id))
  assert.equal(new Set(infos.map(({ host }) => host)).size, count)
  const isHostile = (n: number): boolean => n % 5 === 3
  const friends = infos.filter((_, n) => isHostile(n))
  const honest: { node: DhtNode; info: NodeInfo; port: SimPort }[] = []
  for (const [n, info] of infos.entries()) {
    const port = network.open(info)
    if (isHostile(n)) {
      hostile(port, info, friends.slice(n % 200))
      continue
    }
    const node = new DhtNode({ port, timers: network, random, readOnly: false, id: info.id })
    node.restore(knownTo(info, infos))
    honest.push({ node, info, port })
  }
  const members: DHT[] = []
  const join = (host: string, nodes: readonly PeerAddress[]): DHT => {
    const port = network.open({ host, port: 5000 + members.length })
    const dht = new DHT({ ports: [port], bootstrap: [], nodes, random, timers: network })
    members.push(dht)
    return dht
  }
  const find = async (dht: DHT): Promise<boolean> => {
    let found = false
    for await (const { host, port } of dht.peers(infoHash)) if (host === home && port === 4321) found = true
    return found
  }

  // A new node knows three nodes, one of them a liar.
  const home = '81.7.7.7'
  const infoHash = random(20)
  const announcer = join(home, infos.slice(100, 103))
  const told = await network.run(announcer.announce(infoHash, 4321))
  assert.ok(told >= 8, `${told} told`)
  const before = Array.from({ length: 12 }, (_, n) => join(`82.0.${n}.1`, infos.slice(n * 90, n * 90 + 5)))
  const found = await network.run(Promise.all(before.map(find)))
  assert.deepEqual(
    found,
    before.map(() => true)
  )
  // Liars that report a false address are outvoted, and our id fits the majority's.
  assert.equal(announcer.address[4]?.host, home)
  assert.ok(isSecureId(announcer.save().id ?? new Uint8Array(), home))

  // 30 % of all nodes die silently.
  const isDead = (n: number): boolean => n % 8 < 3
  for (const { node, port } of honest.filter((_, n) => isDead(n))) {
    node.close()
    await port.close()
  }
  const alive = honest.filter((_, n) => !isDead(n))
  const startMs = network.now()
  const late = Array.from({ length: 12 }, (_, n) =>
    join(
      `83.0.${n}.1`,
      alive.slice(n * 40, n * 40 + 5).map(({ info }) => info)
    )
  )
  const again = await network.run(Promise.all([...before, ...late].map(find)))
  assert.deepEqual(
    again,
    again.map(() => true)
  )
  assert.ok(network.now() - startMs < 30_000, `${network.now() - startMs} ms`)

  // Hops are counted below the public API, by nodes that know three live nodes.
  for (let n = 0; n < 10; n++) {
    const host = `84.0.${n}.1`
    const port = network.open({ host, port: 6000 + n })
    const node = new DhtNode({ port, timers: network, random, readOnly: true, id: secureId(host, random) })
    const seeds = alive.slice(n * 50, n * 50 + 3).map(({ info }) => info)
    const steps = node.lookup(infoHash, { method: 'get_peers', args: { info_hash: infoHash }, seeds })
    const walk = async (): Promise<number> => {
      for (;;) {
        const step = await steps.next()
        if (step.done === true) return step.value.hops
      }
    }
    const hops = await network.run(walk())
    assert.ok(hops >= 1 && hops <= 6, `${hops} hops`)
    node.close()
  }
  await Promise.all(members.map((dht) => dht.close()))
  for (const { node } of alive) node.close()
})
