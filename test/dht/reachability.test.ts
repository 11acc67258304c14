// Only a node that no other can reach becomes read-only (BEP 43).
import assert from 'node:assert/strict'
import test from 'node:test'
import { encodeQuery } from '../../lib/dht/krpc.ts'
import { secureId } from '../../lib/dht/node-id.ts'
import { Reachability } from '../../lib/dht/reachability.ts'
import { DHT } from '../../lib/dht.ts'
import type { PeerAddress } from '../../lib/util/address.ts'
import { TorrentError } from '../../lib/util/errors.ts'
import { SimNetwork, type SimPort, seededRandom } from './sim-network.ts'

const minute = 60_000

async function pass(time: SimNetwork, ms: number): Promise<void> {
  await time.run(new Promise<void>((resolve) => time.after(ms, resolve)))
}

/** Simulates 10 minutes in which other nodes answer. `answered` says to whom they belong. */
async function answered(time: SimNetwork, one: Reachability, hostOf: (n: number) => string): Promise<void> {
  for (let n = 0; n < 60; n++) {
    const from = { host: hostOf(n), port: 1 }
    one.sent(from)
    one.answered(from)
    one.tick()
    await pass(time, 10_000)
  }
}

const global = (n: number): string => `20.0.${n}.1`

test('a node with answers from 50 nodes and no unsolicited query for 10 minutes is read-only', async () => {
  const time = new SimNetwork()
  const one = new Reachability(time, 'auto')
  for (let n = 0; n < 200; n++) one.answered({ host: global(n), port: 1 })
  // A machine that was asleep or offline was not silent.
  await pass(time, 60 * minute)
  for (let n = 0; n < 10; n++) one.missed()
  for (let n = 0; n < 100; n++) one.tick()
  assert.equal(one.readOnly, false)
  await answered(time, one, global)
  assert.equal(one.readOnly, true)
  // A router lets in only nodes that were sent something lately.
  one.asked({ host: global(59), port: 1 })
  assert.equal(one.readOnly, true)
  one.asked({ host: '20.1.1.1', port: 1 })
  assert.equal(one.readOnly, false)
  await answered(time, one, global)
  assert.equal(one.readOnly, true)
  one.asked({ host: global(0), port: 1 })
  assert.equal(one.readOnly, false)
})

test('a node of a small or local network is not read-only, and a configured value stays', async () => {
  const time = new SimNetwork()
  for (const hostOf of [(n: number) => global(n % 49), (n: number) => `10.0.${n}.1`, () => '127.0.0.1']) {
    const one = new Reachability(time, 'auto')
    await answered(time, one, hostOf)
    assert.equal(one.readOnly, false, hostOf(0))
  }
  for (const fixed of [true, false]) {
    const one = new Reachability(time, fixed)
    await answered(time, one, global)
    assert.equal(one.readOnly, fixed)
    one.asked({ host: '20.1.1.1', port: 1 })
    assert.equal(one.readOnly, fixed)
  }
})

test('read-only is retried every hour, because a node in no table gets no queries', async () => {
  const time = new SimNetwork()
  const one = new Reachability(time, 'auto')
  await answered(time, one, global)
  for (let n = 0; n < 359; n++) one.tick()
  assert.equal(one.readOnly, true)
  one.tick()
  assert.equal(one.readOnly, false)
  await answered(time, one, global)
  assert.equal(one.readOnly, true)
})

/**
 * Puts a router before a port. It lets in only nodes that were sent something within a minute, until it is
 * opened.
 */
function behindRouter(network: SimNetwork, port: SimPort): { open: boolean } {
  const router = { open: false }
  const sentMs = new Map<string, number>()
  const [send, deliver] = [port.send.bind(port), port.deliver.bind(port)]
  port.send = (message, to) => {
    sentMs.set(to.host, network.now())
    send(message, to)
  }
  port.deliver = (message, from) => {
    if (router.open || network.now() - (sentMs.get(from.host) ?? -Infinity) < minute) deliver(message, from)
  }
  return router
}

test('a node behind a router becomes read-only, is still found as a peer, and answers once reachable', async () => {
  const network = new SimNetwork()
  const random = seededRandom(11)
  const hostOf = (n: number): string => `${20 + (n % 60)}.${n}.1.1`
  const bootstrap = [`${hostOf(0)}:100`]
  const join = (n: number, port = network.open({ host: hostOf(n), port: 100 + n })): DHT =>
    new DHT({
      ports: [port],
      bootstrap: n === 0 ? [] : bootstrap,
      id: secureId(hostOf(n), random),
      random,
      timers: network
    })
  const nodes = [join(0)]
  for (let n = 1; n < 70; n++) nodes.push(join(n))
  await network.run(Promise.all(nodes.map(({ ready }) => ready)))
  const hidden = { host: '90.1.1.1', port: 999 }
  const port = network.open(hidden)
  const router = behindRouter(network, port)
  const quiet = join(200, port)
  assert.deepEqual(quiet.readOnly, { 4: false, 6: false })
  const infoHash = random(20)
  // Look-ups as a torrent makes them, to meet enough other nodes.
  for (let n = 0; n < 12; n++) {
    await network.run(quiet.announce(random(20), 1))
    await pass(network, minute)
  }
  assert.deepEqual(quiet.readOnly[4], true)
  assert.ok((await network.run(quiet.announce(infoHash, 4321))) >= 8)
  const found: PeerAddress[] = []
  const look = async (): Promise<void> => {
    for await (const peer of (nodes[7] as DHT).peers(infoHash)) found.push(peer)
  }
  await network.run(look())
  assert.deepEqual(found, [{ host: hidden.host, port: 4321 }])
  // Other tables forget it, and the other nodes answer as before.
  await pass(network, 20 * minute)
  const standsIn = (node: DHT): boolean =>
    Buffer.from(node.save().nodes ?? []).includes(Buffer.from([90, 1, 1, 1]))
  assert.deepEqual([quiet.readOnly[4], nodes.filter(standsIn).length], [true, 0])
  assert.ok(nodes.every(({ readOnly }) => !readOnly[4]))

  router.open = true
  let answers = 0
  const unknownNode = network.open({ host: '91.1.1.1', port: 1 })
  unknownNode.claim({ matches: () => true, receive: () => answers++ })
  unknownNode.send(encodeQuery(random(2), 'ping', { id: random(20) }), hidden)
  await pass(network, minute)
  assert.ok(answers > 0)
  assert.deepEqual(quiet.readOnly[4], false)
  await Promise.all([...nodes, quiet].map((node) => node.close()))
})

test('refuses an invalid value', () => {
  assert.throws(
    () => new DHT({ readOnly: 'never' as 'auto' }),
    (error) => error instanceof TorrentError && error.code === 'ERR_DHT_OPTION'
  )
})
