import assert from 'node:assert/strict'
import test from 'node:test'
import { AddressBook } from '../../lib/discovery/address-book.ts'
import { toEvict } from '../../lib/discovery/eviction.ts'
import { OwnAddress } from '../../lib/discovery/own-address.ts'
import { peerPriority } from '../../lib/discovery/peer-priority.ts'
import { parseAddress } from '../../lib/util/address.ts'

test('our address is the one that most peers report, and one peer is not enough', () => {
  const own = new OwnAddress(() => 6881)
  own.told('9.9.9.1', '5.5.5.5')
  own.told('9.9.9.1', '5.5.5.5')
  assert.equal(own.host(4), undefined)
  own.told('9.9.9.2', '5.5.5.5')
  assert.equal(own.host(4), '5.5.5.5')
  own.told('9.9.9.3', '6.6.6.6')
  own.told('9.9.9.4', '6.6.6.6')
  assert.equal(own.host(4), '5.5.5.5', 'an equal number is no majority')
  const { version } = own
  own.told('9.9.9.5', '6.6.6.6')
  assert.equal(own.host(4), '6.6.6.6')
  assert.equal(own.version, version + 1)
  assert.equal(own.host(6), undefined)
  own.told('2a03::1', '2a03::99')
  assert.equal(own.host(6), undefined)
  own.told('2a03::2', '2a03::99')
  assert.equal(own.host(6), undefined, 'a /64 is one peer')
  own.told('2a03:0:0:1::2', '2a03::99')
  assert.equal(own.host(6), '2a03::99')
})

test('only the last 64 peers are counted', () => {
  const own = new OwnAddress(() => 6881)
  for (let n = 1; n <= 64; n++) own.told(`9.9.${n}.1`, '5.5.5.5')
  assert.equal(own.host(4), '5.5.5.5')
  for (let n = 1; n <= 64; n++) own.told(`8.8.${n}.1`, '6.6.6.6')
  assert.equal(own.host(4), '6.6.6.6')
})

test('a tracker counts as two peers, the DHT as five', () => {
  const own = new OwnAddress(() => 1)
  own.told('tracker.example', '5.5.5.5', 'tracker')
  assert.equal(own.host(4), '5.5.5.5')
  own.told('9.9.9.1', '6.6.6.6')
  own.told('9.9.9.2', '6.6.6.6')
  assert.equal(own.host(4), '5.5.5.5')
  own.told('9.9.9.3', '6.6.6.6')
  assert.equal(own.host(4), '6.6.6.6')
  own.told('dht', '7.7.7.7', 'dht')
  assert.equal(own.host(4), '7.7.7.7')
  own.told('dht', '8.8.8.8', 'dht')
  assert.equal(own.host(4), '8.8.8.8', 'it has changed its report')
  own.told('dht', '2a03::99', 'dht')
  assert.deepEqual([own.host(4), own.host(6)], ['8.8.8.8', '2a03::99'])
})

test('neighbours, and peers to which we are a neighbour, do not count', () => {
  const own = new OwnAddress(() => 1)
  for (let n = 1; n < 9; n++) {
    own.told(`192.168.0.${n}`, '5.5.5.5')
    own.told(`9.9.9.${n}`, '192.168.0.1')
    own.told(`9.9.9.${n}`, '127.0.0.1')
    own.told(`192.168.0.${n}`, '5.5.5.5', 'tracker')
    own.told('localhost', '5.5.5.5', 'tracker')
    own.told('tracker.example', '10.0.0.1', 'tracker')
    own.told('dht', '127.0.0.1', 'dht')
  }
  assert.equal(own.host(4), undefined)
  for (let n = 0; n < 5000; n++) own.told(`9.${n >> 8}.${n & 255}.1`, `8.${n >> 8}.${n & 255}.1`)
  assert.equal(own.host(4), undefined)
})

test('priorities are those of the connection, neighbours come first', () => {
  const own = new OwnAddress(() => 6881)
  const peer = parseAddress('98.76.54.32:1')
  assert.equal(own.priority(peer), 2 ** 31)
  own.told('9.9.9.1', '123.213.32.10')
  own.told('9.9.9.2', '123.213.32.10')
  assert.equal(own.priority(peer), 0xec2d7224)
  assert.equal(
    own.priority(parseAddress('123.213.32.10:9')),
    peerPriority(parseAddress('1.1.1.1:9'), parseAddress('1.1.1.1:6881'))
  )
  assert.equal(own.priority(parseAddress('[2a03::1]:1')), 2 ** 31)
  assert.equal(own.priority(parseAddress('example.org:1')), 2 ** 31)
  assert.ok(own.priority(parseAddress('10.0.0.1:1')) > 0xffffffff)
})

test('among equals the peer with the higher priority is dialled first, reordered when we learn our address', () => {
  const own = new OwnAddress(() => 6881)
  const book = new AddressBook({ random: () => 0.9, own })
  const hosts = ['98.76.54.32', '9.9.9.9', '20.20.20.20', '123.213.32.234', '77.1.2.3']
  for (const host of hosts) book.add({ host, port: 1 }, 'dht', 0)
  book.add(parseAddress('66.6.6.6:1'), 'tracker', 0)
  assert.equal(book.next(0)?.source, 'tracker')
  own.told('9.9.9.1', '123.213.32.10')
  own.told('9.9.9.2', '123.213.32.10')
  const order: string[] = []
  for (let next = book.next(0); next !== undefined; next = book.next(0)) {
    book.dialling(next.address, 0)
    order.push(next.address.host)
  }
  const priority = (host: string): number => own.priority({ host, port: 1 })
  assert.deepEqual(order, ['66.6.6.6', ...hosts.sort((a, b) => priority(b) - priority(a))])
})

test('the idle peer with the lowest priority is evicted, but not for a lower one, nor at once', () => {
  const peer = (priority: number, isNeeded = false, connectedAt = 0) => ({ priority, isNeeded, connectedAt })
  const low = peer(10)
  assert.equal(toEvict([peer(30), low, peer(20), peer(1, true), peer(2, false, 80_000)], 15, 100_000), low)
  assert.equal(toEvict([peer(30), low], 10, 100_000), undefined)
  assert.equal(toEvict([low], 15, 29_999), undefined)
  assert.equal(toEvict([], 15, 100_000), undefined)
})
