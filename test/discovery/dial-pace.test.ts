import assert from 'node:assert/strict'
import test from 'node:test'
import { AddressBook } from '../../lib/discovery/address-book.ts'
import { backOffMs } from '../../lib/discovery/back-off.ts'
import { ConnectionBudget } from '../../lib/discovery/connection-budget.ts'
import { type DialKeys, DialPace, dialKeys } from '../../lib/discovery/dial-pace.ts'
import { Dialer } from '../../lib/discovery/dialer.ts'
import { limits } from '../../lib/discovery/limits.ts'
import { type PeerSource, peerSources } from '../../lib/discovery/peer-source.ts'
import { formatAddress, type PeerAddress } from '../../lib/util/address.ts'

interface Dial {
  readonly at: number
  readonly address: string
}

const minuteMs = 60_000
const hourMs = 3_600_000
const sources = peerSources.filter((source) => source !== 'manual')

/**
 * Returns the dials of clients with some torrents during a time, when each torrent learns three more
 * addresses every 20 seconds. An address accepts the connection and closes it if `answers` returns true.
 */
function dials(
  addressOf: (n: number) => PeerAddress,
  {
    source = 'tracker',
    torrents = 2,
    ms = 2 * hourMs,
    answers = () => false
  }: {
    source?: PeerSource
    torrents?: number
    ms?: number
    answers?: (address: PeerAddress) => boolean
  } = {}
): Dial[] {
  const budget = new ConnectionBudget()
  const all = Array.from({ length: torrents }, () => {
    const book = new AddressBook({ random: () => 0.5 })
    return { book, dialer: new Dialer({ book, budget }) }
  })
  const list: Dial[] = []
  let named = 0
  for (let now = 0; now < ms; now += 1000) {
    for (const { book, dialer } of all) {
      if (now % 20_000 === 0)
        for (let more = 0; more < 3; more++) book.add(addressOf(named++), source, now, undefined, 'private')
      for (let next = dialer.nextDial(now); next !== undefined; next = dialer.nextDial(now)) {
        const { address } = next
        list.push({ at: now, address: formatAddress(address) })
        if (answers(address)) {
          dialer.connected(address)
          dialer.disconnected(address, now, 'useful')
        } else dialer.failed(address, now)
      }
    }
  }
  return list
}

/** Returns the most dials in any span of this length; with `distinct`, only of different addresses. */
function most(list: readonly Dial[], spanMs: number, distinct: boolean): number {
  return Math.max(
    ...list.map(({ at: from }) => {
      const span = list.filter(({ at }) => at >= from && at < from + spanMs)
      return distinct ? new Set(span.map(({ address }) => address)).size : span.length
    })
  )
}

for (const source of sources) {
  test(`addresses from ${source} lead to at most four ports of a host an hour, for all torrents together`, () => {
    const list = dials((n) => ({ host: '203.0.113.7', port: 1 + (n % 65_000) }), { source })
    assert.equal(most(list, hourMs, true), limits.portsPerHost)
    assert.ok(most(list, minuteMs, false) <= limits.hostDials + minuteMs / limits.hostDialMs)
  })
}

for (const [kind, host] of [
  ['an IPv6 /64', (n: number) => `2001:db8:1:2::${n.toString(16)}`],
  ['an address in a local network', () => '10.1.2.3'],
  ['an address inside IPv6', (n: number) => (n % 2 === 0 ? '::ffff:203.0.113.7' : '203.0.113.7')]
] as const) {
  test(`${kind} is one host`, () => {
    const list = dials((n) => ({ host: host(n), port: 1 + (n % 65_000) }))
    assert.equal(most(list, hourMs, true), limits.portsPerHost)
  })
}

for (const [kind, host] of [
  ['IPv4 /24', (n: number) => `203.0.113.${n % 256}`],
  ['IPv6 /48', (n: number) => `2001:db8:1:${(n % 65_536).toString(16)}::1`],
  ['local /24', (n: number) => `192.168.1.${n % 256}`]
] as const) {
  test(`the hosts of one ${kind} are dialled twenty times a minute, for all torrents`, () => {
    const list = dials((n) => ({ host: host(n), port: 1 + (n % 65_000) }), {
      torrents: 10,
      ms: 20 * minuteMs
    })
    const { networkDials, networkDialMs } = limits
    assert.ok(most(list, minuteMs, false) <= networkDials + minuteMs / networkDialMs)
    const later = list.filter(({ at }) => at >= minuteMs)
    assert.ok(later.length <= 19 * 20 + networkDials)
    assert.ok(later.length >= 19 * 15, 'it is dialled all the same')
  })
}

test('many peers behind one address are all dialled when they answer', () => {
  const list = dials((n) => ({ host: '100.64.1.1', port: 7000 + (n % 30) }), {
    answers: () => true,
    ms: 10 * minuteMs
  })
  assert.equal(new Set(list.map(({ address }) => address)).size, 30)
})

test('a port that answered is dialled although others of its host used up the hour', () => {
  const book = new AddressBook({ random: () => 0.5 })
  const dialer = new Dialer({ book })
  const seen = { host: '203.0.113.7', port: 6881 }
  book.add(seen, 'tracker', 0)
  assert.deepEqual(dialer.nextDial(0)?.address, seen)
  dialer.connected(seen)
  for (let port = 1; port <= 100; port++) book.add({ host: seen.host, port }, 'tracker', 0)
  assert.equal(book.size, 1 + limits.portsPerHost)
  dialer.disconnected(seen, 0, 'useful')
  const dialled: number[] = []
  for (let now = 0; now < 20_000; now += 1000) {
    for (let next = dialer.nextDial(now); next !== undefined; next = dialer.nextDial(now)) {
      dialled.push(next.address.port)
      if (next.address.port !== seen.port) dialer.failed(next.address, now)
    }
  }
  assert.ok(dialled.includes(seen.port))
})

test('a better source replaces a worse one among the ports of a host', () => {
  const book = new AddressBook({ random: () => 0.5 })
  for (let port = 1; port <= 10; port++) book.add({ host: '203.0.113.7', port }, 'pex', 0)
  assert.equal(book.size, limits.portsPerHost)
  assert.equal(book.add({ host: '203.0.113.7', port: 6881 }, 'tracker', 0), true)
  assert.deepEqual([book.size, book.counts().tracker], [limits.portsPerHost, 1])
  assert.equal(book.next(0)?.address.port, 6881)
})

for (const [kind, source, host] of [
  ['that the program names', 'manual', '203.0.113.7'],
  ['of this machine', 'tracker', '127.0.0.1']
] as const) {
  test(`ports ${kind} are not limited`, () => {
    const book = new AddressBook({ random: () => 0.5 })
    const dialer = new Dialer({ book })
    for (let port = 1; port <= 300; port++) assert.equal(book.add({ host, port }, source, 0), true)
    let count = 0
    for (let now = 0; now < 30_000; now += 100) {
      for (let next = dialer.nextDial(now); next !== undefined; next = dialer.nextDial(now)) {
        count++
        dialer.connected(next.address)
        dialer.disconnected(next.address, now, 'uninteresting')
      }
    }
    assert.equal(count, 300)
  })
}

test('a port that the program names as well is limited no longer', () => {
  const book = new AddressBook({ random: () => 0.5 })
  const pace = new DialPace()
  const [host, now] = ['203.0.113.7', 0]
  for (let port = 1; port <= 4; port++) pace.began(dialKeys({ host, port }) ?? assert.fail(), now)
  book.add({ host, port: 9 }, 'pex', now)
  assert.equal(book.next(now, pace), undefined)
  assert.equal(book.wakeAt, limits.portMs)
  book.add({ host, port: 9 }, 'manual', now)
  assert.equal(book.next(now, pace)?.address.port, 9)
})

test('a port keeps its place until it is retried after the longest back-off', () => {
  const pace = new DialPace()
  const keysOf = (port: number): DialKeys => dialKeys({ host: '203.0.113.7', port }) ?? assert.fail()
  const longest = Math.max(...backOffMs)
  pace.began(keysOf(1), 0)
  for (let port = 2; port <= limits.portsPerHost; port++) pace.began(keysOf(port), longest - minuteMs)
  // The back-off begins when the dial has failed, and the retry may wait for the limits of its host and network.
  const at = longest + minuteMs
  assert.ok(pace.readyAt(keysOf(9), at) > at, 'the host has its four ports')
  assert.equal(pace.readyAt(keysOf(1), at), at)
  pace.began(keysOf(1), at)
  assert.ok(pace.readyAt(keysOf(9), at + minuteMs) > at + minuteMs)
})

test('the record of dials is bounded', () => {
  const pace = new DialPace()
  const keysOf = (n: number): ReturnType<typeof dialKeys> =>
    dialKeys({ host: `${20 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}.1`, port: 1 })
  const [first, last] = [keysOf(0) ?? assert.fail(), keysOf(limits.dialledHosts) ?? assert.fail()]
  for (let times = 0; times < limits.hostDials; times++) pace.began(first, 0)
  assert.ok(pace.readyAt(first, 0) > 0)
  for (let n = 1; n <= limits.dialledHosts; n++) pace.began(keysOf(n) ?? assert.fail(), 0)
  for (let times = 1; times < limits.hostDials; times++) pace.began(last, 0)
  assert.equal(pace.readyAt(first, 0), 0)
  assert.ok(pace.readyAt(last, 0) > 0)
})
