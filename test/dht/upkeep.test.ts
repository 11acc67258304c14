import assert from 'node:assert/strict'
import test from 'node:test'
import { DhtNode } from '../../lib/dht/dht-node.ts'
import { decodeKrpc, encodeResponse } from '../../lib/dht/krpc.ts'
import { limits } from '../../lib/dht/limits.ts'
import { secureId } from '../../lib/dht/node-id.ts'
import { parseNodes } from '../../lib/dht/node-info.ts'
import { DHT } from '../../lib/dht.ts'
import { randomBytes } from '../../lib/util/bytes.ts'
import { SimNetwork, seededRandom } from './sim-network.ts'

test('over an hour, tables forget dead nodes, and isolated nodes bootstrap again', async () => {
  const network = new SimNetwork()
  const first = { host: '20.0.0.1', port: 100 }
  const ports = Array.from({ length: 6 }, (_, n) => network.open({ host: `21.0.${n}.1`, port: 101 + n }))
  const options = { bootstrap: [`${first.host}:${first.port}`], timers: network }
  const others = ports.map((port) => new DHT({ ports: [port], ...options }))
  await network.run(Promise.all(others.map(({ ready }) => ready)))
  assert.deepEqual(
    others.map(({ size }) => size[4]),
    [0, 0, 0, 0, 0, 0]
  )
  // The bootstrap node comes late.
  const root = new DHT({ ports: [network.open(first)], bootstrap: [], timers: network })
  const pass = (ms: number) => network.run(new Promise<void>((resolve) => network.after(ms, resolve)))
  await pass(60_000)
  const all = [root, ...others]
  assert.ok(root.size[4] === 6 && all.every(({ size }) => size[4] >= 1))
  const [dead, last] = [others[5], ports[5]]
  await Promise.all([dead?.close(), last?.close()])
  await pass(3_600_000)
  const infoHash = randomBytes(20)
  assert.equal(await network.run(root.announce(infoHash, 1)), 5)
  const stale = '21.0.5.1'.split('.').map(Number)
  for (const dht of all.slice(0, 6)) {
    assert.ok(dht.size[4] >= 4)
    assert.equal(Buffer.from(dht.save().nodes ?? []).includes(Buffer.from(stale)), false)
  }
  await Promise.all(all.map((dht) => dht.close()))
})

test('an idle node sends little, evenly, and soon leaves dead nodes alone', async () => {
  const count = 32
  const network = new SimNetwork()
  const random = seededRandom(9)
  const hostOf = (n: number) => `2${n % 5}.${n}.1.${n + 1}`
  const join = (n: number): DHT => {
    const host = hostOf(n)
    const bootstrap = n === 0 ? [] : [`${hostOf(0)}:100`]
    const port = network.open({ host, port: 100 + n })
    return new DHT({ ports: [port], bootstrap, id: secureId(host, random), random, timers: network })
  }
  const nodes = [join(0)]
  for (let n = 1; n < count; n++) nodes.push(join(n))
  await network.run(Promise.all(nodes.map(({ ready }) => ready)))
  const pass = (ms: number) => network.run(new Promise<void>((resolve) => network.after(ms, resolve)))
  // All came at the same time, and those that found too few look again after a minute.
  await pass(120_000)
  let [most, before] = [0, network.sent]
  const began = before
  for (let minute = 0; minute < 60; minute++) {
    await pass(60_000)
    most = Math.max(most, network.sent - before)
    before = network.sent
  }
  const mean = (network.sent - began) / 60
  // Answers included.
  assert.ok(
    mean / count < 10 && most / count < 25,
    `${mean / count} packets a minute, ${most / count} at most`
  )

  const dead = nodes.splice(0, count / 4)
  for (const [n, node] of dead.entries()) {
    await node.close()
    network.remove({ host: hostOf(n), port: 100 + n })
  }
  let inVain = 0
  network.onUnknown = () => {
    inVain++
    return undefined
  }
  await pass(45 * 60_000)
  const known = (node: DHT) => parseNodes(node.save().nodes ?? new Uint8Array(), 4).map(({ host }) => host)
  const deadHosts = new Set(dead.map((_, n) => hostOf(n)))
  for (const node of nodes) assert.ok(known(node).every((host) => !deadHosts.has(host)))
  inVain = 0
  await pass(30 * 60_000)
  assert.ok(inVain < nodes.length * 6, `${inVain} packets to the dead within half an hour`)
  assert.ok(nodes.every(({ size }) => size[4] > 12 && size[4] < nodes.length))
  await Promise.all(nodes.map((node) => node.close()))
})

test('a node that knows only dead nodes queries its bootstrap nodes', async () => {
  const network = new SimNetwork()
  const pass = (ms: number) => network.run(new Promise<void>((resolve) => network.after(ms, resolve)))
  const [first, second] = ['20.0.0.1', '20.1.1.1'].map((host) => ({ host, port: 100 }))
  assert.ok(first !== undefined && second !== undefined)
  const bootstrap = [first, second].map(({ host, port }) => `${host}:${port}`)
  const ports = [network.open(first)]
  const old = [new DHT({ ports: ports.slice(), bootstrap: [], timers: network })]
  const begin = (host: string): DHT => {
    const port = network.open({ host, port: 100 })
    ports.push(port)
    return new DHT({ ports: [port], bootstrap, timers: network })
  }
  for (let n = 1; n < 5; n++) old.push(begin(`21.${n}.1.1`))
  const last = begin('22.1.1.1')
  await network.run(last.ready)
  await pass(120_000)
  assert.equal(last.size[4], 5)
  for (const node of old) await node.close()
  for (const port of ports.slice(0, 5)) await port.close()
  await pass(3 * 3_600_000)
  const later = new DHT({ ports: [network.open(second)], bootstrap: [], timers: network })
  await pass(20 * 60_000)
  assert.equal(later.size[4], 1)
  assert.ok(Buffer.from(last.save().nodes ?? []).includes(Buffer.from([20, 1, 1, 1])))
  await Promise.all([last.close(), later.close()])
})

test('a node that is told of itself does not ping itself forever', async () => {
  const network = new SimNetwork()
  const own = { host: '20.0.0.1', port: 100 }
  const node = new DHT({ ports: [network.open(own)], bootstrap: [], timers: network })
  await network.run(node.ready)
  node.addNode(own)
  await network.run(new Promise<void>((resolve) => network.after(60_000, resolve)))
  assert.equal(network.sent, 1)
  assert.equal(node.size[4], 0)
  await node.close()
})

test('a node that was not queried for lack of free transactions has not failed', async () => {
  const network = new SimNetwork()
  const port = network.open({ host: '20.0.0.1', port: 100 })
  const node = new DhtNode({ port, timers: network, random: randomBytes, readOnly: false })
  const slow = { host: '20.1.1.1', port: 100 }
  const other = network.open(slow)
  const id = secureId(slow.host, randomBytes)
  let asked = 0
  other.claim({
    matches: () => true,
    receive: (bytes, from) => {
      const query = decodeKrpc(bytes)
      if (query?.kind !== 'query') return
      asked++
      // So late that the timeout is the longest.
      network.after(1900, () => other.send(encodeResponse(query.transaction, { id }, from), from))
    }
  })
  const ping = (to: { host: string; port: number }) => node.ask(to, 'ping', { id: node.id })
  await network.run(ping(slow))
  const silent = Array.from({ length: limits.openTransactions }, (_, n) =>
    ping({ host: `30.${n >> 8}.${n & 255}.1`, port: 1 })
  )
  const replies = await network.run(Promise.all([ping(slow), ping(slow), ping(slow)]))
  assert.deepEqual([asked, replies], [1, [undefined, undefined, undefined]])
  assert.equal(node.table.status(slow, network.now()), 'good')
  await network.run(Promise.all(silent))
  assert.equal((await network.run(ping(slow)))?.kind, 'response')
  node.close()
})
