import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Connection, ConnectionHandler } from '../../lib/net/connection.ts'
import { Throttle } from '../../lib/transport/throttle.ts'
import { ThrottledConnection } from '../../lib/transport/throttled.ts'
import type { Timers } from '../../lib/util/timers.ts'
import { EventLoop } from '../sim/event-loop.ts'
import { until } from '../support/until.ts'

/** One end of a connection in memory: `feed` delivers from the network, `out` holds written bytes. */
class MemoryConnection implements Connection {
  readonly transport = 'tcp'
  readonly encryption = 'none'
  readonly remote = { host: '127.0.0.1', port: 1 }
  readonly incoming = false
  readonly bytesQueued = 0
  receiveLength: number = Number.POSITIVE_INFINITY
  reading = false
  full = false
  closed = false
  out: Uint8Array[] = []
  outLength = 0
  /** Unread bytes. */
  available = 0
  handler: ConnectionHandler | undefined
  readonly #later: (callback: () => void) => void

  /** Calls back in a later turn of `loop`; of Node's event loop by default. */
  constructor(loop?: EventLoop) {
    this.#later = loop === undefined ? setImmediate : (callback) => loop.after(0, callback)
  }

  start(handler: ConnectionHandler): void {
    this.handler = handler
    this.reading = true
    this.#read()
  }

  pause(): void {
    this.reading = false
  }

  resume(): void {
    this.reading = true
    this.#later(() => this.#read())
  }

  write(buffers: readonly Uint8Array[]): boolean {
    for (const buffer of buffers) {
      this.out.push(buffer.slice())
      this.outLength += buffer.length
    }
    return !this.full
  }

  close(error?: Error): void {
    if (this.closed) return
    this.closed = true
    this.#later(() => this.handler?.onClose(error))
  }

  feed(length: number): void {
    this.available += length
    this.#read()
  }

  #read(): void {
    while (this.reading && !this.closed && this.available > 0) {
      const chunk = new Uint8Array(Math.min(this.available, this.receiveLength, 65536))
      this.available -= chunk.length
      if (this.handler?.onReceive(chunk) === false) this.reading = false
      // Borrowed memory is reused.
      chunk.fill(0xee)
    }
  }
}

class Counter implements ConnectionHandler {
  received = 0
  chunks = 0
  largest = 0
  drains = 0
  closes = 0
  answer = true

  onReceive(chunk: Uint8Array): boolean {
    assert.ok(
      chunk.every((byte) => byte === 0),
      'borrowed memory was kept'
    )
    this.received += chunk.length
    this.chunks++
    this.largest = Math.max(this.largest, chunk.length)
    return this.answer
  }

  onDrain(): void {
    this.drains++
  }

  onClose(): void {
    this.closes++
  }
}

/** Timers of virtual time. */
function virtualTimers(loop: EventLoop): Timers {
  return {
    now: () => loop.now,
    after: (delayMs, callback) => {
      let on = true
      loop.after(delayMs, () => on && callback())
      return () => {
        on = false
      }
    }
  }
}

function near(value: number, expected: number, tolerance: number, what: string): void {
  assert.ok(
    Math.abs(value - expected) <= expected * tolerance,
    `${what}: ${value}, expected about ${expected}`
  )
}

test('no limit passes everything at once', () => {
  const inner = new MemoryConnection()
  const counter = new Counter()
  const connection = new ThrottledConnection(inner, { download: new Throttle(), upload: new Throttle() })
  assert.deepEqual(connection.remote, inner.remote)
  assert.equal(connection.incoming, false)
  connection.start(counter)
  inner.feed(1_000_000)
  assert.equal(counter.received, 1_000_000)
  assert.equal(connection.write([new Uint8Array(1_000_000)]), true)
  assert.equal(inner.outLength, 1_000_000)
  connection.close()
})

test('a shared limit holds, evenly among connections, both ways', () => {
  const loop = new EventLoop()
  const timers = virtualTimers(loop)
  const download = new Throttle(200_000, { timers })
  const upload = new Throttle(100_000, { timers })
  const inners = Array.from({ length: 4 }, () => new MemoryConnection(loop))
  const counters = inners.map(() => new Counter())
  const block = new Uint8Array(16_384)
  const connections = inners.map((inner) => new ThrottledConnection(inner, { download, upload }))
  connections.forEach((connection, n) => {
    const counter = counters[n]
    const inner = inners[n]
    assert.ok(counter && inner)
    counter.onDrain = () => {
      counter.drains++
      while (connection.write([new Uint8Array(13), block]));
    }
    connection.start(counter)
    inner.feed(10_000_000)
    counter.onDrain()
  })
  loop.advance(1500)
  const received = counters.map((counter) => counter.received)
  const sent = inners.map((inner) => inner.outLength)
  const total = (list: number[]): number => list.reduce((sum, value) => sum + value, 0)
  near(total(received), 300_000, 0.02, 'received')
  near(total(sent), 150_000, 0.02, 'sent')
  for (const value of received) near(value, total(received) / 4, 0.05, 'a share of the download')
  for (const value of sent) near(value, total(sent) / 4, 0.05, 'a share of the upload')
  for (const connection of connections) connection.close()
})

test('a low limit moves in small steps', () => {
  const loop = new EventLoop()
  const inner = new MemoryConnection(loop)
  const counter = new Counter()
  const download = new Throttle(20_000, { timers: virtualTimers(loop) })
  const connection = new ThrottledConnection(inner, { download })
  connection.start(counter)
  inner.feed(1_000_000)
  loop.advance(400)
  assert.ok(counter.largest <= 1024, `${counter.largest}`)
  near(counter.received, 8000, 0.1, 'received')
  connection.close()
})

test('a limit of 0 releases waiting bytes, and a new one takes effect at once', async () => {
  const client = { download: new Throttle(1000), upload: new Throttle(1000) }
  const torrent = {
    download: new Throttle(Number.POSITIVE_INFINITY, { parent: client.download }),
    upload: new Throttle(Number.POSITIVE_INFINITY, { parent: client.upload })
  }
  for (const stopped of [client, torrent]) {
    const inner = new MemoryConnection()
    const counter = new Counter()
    const connection = new ThrottledConnection(inner, torrent)
    connection.start(counter)
    inner.feed(300_000)
    assert.equal(connection.write([new Uint8Array(17)]), true, 'control messages pass')
    assert.equal(connection.write([new Uint8Array(40_000)]), false)
    assert.equal(connection.write([new Uint8Array(17)]), false, 'but never overtake')
    assert.ok(counter.received < 5000 && inner.outLength < 5000)
    assert.equal(connection.bytesQueued, 40_034 - inner.outLength)
    stopped.download.rate = 0
    stopped.upload.rate = 0
    assert.ok(torrent.download.stopped && torrent.download.passes)
    assert.equal(inner.outLength, 40_034)
    assert.equal(counter.drains, 1)
    await until('300,000 bytes', () => counter.received, { is: (value) => value >= 300_000 })
    stopped.download.rate = 1000
    assert.ok(!torrent.download.stopped && !torrent.download.passes)
    inner.feed(100_000)
    assert.ok(counter.received < 310_000)
    stopped.download.rate = Number.POSITIVE_INFINITY
    stopped.upload.rate = Number.POSITIVE_INFINITY
    client.download.rate = Number.POSITIVE_INFINITY
    await until('400,000 bytes', () => counter.received, { is: (value) => value >= 400_000 })
    assert.equal(inner.receiveLength, Number.POSITIVE_INFINITY, 'reads are as long as ever')
    client.download.rate = 1000
    client.upload.rate = 1000
    connection.close()
  }
  assert.throws(() => {
    client.download.rate = -1
  }, /rate is -1/)
  assert.throws(() => new Throttle(Number.NaN), RangeError)
})

/** Always has more to move, some of it a while after its slice. */
class Greedy {
  moved = 0
  readonly #throttle: Throttle
  readonly #loop: EventLoop
  readonly #most: number

  constructor(throttle: Throttle, loop: EventLoop, most = Number.POSITIVE_INFINITY) {
    this.#throttle = throttle
    this.#loop = loop
    this.#most = most
    throttle.wait(this)
  }

  moveSlice(length: number): number {
    const bytes = Math.min(length, this.#most)
    this.moved += bytes
    this.#loop.after(0.2, () => this.#throttle.wait(this))
    return bytes
  }
}

test('over ten seconds each limit is exact, and shared evenly by torrents and then by their peers', () => {
  for (const rate of [20_000, 100_000, 1_000_000, 20_000_000]) {
    for (const torrents of [1, 4]) {
      for (const peers of [1, 8]) {
        const what = `${rate} bytes per second, ${torrents} torrents, ${peers} peers`
        const loop = new EventLoop()
        const client = new Throttle(rate, { timers: virtualTimers(loop) })
        const groups = Array.from({ length: torrents }, (_, n) => {
          const torrent = new Throttle(Number.POSITIVE_INFINITY, { parent: client })
          // Torrents have different numbers of peers.
          return Array.from({ length: peers + n }, () => new Greedy(torrent, loop))
        })
        loop.advance(10_000)
        const sums = groups.map((group) => group.reduce((sum, { moved }) => sum + moved, 0))
        const total = sums.reduce((sum, moved) => sum + moved, 0)
        near(total, rate * 10, 0.01, what)
        for (const sum of sums) near(sum, total / torrents, 0.03, `${what}: a torrent's share`)
        for (const [n, group] of groups.entries()) {
          const share = (sums[n] ?? 0) / group.length
          for (const { moved } of group) {
            assert.ok(Math.abs(moved - share) <= client.sliceLength * 1.5, `${what}: a peer's share`)
          }
        }
      }
    }
  }
})

test("a torrent's own limit holds inside the global one, and its rest goes to the others", () => {
  const loop = new EventLoop()
  const client = new Throttle(1_000_000, { timers: virtualTimers(loop) })
  const slow = new Throttle(100_000, { parent: client })
  const free = new Throttle(Number.POSITIVE_INFINITY, { parent: client })
  const slowPeers = Array.from({ length: 3 }, () => new Greedy(slow, loop))
  const freePeers = Array.from({ length: 2 }, () => new Greedy(free, loop))
  // A torrent with little to move leaves its share to the other.
  const idle = new Greedy(free, loop, 100)
  const sum = (list: readonly Greedy[]): number => list.reduce((total, { moved }) => total + moved, 0)
  loop.advance(10_000)
  near(sum(slowPeers), 1_000_000, 0.01, 'the limited torrent')
  near(sum([...freePeers, idle]), 9_000_000, 0.01, 'the other')
  assert.ok(idle.moved > 0)
  // Changes at run time count at once.
  const before = [sum(slowPeers), sum(freePeers)]
  slow.rate = Number.POSITIVE_INFINITY
  client.rate = 2_000_000
  loop.advance(10_000)
  near(sum(slowPeers) - (before[0] ?? 0), 10_000_000, 0.02, 'half of a higher limit')
  slow.rate = 0
  assert.ok(slow.passes && slow.stopped)
})

test('a connection moves to other limits with everything that it holds', () => {
  const loop = new EventLoop()
  const timers = virtualTimers(loop)
  const inner = new MemoryConnection()
  const counter = new Counter()
  const before = { download: new Throttle(1000, { timers }), upload: new Throttle(1000, { timers }) }
  const after = { download: new Throttle(10_000, { timers }), upload: new Throttle(10_000, { timers }) }
  const connection = new ThrottledConnection(inner, before)
  connection.start(counter)
  inner.feed(5000)
  connection.write([new Uint8Array(5000)])
  connection.moveTo(after)
  loop.advance(100)
  assert.ok(counter.received >= 1000 && inner.outLength >= 1000, `${counter.received} ${inner.outLength}`)
  connection.moveTo({})
  assert.equal(inner.outLength, 5000)
  connection.close()
})

test('a paused handler gets nothing until it resumes', () => {
  for (const rate of [50_000_000, Number.POSITIVE_INFINITY]) {
    const loop = new EventLoop()
    const inner = new MemoryConnection(loop)
    const counter = new Counter()
    counter.answer = false
    const download = new Throttle(rate, { timers: virtualTimers(loop) })
    const connection = new ThrottledConnection(inner, { download })
    connection.start(counter)
    inner.feed(500_000)
    loop.advance(100)
    assert.equal(counter.chunks, 1)
    connection.resume()
    loop.advance(100)
    assert.equal(counter.chunks, 2)
    counter.answer = true
    connection.pause()
    connection.resume()
    loop.advance(100)
    assert.equal(counter.received, 500_000)
    connection.close()
  }
})

test('a full connection holds back the upload until it drains', () => {
  const loop = new EventLoop()
  const inner = new MemoryConnection(loop)
  const counter = new Counter()
  const upload = new Throttle(10_000_000, { timers: virtualTimers(loop) })
  const connection = new ThrottledConnection(inner, { upload })
  connection.start(counter)
  inner.full = true
  assert.equal(connection.write([new Uint8Array(100_000), new Uint8Array(100_000).fill(1)]), false)
  loop.advance(1)
  const before = inner.outLength
  assert.ok(before > 0)
  loop.advance(100)
  assert.equal(inner.outLength, before)
  assert.equal(connection.write([new Uint8Array(1).fill(2)]), false)
  inner.full = false
  inner.handler?.onDrain()
  loop.advance(100)
  assert.equal(counter.drains, 1)
  const out = Buffer.concat(inner.out)
  assert.equal(out.length, 200_001)
  assert.ok(out.equals(Buffer.concat([Buffer.alloc(100_000), Buffer.alloc(100_000, 1), Buffer.alloc(1, 2)])))
  connection.close()
})

test('a closed connection is reported once and nothing else', () => {
  const loop = new EventLoop()
  const timers = virtualTimers(loop)
  const download = new Throttle(1000, { timers })
  const inner = new MemoryConnection(loop)
  const counter = new Counter()
  const connection = new ThrottledConnection(inner, { download, upload: new Throttle(1000, { timers }) })
  connection.start(counter)
  inner.feed(100_000)
  connection.write([new Uint8Array(50_000)])
  connection.close()
  connection.close()
  connection.resume()
  assert.equal(connection.write([new Uint8Array(5000)]), true)
  const { received } = counter
  download.rate = Number.POSITIVE_INFINITY
  loop.advance(1000)
  assert.equal(counter.closes, 1)
  assert.equal(counter.received, received)
  assert.equal(counter.drains, 0)
})
