import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import test from 'node:test'
import { AddressBook } from '../../lib/discovery/address-book.ts'
import { Discovery } from '../../lib/discovery/discovery.ts'
import { type PeerAddress, parseAddress } from '../../lib/util/address.ts'
import { AsyncQueue } from '../../lib/util/async-queue.ts'
import { TorrentError } from '../../lib/util/errors.ts'
import { until } from '../support/until.ts'

interface Bench {
  readonly book: AddressBook
  readonly discovery: Discovery
  readonly warnings: TorrentError[]
  /** Emits `peers` and `warning`. */
  readonly events: EventEmitter
  /** Number of notifications. */
  told: number
}

function bench(isPrivate = false): Bench {
  const book = new AddressBook({ random: () => 0 })
  const events = new EventEmitter()
  const warnings: TorrentError[] = []
  const discovery = new Discovery({
    book,
    private: isPrivate,
    now: () => 0,
    onPeers() {
      it.told++
      events.emit('peers')
    },
    onWarning(error) {
      warnings.push(error)
      events.emit('warning')
    }
  })
  const it: Bench = { book, discovery, warnings, events, told: 0 }
  return it
}

async function* listOf(...texts: string[]): AsyncGenerator<PeerAddress> {
  for (const text of texts) yield parseAddress(text)
}

test('addresses from sources go into the book, with one notification per turn of the event loop', async () => {
  const it = bench()
  const tracker = new AsyncQueue<PeerAddress>(10)
  it.discovery.attach('tracker', tracker)
  it.discovery.add('pex', [parseAddress('8.0.0.1:1'), parseAddress('8.0.0.2:1'), parseAddress('10.0.0.1:1')])
  await once(it.events, 'peers')
  assert.equal(it.told, 1)
  assert.equal(it.book.size, 2)
  tracker.push(parseAddress('8.0.0.3:1'))
  await once(it.events, 'peers')
  assert.equal(it.book.counts().tracker, 1)
  it.discovery.add('pex', [parseAddress('8.0.0.3:1')])
  it.discovery.add('pex', [parseAddress('10.0.0.1:1')], { toldBy: '10.0.0.2' })
  await once(it.events, 'peers')
  assert.equal(it.told, 3)
  it.discovery.close()
})

test('a source that ends is removed, one that fails gives a warning', async () => {
  const it = bench()
  it.discovery.attach('tracker', listOf('8.0.0.1:1'))
  it.discovery.attach(
    'dht',
    (async function* () {
      yield parseAddress('8.0.0.2:1')
      throw new Error('lost')
    })()
  )
  await once(it.events, 'warning')
  assert.equal(it.discovery.size, 0)
  assert.equal(it.book.size, 2)
  const known = new TorrentError('ERR_TRACKER_FAILURE', 'no')
  const failing = new AsyncQueue<PeerAddress>(1)
  it.discovery.attach('tracker', failing)
  failing.end(known)
  await once(it.events, 'warning')
  assert.equal(it.warnings[0]?.code, 'ERR_DISCOVERY_SOURCE')
  assert.equal(it.warnings[0]?.message, "the peer source 'dht' failed and has ended: lost")
  assert.equal(it.warnings[1], known)
})

test('a private torrent refuses DHT, LSD and PEX', async () => {
  const it = bench(true)
  for (const source of ['dht', 'lsd', 'pex'] as const) {
    assert.throws(() => it.discovery.attach(source, listOf()), { code: 'ERR_DISCOVERY_PRIVATE' })
    assert.throws(() => it.discovery.add(source, []), { code: 'ERR_DISCOVERY_PRIVATE' })
    assert.equal(it.discovery.allows(source), false)
  }
  for (const source of ['tracker', 'manual', 'incoming', 'resume'] as const) it.discovery.add(source, [])
  it.discovery.close()
})

test('a torrent that turns out private drops forbidden sources and their addresses', async () => {
  const it = bench()
  const dht = new AsyncQueue<PeerAddress>(10)
  const tracker = new AsyncQueue<PeerAddress>(10)
  it.discovery.attach('dht', dht)
  it.discovery.attach('tracker', tracker)
  dht.push(parseAddress('8.0.0.1:1'))
  tracker.push(parseAddress('8.0.0.2:1'))
  await once(it.events, 'peers')
  it.discovery.makePrivate()
  assert.equal(it.discovery.private, true)
  assert.equal(it.discovery.size, 1)
  assert.deepEqual(await dht.next(), { value: undefined, done: true }, 'the source was ended')
  assert.deepEqual([it.book.counts().dht, it.book.counts().tracker], [0, 1])
  it.discovery.close()
})

test('close ends all sources, and nothing comes from them afterwards', async () => {
  const it = bench()
  let ended = 0
  const queue = new AsyncQueue<PeerAddress>(10, { close: () => ended++ })
  it.discovery.attach('tracker', queue)
  let fail: (error: Error) => void = () => {}
  it.discovery.attach('dht', {
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise((_, reject) => (fail = reject)),
      return: () => {
        throw new Error('cannot end')
      }
    })
  })
  it.discovery.add('manual', [parseAddress('8.0.0.1:1')])
  it.discovery.close()
  it.discovery.close()
  fail(new Error('too late'))
  it.discovery.add('manual', [parseAddress('8.0.0.2:1')])
  it.discovery.attach('tracker', new AsyncQueue<PeerAddress>(10, { close: () => ended++ }))
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(ended, 2)
  assert.deepEqual([it.told, it.warnings.length, it.book.size, it.discovery.size], [0, 0, 1, 0])
})

test('one source can be ended alone', async () => {
  const it = bench()
  let ended = 0
  const detach = it.discovery.attach('tracker', new AsyncQueue<PeerAddress>(10, { close: () => ended++ }))
  detach()
  detach()
  assert.equal(ended, 1)
  assert.equal(it.discovery.size, 0)
})

test('a source that never waits does not block the program', async () => {
  const it = bench()
  it.discovery.attach(
    'tracker',
    (async function* () {
      for (let n = 0; ; n++) yield { host: `8.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`, port: 1 }
    })()
  )
  await until('addresses', () => it.book.size)
  it.discovery.close()
  assert.ok(it.book.size <= 1000)
  assert.equal(it.discovery.size, 0)
})

test('garbage from a source is a warning', async () => {
  const it = bench()
  const queue = new AsyncQueue<PeerAddress>(10)
  it.discovery.attach('tracker', queue)
  queue.push(JSON.parse('{"host":5,"port":1}'))
  await once(it.events, 'warning')
  assert.equal(it.discovery.size, 0)
})
