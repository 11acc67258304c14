import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { AddressBook } from '../../lib/discovery/address-book.ts'
import type { DialVariant } from '../../lib/discovery/dial-variant.ts'
import type { Connection } from '../../lib/net/connection.ts'
import type { PeerAddress } from '../../lib/util/address.ts'
import { Arrivals } from '../torrent/arrivals.ts'
import { FakeConnection, handshakeOf, settled, twenty } from './fake-connection.ts'

const first = 'tcp'
const second = 'utp'

let lastHost = 0

/**
 * Returns an address that no earlier test used: the cost of hosts is counted per process, by each test's own
 * clock.
 */
function freshAddress(): PeerAddress {
  return { host: `198.51.100.${++lastHost}`, port: 6881 }
}

/** A torrent that knows one address, which answers the variants in `answers` and closes the others. */
function dialsOf(t: TestContext, answers: readonly DialVariant['transport'][]) {
  const address = freshAddress()
  const bench = { now: 0, dialled: [] as string[], answers }
  t.mock.method(performance, 'now', () => bench.now)
  const book = new AddressBook({
    random: Math.random,
    dials: { encryption: false, transports: [first, second] }
  })
  const arrivals = new Arrivals(t, {
    book,
    dial: async (_address, variant): Promise<Connection> => {
      bench.dialled.push(variant.transport)
      const connection = new FakeConnection(false, address.host)
      setImmediate(() => {
        if (bench.answers.includes(variant.transport)) connection.feed(handshakeOf(twenty(1), twenty(2)))
        else connection.close()
      })
      return connection
    }
  })
  book.add(address, 'tracker', 0)
  const dial = async (): Promise<string[]> => {
    bench.dialled = []
    arrivals.manager.dial()
    while (arrivals.manager.dialer.halfOpen > 0) await settled()
    return bench.dialled
  }
  return { bench, book, arrivals, dial }
}

test('a failed variant is no failed address, and the one that worked comes first next time', async (t) => {
  const { bench, book, arrivals, dial } = dialsOf(t, [second])
  const failed = t.mock.method(book, 'failed')
  assert.deepEqual(await dial(), [first, second])
  assert.equal(arrivals.here.length, 1)
  assert.equal(failed.mock.callCount(), 0)
  arrivals.manager.disconnect(() => true)
  await settled()
  bench.now = 3_600_000
  assert.deepEqual(await dial(), [second])
  assert.equal(failed.mock.callCount(), 0)
  arrivals.manager.disconnect(() => true)
  await settled()
  bench.now *= 2
  bench.answers = [first]
  assert.deepEqual(await dial(), [second, first])
  assert.equal(failed.mock.callCount(), 0)
})

test('an address fails once after all its variants have failed, and all are dialled again', async (t) => {
  const { bench, book, arrivals, dial } = dialsOf(t, [])
  const failed = t.mock.method(book, 'failed')
  assert.deepEqual(await dial(), [first, second])
  assert.equal(failed.mock.callCount(), 1)
  assert.equal(book.wakeAt, 10_000)
  assert.deepEqual(await dial(), [], 'it waits')
  bench.now = 10_000
  assert.deepEqual(await dial(), [first, second])
  assert.equal(arrivals.gone.length, 0)
})

test('a variant counts against the dial rate, and the dial keeps its connection slot', async (t) => {
  const { arrivals } = dialsOf(t, [second])
  const { dialer } = arrivals.manager
  const retried = t.mock.method(dialer, 'retried')
  arrivals.manager.dial()
  assert.equal(dialer.halfOpen, 1)
  while (retried.mock.callCount() === 0) {
    assert.equal(dialer.halfOpen, 1)
    await settled()
  }
  assert.equal(retried.mock.callCount(), 1)
})

test('a client that dials itself closes the connection, and does not dial that address again', async (t) => {
  const address = freshAddress()
  // Its own id, which is all zeros for these torrents.
  const connections: FakeConnection[] = []
  const own = new Arrivals(t, {
    book: new AddressBook({ random: Math.random }),
    dial: async (): Promise<Connection> => {
      const connection = new FakeConnection(false, address.host)
      connections.push(connection)
      setImmediate(() => connection.feed(handshakeOf(twenty(1), twenty(0))))
      return connection
    }
  })
  own.book.add(address, 'tracker', 0)
  own.manager.dial()
  while (own.manager.dialer.halfOpen > 0) await settled()
  assert.equal(connections.length, 1)
  assert.ok(connections[0]?.closed)
  assert.equal(own.here.length, 0)
  assert.equal(own.book.size, 0)
  assert.equal(own.book.add(address, 'tracker', 3_600_000), false)
})
