import assert from 'node:assert/strict'
import test from 'node:test'
import { encode } from '../../lib/bencode/encode.ts'
import { ExternalAddress } from '../../lib/dht/external-address.ts'
import { privateKeyOf, signItem } from '../../lib/dht/item.ts'
import { ItemStore } from '../../lib/dht/item-store.ts'
import { limits } from '../../lib/dht/limits.ts'
import { compareDistance, randomIdNear } from '../../lib/dht/node-id.ts'
import { PeerStore } from '../../lib/dht/peer-store.ts'
import { RateLimits } from '../../lib/dht/rate-limits.ts'
import { bucketSize, RoutingTable } from '../../lib/dht/routing-table.ts'
import { Tokens } from '../../lib/dht/token.ts'
import { Transactions } from '../../lib/dht/transactions.ts'
import { commonPrefixBits } from '../../lib/util/bits.ts'
import { randomBytes } from '../../lib/util/bytes.ts'
import { SimNetwork, seededRandom } from './sim-network.ts'

const minute = 60_000

async function pass(time: SimNetwork, ms: number): Promise<void> {
  await time.run(new Promise<void>((resolve) => time.after(ms, resolve)))
}

test('ids: distance, shared bits, and random ones near', () => {
  const own = randomBytes(20)
  for (const bits of [0, 1, 7, 8, 100, 159]) {
    assert.equal(commonPrefixBits(own, randomIdNear(own, bits, randomBytes)), bits)
  }
  assert.equal(commonPrefixBits(own, own), 160)
  const [near, far] = [randomIdNear(own, 50, randomBytes), randomIdNear(own, 49, randomBytes)]
  assert.ok(compareDistance(own, near, far) < 0 && compareDistance(own, far, near) > 0)
  assert.equal(compareDistance(own, near, near), 0)
})

test('a table is bounded, finds the closest, and splits only around us', () => {
  const random = seededRandom(3)
  const own = random(20)
  const table = new RoutingTable(own, 0)
  const nodes = Array.from({ length: 3000 }, (_, n) => ({
    id: random(20),
    host: `10.0.${n >> 8}.${n & 255}`,
    port: 1
  }))
  for (const node of nodes) table.answered(node, 0)
  assert.ok(table.size <= table.depth * bucketSize && table.depth < 20)
  const byDistance = (target: Uint8Array) => (a: { id: Uint8Array }, b: { id: Uint8Array }) =>
    compareDistance(target, a.id, b.id)
  assert.deepEqual(
    table.closest(own),
    [...nodes]
      .sort(byDistance(own))
      .slice(0, 8)
      .map((one) => table.closest(one.id, 1)[0])
  )
  for (let n = 0; n < 50; n++) {
    const target = random(20)
    const want = table.nodes().sort(byDistance(target)).slice(0, 8)
    assert.deepEqual(table.closest(target), want)
  }
})

test('a bad node is replaced by one that waits, a silent one is to be pinged', () => {
  const own = new Uint8Array(20)
  const table = new RoutingTable(own, 0)
  const node = (n: number, host = `10.0.0.${n}`) => ({
    id: Uint8Array.of(0x80, n, ...Array(18).fill(1)),
    host,
    port: 1
  })
  for (let n = 1; n <= 8; n++) table.answered(node(n), n)
  assert.equal(table.answered(node(9), 10), undefined)
  assert.equal(table.size, 8)
  assert.equal(table.status(node(9), 10), undefined)
  table.failed(node(3), 11)
  assert.equal(table.status(node(3), 11), 'questionable')
  table.failed(node(3), 12)
  assert.equal(table.status(node(9), 12), 'good')
  assert.equal(table.status(node(3), 12), undefined)
  const late = 20 * minute
  table.asked(node(2), late)
  assert.equal(table.status(node(1), late), 'questionable')
  assert.equal(table.questionable(late)?.host, '10.0.0.1')
  assert.equal(table.answered(node(10), late)?.host, '10.0.0.1')
  assert.ok(table.staleTarget(late + 15 * minute, randomBytes) !== undefined)
  assert.equal(table.answered({ id: own, host: '10.0.0.99', port: 1 }, late), undefined)
  assert.equal(table.status({ host: '10.0.0.99', port: 1 }, late), undefined)
})

test('silent nodes are pinged in turn, dead ones rarely and then not at all, unless we may have been offline', () => {
  const table = new RoutingTable(new Uint8Array(20), 0)
  const node = (n: number) => ({
    id: Uint8Array.of(0x80, n, ...Array(18).fill(1)),
    host: `10.0.0.${n}`,
    port: 1
  })
  for (let n = 1; n <= 4; n++) table.answered(node(n), n)
  const due = (atMinutes: number): string | undefined => table.questionable(atMinutes * minute)?.host.slice(7)
  table.asked(node(4), 10 * minute)
  assert.deepEqual([due(16), due(16), due(16), due(16)], ['1', '2', '3', undefined])
  table.answered(node(2), 16 * minute)
  table.failed(node(1), 16 * minute)
  table.failed(node(3), 16 * minute)
  assert.deepEqual([due(16.5), due(17), due(17), due(17)], [undefined, '1', '3', undefined])
  table.failed(node(1), 17 * minute)
  table.answered(node(3), 17 * minute)
  // Now it is bad, and has one more chance.
  assert.deepEqual([due(18), due(24)], [undefined, undefined])
  table.asked(node(2), 31 * minute)
  table.asked(node(3), 31 * minute)
  assert.deepEqual([due(32), due(32), due(32)], ['4', '1', undefined])
  table.failed(node(1), 32 * minute)
  assert.equal(table.size, 3)
  for (const n of [2, 3, 4]) for (let time = 0; time < 5; time++) table.failed(node(n), 60 * minute)
  assert.equal(table.size, 3)
  assert.deepEqual([due(61), due(61), due(61), due(61)], ['2', '3', '4', undefined])
  assert.equal(due(62), '2')
})

test('a network has two entries in a bucket, an address one', () => {
  const table = new RoutingTable(new Uint8Array(20), 0)
  const node = (n: number, host: string) => ({
    id: Uint8Array.of(0x80, n, ...Array(18).fill(1)),
    host,
    port: 1
  })
  for (let n = 1; n <= 5; n++) table.answered(node(n, `20.0.0.${n}`), 0)
  assert.equal(table.size, 2)
  table.answered(node(9, '20.0.0.1'), 0)
  assert.equal(table.size, 2)
  // A bad node keeps no new one out, and is not counted beside it should it come back.
  for (let time = 0; time < 2; time++) table.failed(node(1, '20.0.0.1'), 0)
  table.answered(node(6, '20.0.0.6'), 0)
  table.answered(node(7, '20.0.0.7'), 0)
  assert.deepEqual(
    table
      .nodes()
      .map(({ host }) => host)
      .sort(),
    ['20.0.0.2', '20.0.0.6']
  )
  table.answered(node(1, '20.0.0.1'), 0)
  assert.equal(table.size, 2)
})

test('a token is valid for its address and target, for 5 to 10 minutes', async () => {
  const time = new SimNetwork()
  const tokens = new Tokens(time, randomBytes)
  const target = randomBytes(20)
  const token = tokens.create('20.0.0.1', target)
  assert.equal(tokens.verify(token, '20.0.0.1', target), true)
  assert.equal(tokens.verify(token, '20.0.0.2', target), false)
  assert.equal(tokens.verify(token, '20.0.0.1', randomBytes(20)), false)
  assert.equal(tokens.verify(undefined, '20.0.0.1', target), false)
  await pass(time, 5 * minute)
  assert.equal(tokens.verify(token, '20.0.0.1', target), true)
  await pass(time, 5 * minute)
  assert.equal(tokens.verify(token, '20.0.0.1', target), false)
})

test('peers are stored once for each address, bounded, and expire', async () => {
  const time = new SimNetwork()
  const store = new PeerStore(time, randomBytes)
  const infoHash = randomBytes(20)
  for (let n = 0; n < limits.peersPerInfoHash + 100; n++) {
    store.add(infoHash, { host: `20.0.${n >> 8}.${n & 255}`, port: 1 }, n % 2 === 0)
  }
  store.add(infoHash, { host: '20.0.1.99', port: 2 }, false)
  store.add(infoHash, { host: 'a.name', port: 2 }, false)
  assert.equal(store.size, limits.peersPerInfoHash)
  assert.equal(store.compact(infoHash, 32).length, 32)
  assert.equal(store.compact(infoHash, 1000, true).length, limits.peersPerInfoHash / 2)
  assert.ok((store.filters(infoHash)?.seeds.estimate ?? 0) > 200)
  for (let n = 0; n < 30; n++) store.add(randomBytes(20), { host: '20.1.1.1', port: 1 }, false)
  const sample = store.sample()
  assert.deepEqual([sample.samples.length, sample.count, sample.intervalSeconds], [400, 31, 300])
  assert.equal(store.sample().samples, sample.samples)
  await pass(time, limits.peerMs)
  assert.equal(store.compact(infoHash, 32).length, 0)
  store.expire()
  assert.deepEqual([store.size, store.infoHashes], [0, 0])
  for (let n = 0; n < limits.infoHashes + 5; n++)
    store.add(randomBytes(20), { host: '20.1.1.1', port: 1 }, false)
  assert.equal(store.infoHashes, limits.infoHashes)
})

test('items: order of sequence numbers, cas, signatures, sizes, expiry', async () => {
  const time = new SimNetwork()
  const store = new ItemStore(time)
  const key = privateKeyOf(randomBytes(32))
  const item = (seq: number, value: string, salt = new Uint8Array()) => {
    const encoded = encode(value)
    return { encoded, mutable: signItem(encoded, seq, salt, key) }
  }
  assert.equal(store.put(item(2, 'a')), undefined)
  assert.equal(store.put(item(2, 'a')), undefined)
  assert.equal(store.put(item(2, 'b'))?.[0], 302)
  assert.equal(store.put(item(1, 'b'))?.[0], 302)
  assert.equal(store.put(item(3, 'b'), 1)?.[0], 301)
  assert.equal(store.put(item(3, 'b'), 2), undefined)
  assert.equal(store.put({ ...item(4, 'c'), encoded: encode('d') })?.[0], 206)
  assert.equal(store.put(item(4, 'x'.repeat(1000)))?.[0], 205)
  assert.equal(store.put(item(4, 'x', new Uint8Array(65)))?.[0], 207)
  for (let n = 0; n < limits.items + 5; n++) store.put({ encoded: encode(n) })
  assert.equal(store.size, limits.items)
  await pass(time, limits.itemMs)
  store.expire()
  assert.equal(store.size, 0)
})

test('a flooder is ignored, other nodes are not', async () => {
  const time = new SimNetwork()
  const rates = new RateLimits(time)
  const flooder = { host: '20.0.0.1', port: 1 }
  let answered = 0
  for (let n = 0; n < 300; n++) {
    if (n % 50 === 0) await pass(time, 500)
    if (rates.mayAnswer({ ...flooder, port: n })) answered++
  }
  assert.equal(answered, limits.queriesPerAddress)
  assert.equal(rates.mayAnswer({ host: '20.0.0.2', port: 1 }), true)
  await pass(time, limits.floodWindowMs)
  assert.equal(rates.mayAnswer(flooder), true)
  assert.equal(rates.question(), 0)
  for (let n = 0; n < 100; n++) rates.question()
  assert.ok(rates.question() > 100)
})

test('answers count from the queried address, within a time that follows the round trips', async () => {
  const time = new SimNetwork()
  const transactions = new Transactions(time, randomBytes)
  const to = { host: '20.0.0.1', port: 1 }
  const reply = (transaction: Uint8Array) =>
    ({ kind: 'error', transaction, code: 201, message: '', ip: undefined }) as const
  const first = transactions.timeoutMs
  let id = new Uint8Array()
  for (let n = 0; n < 20; n++) {
    const asked = transactions.ask(to, (transaction) => {
      id = transaction.slice()
    })
    await pass(time, 50)
    assert.equal(transactions.receive(reply(id), { ...to, port: 2 }), false)
    assert.equal(transactions.receive(reply(randomBytes(4)), to), false)
    assert.equal(transactions.receive(reply(id), to), true)
    assert.equal((await asked)?.kind, 'error')
  }
  assert.ok(transactions.timeoutMs < first)
  let slow = 0
  const silent = transactions.ask(
    to,
    () => {},
    () => slow++
  )
  assert.equal(await time.run(silent), undefined)
  assert.deepEqual([slow, transactions.size], [1, 0])
  const open = transactions.ask(to, () => {})
  transactions.close()
  assert.equal(await open, undefined)
  assert.equal(await transactions.ask(to, () => assert.fail('closed')), undefined)
})

test('our address is the one that most networks see', () => {
  const external = new ExternalAddress()
  const seen = { host: '30.0.0.1', port: 5 }
  const liar = { host: '66.0.0.1', port: 5 }
  // One network has one vote, however many addresses it has.
  for (let n = 0; n < 50; n++) external.vote(liar, { host: `20.0.0.${n}`, port: 1 })
  assert.equal(external.address, undefined)
  const news = Array.from({ length: 8 }, (_, n) => external.vote(seen, { host: `21.0.${n}.1`, port: 1 }))
  assert.deepEqual([news.filter(Boolean).length, external.address], [1, seen])
})
