// The most that one party can take, however many addresses it has.
import assert from 'node:assert/strict'
import test from 'node:test'
import { limits } from '../../lib/dht/limits.ts'
import { partyKey } from '../../lib/dht/node-info.ts'
import { PeerStore } from '../../lib/dht/peer-store.ts'
import { RateLimits } from '../../lib/dht/rate-limits.ts'
import { randomBytes } from '../../lib/util/bytes.ts'
import { SimNetwork } from './sim-network.ts'

const honest = { host: '2a00:1::1', port: 1 }

/** Returns one of 2^64 addresses of the same host. */
function ofOneHost(n: number): string {
  return `2001:470:1:2::${n.toString(16)}`
}

test('a /64 is one party, except where it does not identify one', () => {
  const key = (host: string, port = 1): string => partyKey({ host, port })
  assert.equal(key('2001:470:1:2::1'), key('2001:470:1:2:ffff::2', 2))
  assert.notEqual(key('2001:470:1:2::1'), key('2001:470:1:3::1'))
  assert.equal(key('20.0.0.1'), key('20.0.0.1', 2))
  assert.notEqual(key('20.0.0.1'), key('20.0.0.2'))
  for (const local of ['::1', 'fe80::1', 'fd00::1', '127.0.0.1', '10.0.0.1'])
    assert.notEqual(key(local), key(local, 2), local)
  assert.notEqual(key('64:ff9b::1400:1'), key('64:ff9b::1400:2'))
})

test('a flooder with a /64 is ignored like one with one address', async () => {
  const time = new SimNetwork()
  const rates = new RateLimits(time)
  let answered = 0
  for (let n = 0; n < 300; n++) {
    if (n % 50 === 0) await time.run(new Promise<void>((resolve) => time.after(500, resolve)))
    if (rates.mayAnswer({ host: ofOneHost(n + 1), port: n })) answered++
  }
  assert.equal(answered, limits.queriesPerAddress)
  assert.equal(rates.mayAnswer(honest), true)
  // Many nodes of a test network share one address.
  assert.equal(rates.mayAnswer({ host: '::1', port: 1 }), true)
})

test('a party with a /64 does not evict the peers of others', () => {
  const store = new PeerStore(new SimNetwork(), randomBytes)
  const infoHash = randomBytes(20)
  store.add(infoHash, honest, false)
  for (let n = 1; n <= limits.peersPerInfoHash + 100; n++)
    store.add(infoHash, { host: ofOneHost(n), port: n }, false)
  assert.equal(store.size, 1 + limits.peersPerParty)
  const kept = store.compact(infoHash, limits.peersPerInfoHash).map(([first]) => first)
  assert.ok(kept.includes(0x2a))
  // On this machine every port is a peer.
  for (let port = 1; port <= 20; port++) store.add(infoHash, { host: '::1', port }, false)
  assert.equal(store.size, 21 + limits.peersPerParty)
})
