import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AddressBook } from '../../lib/discovery/address-book.ts'
import { Dialer } from '../../lib/discovery/dialer.ts'
import { Discovery } from '../../lib/discovery/discovery.ts'
import { DhtLink } from '../../lib/swarm/dht-link.ts'
import { type PeerAddress, parseAddress } from '../../lib/util/address.ts'
import { AsyncQueue } from '../../lib/util/async-queue.ts'

/** A torrent whose DHT returns the addresses that the test pushes. */
function bench(): { found: AsyncQueue<PeerAddress>; dialer: Dialer; book: AddressBook; link: DhtLink } {
  const found = new AsyncQueue<PeerAddress>(1000)
  const book = new AddressBook({ random: () => 0.9 })
  const discovery = new Discovery({ book, now: () => 0, onPeers: () => {}, onWarning: assert.ifError })
  const link = new DhtLink({
    dht: { port: () => undefined, addNode: () => {}, peers: () => found },
    discovery,
    infoHash: new Uint8Array(20),
    isSeed: () => false,
    isHungry: () => true
  })
  link.start()
  return { found, dialer: new Dialer({ book }), book, link }
}

test('after any number of dead DHT peers the next one is dialled', () => {
  const { found, dialer, link } = bench()
  let now = 0
  for (let n = 0; n < 100; n++) {
    const dead = parseAddress(`9.0.${n}.9:1`)
    found.push(dead)
    now += 1000
    assert.deepEqual(dialer.nextDial(now)?.address, dead)
    dialer.failed(dead, now)
  }
  const alive = parseAddress('9.0.1.1:1')
  found.push(alive)
  now += 1000
  assert.deepEqual(dialer.nextDial(now)?.address, alive)
  link.stop()
})

test('DHT peers may fill the address book, and local ones pass, as the DHT has checked their scope', () => {
  const { found, book, link } = bench()
  found.push(parseAddress('127.0.0.1:1'))
  found.push(parseAddress('192.168.0.1:1'))
  for (let n = 2; n < 1000; n++) found.push(parseAddress(`9.0.${n >> 8}.${n & 255}:1`))
  assert.equal(book.counts().dht, 1000)
  link.stop()
})
