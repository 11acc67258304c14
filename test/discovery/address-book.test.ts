import assert from 'node:assert/strict'
import test from 'node:test'
import { AddressBook } from '../../lib/discovery/address-book.ts'
import { hintsOf } from '../../lib/discovery/hints.ts'
import { type PeerSource, peerSources } from '../../lib/discovery/peer-source.ts'
import { formatAddress, type PeerAddress, parseAddress } from '../../lib/util/address.ts'
import { pexFlags } from '../../lib/wire/ut-pex.ts'
import { fc } from '../support/fast-check.ts'

const at = parseAddress

function book(limit?: number): AddressBook {
  return new AddressBook(limit === undefined ? { random: () => 0.9 } : { random: () => 0.9, limit })
}

/** Returns the addresses that the book yields in order when each is dialled. */
function dialAll(book: AddressBook, now: number): string[] {
  const hosts: string[] = []
  for (let next = book.next(now); next !== undefined; next = book.next(now)) {
    book.dialling(next.address, now)
    hosts.push(formatAddress(next.address))
  }
  return hosts
}

test('peers are dialled by source, each once', () => {
  const it = book()
  assert.equal(it.wakeAt, Number.POSITIVE_INFINITY)
  const order: PeerSource[] = ['pex', 'dht', 'resume', 'incoming', 'tracker', 'lsd', 'manual']
  order.forEach((source, n) => {
    assert.ok(it.add(at(`8.0.0.${n}:1`), source, 5))
  })
  assert.equal(it.add(at('[::ffff:8.0.0.0]:1'), 'pex', 5), false, 'the same address in another spelling')
  assert.equal(it.size, 7)
  assert.equal(it.wakeAt, 5)
  assert.equal(it.next(4), undefined)
  assert.deepEqual(
    dialAll(it, 5),
    [6, 5, 4, 3, 2, 1, 0].map((n) => `8.0.0.${n}:1`)
  )
  assert.equal(it.wakeAt, Number.POSITIVE_INFINITY)
})

test('the best source of a peer counts', () => {
  const it = book()
  it.add(at('8.0.0.1:1'), 'pex', 0)
  it.add(at('8.0.0.2:1'), 'dht', 0)
  it.add(at('8.0.0.1:1'), 'tracker', 0)
  assert.deepEqual(it.counts(), {
    manual: 0,
    lsd: 0,
    tracker: 1,
    incoming: 0,
    magnet: 0,
    resume: 0,
    dht: 1,
    pex: 0
  })
  assert.deepEqual(it.next(0), {
    address: at('8.0.0.1:1'),
    source: 'tracker',
    failures: 0,
    hints: hintsOf(0),
    variants: [{ transport: 'tcp', encryption: 'plain' }]
  })
})

test('chance decides between equals', () => {
  const seen = new Set<string>()
  for (const draws of [
    [0.9, 0.9],
    [0.4, 0.9],
    [0.9, 0.2]
  ]) {
    let call = 0
    const it = new AddressBook({ random: () => draws[call++] ?? 0 })
    for (let n = 1; n <= 3; n++) it.add(at(`8.0.0.${n}:1`), 'dht', 0)
    seen.add(it.next(0)?.address.host ?? '')
  }
  assert.equal(seen.size, 3)
})

test('addresses with fewer failures come first, then those not tried for longest', () => {
  const it = book()
  for (const n of [1, 2, 3]) it.add(at(`8.0.0.${n}:1`), 'tracker', 0)
  it.failed(at('8.0.0.1:1'), 0)
  it.disconnected(at('8.0.0.2:1'), 50, 'useful')
  it.disconnected(at('8.0.0.3:1'), 40, 'useful')
  assert.deepEqual(dialAll(it, 1e6), ['8.0.0.3:1', '8.0.0.2:1', '8.0.0.1:1'])
})

const refused: [address: PeerAddress, source: PeerSource, toldBy?: string][] = [
  [{ host: '8.0.0.1', port: 0 }, 'manual'],
  [{ host: '8.0.0.1', port: 65536 }, 'manual'],
  [{ host: '8.0.0.1', port: 1.5 }, 'manual'],
  [{ host: '8.0.0.1', port: Number.NaN }, 'manual'],
  [{ host: '', port: 1 }, 'manual'],
  [{ host: '0.0.0.0', port: 1 }, 'tracker'],
  [{ host: '::', port: 1 }, 'tracker'],
  [{ host: '239.1.1.1', port: 1 }, 'lsd'],
  [{ host: 'ff02::1', port: 1 }, 'tracker'],
  [{ host: '255.255.255.255', port: 1 }, 'manual'],
  [{ host: 'peer.example', port: 1 }, 'tracker'],
  [{ host: 'localhost', port: 1 }, 'tracker'],
  [{ host: 'localhost', port: 1 }, 'pex', '127.0.0.1'],
  [{ host: '127.0.0.1', port: 1 }, 'dht'],
  [{ host: '127.0.0.1', port: 1 }, 'pex', '8.8.8.8'],
  [{ host: '127.0.0.1', port: 1 }, 'pex', '192.168.0.2'],
  [{ host: '::ffff:10.0.0.1', port: 1 }, 'pex', '8.8.8.8']
]

for (const [address, source, toldBy] of refused) {
  test(`${formatAddress(address)} from ${source}${toldBy === undefined ? '' : ` of ${toldBy}`} is refused`, () => {
    const it = book()
    assert.equal(it.add(address, source, 0, toldBy), false)
    assert.equal(it.size, 0)
  })
}

const accepted: [address: PeerAddress, source: PeerSource, toldBy?: string][] = [
  [{ host: 'peer.example', port: 1 }, 'manual'],
  [{ host: '127.0.0.1', port: 1 }, 'tracker'],
  [{ host: '127.0.0.1', port: 1 }, 'pex', '127.0.0.1'],
  [{ host: '10.0.0.1', port: 1 }, 'pex', '10.0.0.2'],
  [{ host: '8.0.0.1', port: 1 }, 'dht'],
  [{ host: 'fe80::1%eth0', port: 1 }, 'lsd']
]

for (const [address, source, toldBy] of accepted) {
  test(`${formatAddress(address)} from ${source} is accepted`, () => {
    const it = book()
    assert.equal(it.add(address, source, 0, toldBy), true)
    assert.deepEqual(it.next(0)?.address, address)
  })
}

test('a ban is for the host, but on loopback for host and port', () => {
  const it = book()
  for (const text of ['8.0.0.1:1', '8.0.0.1:2', '8.0.0.2:1', '127.0.0.1:1', '127.0.0.1:2']) {
    it.add(at(text), 'tracker', 0)
  }
  it.ban(at('8.0.0.1:9'))
  it.ban(at('127.0.0.1:1'))
  assert.deepEqual(dialAll(it, 0).sort(), ['127.0.0.1:2', '8.0.0.2:1'])
  assert.equal(it.isBanned(at('[::ffff:8.0.0.1]:77')), true)
  assert.equal(it.isBanned(at('127.0.0.1:2')), false)
  assert.equal(it.add(at('8.0.0.1:5'), 'manual', 0), false)
  for (let n = 0; n < 5000; n++) it.ban({ host: `9.0.${n >> 8}.${n & 255}`, port: 1 })
  assert.equal(it.isBanned(at('8.0.0.1:1')), false, 'the oldest bans expire')
})

test('a ban is for the /64 of a public IPv6 address, and for one address in the local network', () => {
  const it = book()
  const hosts = ['2001:db8:1:2::1', '2001:db8:1:2:ffff::2', '2001:db8:1:3::1', 'fd00::1', 'fd00::2']
  for (const host of hosts) it.add({ host, port: 1 }, 'tracker', 0)
  it.ban({ host: '2001:db8:1:2::9', port: 0 })
  it.ban({ host: 'fd00::1', port: 0 })
  assert.deepEqual(dialAll(it, 0).sort(), ['[2001:db8:1:3::1]:1', '[fd00::2]:1'])
  assert.equal(it.isBanned({ host: '2001:db8:1:2:7::7', port: 7 }), true)
  assert.equal(it.isBanned({ host: 'fe80::2', port: 7 }), false)
})

test('our own address is never dialled again', () => {
  const it = book()
  it.add(at('8.0.0.1:1'), 'tracker', 0)
  it.self(at('8.0.0.1:1'))
  assert.equal(it.next(0), undefined)
  assert.equal(it.add(at('8.0.0.1:1'), 'manual', 0), false)
  assert.equal(it.add(at('8.0.0.1:2'), 'tracker', 0), true)
  for (let n = 0; n < 100; n++) it.self(at(`9.0.0.${n}:1`))
  assert.equal(it.add(at('8.0.0.1:1'), 'manual', 0), true, 'bounded')
})

test('a full book replaces addresses by better ones only', () => {
  const it = book(3)
  it.add(at('8.0.0.1:1'), 'manual', 0)
  it.add(at('8.0.0.2:1'), 'dht', 0)
  it.add(at('8.0.0.3:1'), 'tracker', 0)
  it.failed(at('8.0.0.1:1'), 0)
  assert.equal(it.add(at('8.0.0.4:1'), 'pex', 0), false)
  assert.equal(it.add(at('8.0.0.5:1'), 'tracker', 0), true)
  assert.equal(it.counts().dht, 0)
  it.failed(at('8.0.0.3:1'), 0)
  assert.equal(it.add(at('8.0.0.6:1'), 'pex', 0), true)
  it.connected(at('8.0.0.6:1'))
  it.connected(at('8.0.0.5:1'))
  assert.equal(it.add(at('8.0.0.7:1'), 'lsd', 0), false, 'entries in use and manual ones stay')
})

test('the addresses of one source host fill a fifth of the book, and an entry that answers counts for itself', () => {
  const it = book(50)
  const tell = (n: number, toldBy: string): boolean => it.add(at(`9.0.0.${n}:1`), 'pex', 0, toldBy)
  for (let n = 1; n <= 10; n++) assert.ok(tell(n, '8.0.0.1'))
  assert.equal(tell(11, '8.0.0.1'), false)
  assert.equal(tell(11, '8.0.0.2'), true)
  it.connected(at('9.0.0.1:1'))
  assert.equal(tell(12, '8.0.0.1'), true)
  assert.equal(tell(13, '8.0.0.1'), false)
  it.forget('pex')
  assert.equal(tell(13, '8.0.0.1'), true)
  assert.equal(it.add(at('9.0.0.99:1'), 'dht', 0), true, 'no host in particular named it')
})

test('a host with many addresses of its /64 counts as one', () => {
  const it = book(50)
  const tell = (n: number): boolean => it.add(at(`9.0.0.${n}:1`), 'pex', 0, `2001:db8:1:2::${n.toString(16)}`)
  for (let n = 1; n <= 10; n++) assert.ok(tell(n))
  assert.equal(tell(11), false)
  assert.equal(it.add(at('9.0.0.11:1'), 'pex', 0, '2001:db8:1:3::1'), true)
})

test('a host whose addresses do not answer is ignored', () => {
  const it = book()
  const tell = (n: number): boolean => it.add(at(`9.0.0.${n}:1`), 'pex', 0, '8.0.0.1')
  for (let n = 1; n <= 29; n++) {
    tell(n)
    for (let times = 0; times < 5; times++) it.failed(at(`9.0.0.${n}:1`), 0)
  }
  tell(30)
  it.connected(at('9.0.0.30:1'))
  for (let n = 31; n <= 60; n++) {
    assert.equal(tell(n), true)
    it.failed(at(`9.0.0.${n}:1`), 0)
  }
  assert.equal(tell(61), false)
  assert.equal(it.add(at('9.0.0.61:1'), 'pex', 0, '8.0.0.2'), true)
  for (let n = 0; n < 300; n++) it.add(at(`9.1.0.${n % 200}:${n + 1}`), 'pex', 0, `7.0.${n >> 8}.${n & 255}`)
  assert.equal(tell(62), true, 'the history is bounded')
})

test('a host whose addresses did not answer is forgiven with time', () => {
  const it = book()
  const tell = (n: number, now: number): boolean => it.add(at(`9.0.0.${n}:1`), 'pex', now, '8.0.0.1')
  for (let n = 1; n <= 60; n++) {
    tell(n, 0)
    it.failed(at(`9.0.0.${n}:1`), 0)
  }
  assert.equal(tell(61, 0), false)
  assert.equal(tell(61, 60_000), true)
  it.failed(at('9.0.0.61:1'), 60_000)
  assert.equal(tell(62, 119_999), false)
  assert.equal(tell(62, 600_000), true)
})

test('dead addresses without a source host keep no others out, however many there are', () => {
  const it = book(100)
  const tell = (n: number): boolean =>
    it.add(at(`9.0.${n >> 8}.${n & 255}:1`), 'dht', 0, undefined, 'loopback')
  for (let n = 0; n < 100; n++) assert.ok(tell(n), 'they may fill the whole book')
  assert.equal(tell(100), false, 'until it is full')
  for (let n = 0; n < 100; n++) it.failed(at(`9.0.0.${n}:1`), 0)
  for (let n = 101; n <= 200; n++) assert.ok(tell(n), 'failed addresses are replaced')
  assert.equal(it.add(at('127.0.0.1:1'), 'dht', 0, undefined, 'public'), false)
  assert.equal(it.add(at('127.0.0.1:1'), 'dht', 0, undefined, 'private'), false)
})

test('forgetting a source leaves the peers in use', () => {
  const it = book()
  it.add(at('8.0.0.1:1'), 'dht', 0)
  it.add(at('8.0.0.2:1'), 'dht', 0)
  it.add(at('8.0.0.3:1'), 'tracker', 0)
  it.add(at('8.0.0.4:1'), 'dht', 0)
  it.connected(at('8.0.0.2:1'))
  it.dialling(at('8.0.0.4:1'), 0)
  it.forget('dht')
  assert.deepEqual(dialAll(it, 0), ['8.0.0.3:1'])
  assert.equal(it.size, 3)
  it.failed(at('8.0.0.4:1'), 0)
  assert.equal(it.size, 2, 'until their use ends')
  it.add(at('8.0.0.2:1'), 'tracker', 0)
  it.disconnected(at('8.0.0.2:1'), 0, 'useful')
  assert.equal(it.size, 2, 'unless another host has named them meanwhile')
})

test('an incoming peer may claim its listening address only while no other peer is there', () => {
  const it = book()
  assert.equal(it.markConnected(at('8.0.0.1:1')), false)
  it.add(at('8.0.0.1:1'), 'incoming', 0)
  assert.equal(it.markConnected(at('8.0.0.1:1')), true)
  assert.equal(it.markConnected(at('8.0.0.1:1')), false)
  it.disconnected(at('8.0.0.1:1'), 0, 'useful')
  it.dialling(at('8.0.0.1:1'), 0)
  assert.equal(it.markConnected(at('8.0.0.1:1')), false)
})

test('the resume record holds the best peers', () => {
  const it = book()
  for (let n = 1; n <= 5; n++) it.add(at(`8.0.0.${n}:1`), n === 1 ? 'dht' : 'tracker', 0)
  it.connected(at('8.0.0.4:1'))
  it.disconnected(at('8.0.0.3:1'), 10, 'useful')
  it.disconnected(at('8.0.0.5:1'), 20, 'useful')
  it.failed(at('8.0.0.2:1'), 0)
  assert.deepEqual(it.serialise().map(formatAddress), ['8.0.0.4:1', '8.0.0.5:1', '8.0.0.3:1', '8.0.0.1:1'])
  assert.equal(it.serialise(1).length, 1)
})

test('results for unknown addresses are ignored', () => {
  const it = book()
  it.dialling(at('8.0.0.1:1'), 0)
  it.connected(at('8.0.0.1:1'))
  it.failed(at('8.0.0.1:1'), 0)
  it.disconnected(at('8.0.0.1:1'), 0, 'useful')
  assert.equal(it.size, 0)
})

test('in any sequence of calls, wakeAt tells exactly when next has an address', () => {
  const step = fc.record({
    kind: fc.constantFrom(
      'add',
      'dial',
      'connect',
      'fail',
      'useful',
      'useless',
      'uninteresting',
      'ban',
      'self',
      'revive'
    ),
    host: fc.integer({ min: 1, max: 12 }),
    source: fc.constantFrom(...peerSources),
    waitMs: fc.nat(20_000)
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => {
      const it = new AddressBook({ random: () => 0.3, limit: 8 })
      let now = 0
      for (const { kind, host, source, waitMs } of steps) {
        now += waitMs
        const peer = at(`8.0.0.${host}:1`)
        if (kind === 'add') it.add(peer, source, now)
        else if (kind === 'dial') it.dialling(peer, now)
        else if (kind === 'connect') it.connected(peer)
        else if (kind === 'fail') it.failed(peer, now)
        else if (kind === 'ban') it.ban(peer)
        else if (kind === 'self') it.self(peer)
        else if (kind === 'revive') it.revive(now)
        else it.disconnected(peer, now, kind as 'useful')
        assert.ok(it.size <= 8)
        assert.equal(it.next(now) !== undefined, it.wakeAt <= now)
        if (it.wakeAt !== Number.POSITIVE_INFINITY) assert.ok(it.next(it.wakeAt))
        else assert.equal(it.next(Number.MAX_VALUE), undefined)
      }
    })
  )
})

/** Returns the hints of an address that is dialled next. */
function hintsAt(it: AddressBook, now = 0): string[] {
  const { hints } = it.next(now) ?? {}
  return Object.entries(hints ?? {}).flatMap(([name, is]) => (is ? [name] : []))
}

for (const [name, flag] of Object.entries(pexFlags)) {
  test(`the flag ${name} of PEX is a hint of the candidate, and changes nothing else`, () => {
    const it = book()
    it.add({ ...at('8.0.0.1:1'), flags: flag }, 'pex', 0, '8.0.0.9')
    assert.deepEqual(hintsAt(it), [name])
    assert.deepEqual(it.next(0)?.address, at('8.0.0.1:1'))
    assert.deepEqual(it.serialise(), [at('8.0.0.1:1')])
  })
}

test('hints from all sources of an address are joined, whatever its state, and outlast its connections', () => {
  const it = book()
  const { utp, encryption, reachable, uploadOnly } = pexFlags
  it.add({ ...at('8.0.0.1:1'), flags: utp }, 'pex', 0, '8.0.0.8')
  it.add({ ...at('[::ffff:8.0.0.1]:1'), flags: encryption }, 'pex', 0, '8.0.0.9')
  it.add(at('8.0.0.1:1'), 'tracker', 0)
  assert.deepEqual(hintsAt(it), ['encryption', 'utp'])
  it.dialling(at('8.0.0.1:1'), 0)
  it.add({ ...at('8.0.0.1:1'), flags: reachable }, 'pex', 0, '8.0.0.9')
  it.connected(at('8.0.0.1:1'))
  it.add({ ...at('8.0.0.1:1'), flags: uploadOnly | utp }, 'pex', 0, '8.0.0.9')
  it.disconnected(at('8.0.0.1:1'), 0, 'useful')
  assert.deepEqual(hintsAt(it, 10_000), ['encryption', 'uploadOnly', 'utp', 'reachable'])
})

test('hints change neither the order of dials nor the addresses dialled', () => {
  const it = book()
  it.add({ ...at('8.0.0.1:1'), flags: 0 }, 'tracker', 0)
  it.add({ ...at('8.0.0.2:1'), flags: 0xff }, 'pex', 0, '8.0.0.9')
  assert.equal(it.add({ ...at('8.0.0.1:1'), flags: 0xff }, 'pex', 0, '8.0.0.9'), false)
  assert.deepEqual(dialAll(it, 0), ['8.0.0.1:1', '8.0.0.2:1'])
})

test('bits without a meaning are no hints, and flags of refused addresses and of lying sources are dropped', () => {
  const it = book()
  it.add({ ...at('8.0.0.1:1'), flags: 0xffffffe0 }, 'pex', 0, '8.0.0.9')
  assert.deepEqual(hintsAt(it), [])
  assert.equal(it.add({ ...at('127.0.0.1:1'), flags: 0xff }, 'pex', 0, '8.0.0.9'), false)
  assert.equal(it.size, 1)
  const liar = '8.0.9.9'
  for (let n = 0; n < 40; n++) {
    const address = at(`8.1.0.${n}:1`)
    it.add(address, 'pex', 0, liar)
    it.dialling(address, 0)
    it.failed(address, 0)
  }
  it.add({ ...at('8.0.0.1:1'), flags: pexFlags.utp }, 'pex', 0, liar)
  assert.deepEqual(hintsAt(it), [])
})
