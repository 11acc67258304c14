import assert from 'node:assert/strict'
import test from 'node:test'
import { DHT } from '../../lib/dht.ts'
import { randomBytes } from '../../lib/util/bytes.ts'
import { SimNetwork } from './sim-network.ts'

test('over an hour, tables forget who died, and whoever stood alone begins anew', async () => {
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
  // The node to start from comes late.
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
