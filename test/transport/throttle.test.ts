import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Throttle } from '../../lib/transport/throttle.ts'
import { throttled } from '../../lib/transport/throttled.ts'
import type { Connection, ConnectionHandler } from '../../lib/transport/transport.ts'

/** One end of a connection in memory: `feed` is what the network brings, `out` what was written. */
class MemoryConnection implements Connection {
  readonly remote = { host: '127.0.0.1', port: 1 }
  readonly incoming = false
  readonly bytesQueued = 0
  receiveLength: number = Number.POSITIVE_INFINITY
  reading = false
  full = false
  closed = false
  out: Uint8Array[] = []
  outLength = 0
  /** Bytes that wait to be read. */
  available = 0
  handler: ConnectionHandler | undefined

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
    setImmediate(() => this.#read())
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
    setImmediate(() => this.handler?.onClose(error))
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
      // Borrowed memory is used again.
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

function near(value: number, expected: number, tolerance: number, what: string): void {
  assert.ok(
    Math.abs(value - expected) <= expected * tolerance,
    `${what}: ${value}, expected about ${expected}`
  )
}

test('no limit passes everything through at once', () => {
  const inner = new MemoryConnection()
  const counter = new Counter()
  assert.equal(throttled(inner, {}), inner)
  const connection = throttled(inner, { download: new Throttle(), upload: new Throttle() })
  assert.deepEqual(connection.remote, inner.remote)
  assert.equal(connection.incoming, false)
  connection.start(counter)
  inner.feed(1_000_000)
  assert.equal(counter.received, 1_000_000)
  assert.equal(connection.write([new Uint8Array(1_000_000)]), true)
  assert.equal(inner.outLength, 1_000_000)
  connection.close()
})

test('a shared limit is kept, evenly among connections, both ways', async () => {
  const download = new Throttle(200_000)
  const upload = new Throttle(100_000)
  const inners = Array.from({ length: 4 }, () => new MemoryConnection())
  const counters = inners.map(() => new Counter())
  const block = new Uint8Array(16_384)
  const connections = inners.map((inner) => throttled(inner, { download, upload }))
  const started = performance.now()
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
  await delay(1500)
  const seconds = (performance.now() - started) / 1000
  const received = counters.map((counter) => counter.received)
  const sent = inners.map((inner) => inner.outLength)
  const total = (list: number[]): number => list.reduce((sum, value) => sum + value, 0)
  // A machine that is busy may fall behind, but never gets ahead.
  near(total(received), 180_000 * seconds, 0.2, 'received')
  near(total(sent), 90_000 * seconds, 0.2, 'sent')
  for (const value of received) near(value, total(received) / 4, 0.25, 'a share of the download')
  for (const value of sent) near(value, total(sent) / 4, 0.25, 'a share of the upload')
  for (const connection of connections) connection.close()
})

test('a low limit moves in small steps', async () => {
  const inner = new MemoryConnection()
  const counter = new Counter()
  const connection = throttled(inner, { download: new Throttle(20_000) })
  connection.start(counter)
  inner.feed(1_000_000)
  await delay(400)
  assert.ok(counter.largest <= 1024, `${counter.largest}`)
  assert.ok(counter.chunks >= 3, `${counter.chunks}`)
  connection.close()
})

test('0 stops, and a new limit takes effect at once', async () => {
  const download = new Throttle(0)
  const upload = new Throttle(0)
  const inner = new MemoryConnection()
  const counter = new Counter()
  const connection = throttled(inner, { download, upload })
  connection.start(counter)
  inner.feed(300_000)
  assert.equal(connection.write([new Uint8Array(17)]), true, 'control messages pass')
  assert.equal(connection.write([new Uint8Array(40_000)]), false)
  assert.equal(connection.write([new Uint8Array(17)]), false, 'but never overtake')
  await delay(20)
  assert.equal(counter.received, 0)
  assert.equal(inner.outLength, 17)
  assert.equal(connection.bytesQueued, 40_017)
  download.rate = Number.POSITIVE_INFINITY
  upload.rate = Number.POSITIVE_INFINITY
  assert.equal(inner.outLength, 40_034)
  assert.equal(counter.drains, 1)
  while (counter.received < 300_000) await new Promise(setImmediate)
  assert.throws(() => {
    download.rate = -1
  }, /rate is -1/)
  assert.throws(() => new Throttle(Number.NaN), RangeError)
  connection.close()
})

test('a handler that pauses gets nothing until it resumes', async () => {
  for (const rate of [50_000_000, Number.POSITIVE_INFINITY]) {
    const inner = new MemoryConnection()
    const counter = new Counter()
    counter.answer = false
    const connection = throttled(inner, { download: new Throttle(rate) })
    connection.start(counter)
    inner.feed(500_000)
    while (counter.chunks < 1) await delay(1)
    await delay(5)
    assert.equal(counter.chunks, 1)
    connection.resume()
    while (counter.chunks < 2) await delay(1)
    counter.answer = true
    connection.pause()
    connection.resume()
    while (counter.received < 500_000) await delay(1)
    connection.close()
  }
})

test('a full connection holds the upload back until it drains', async () => {
  const inner = new MemoryConnection()
  const counter = new Counter()
  const connection = throttled(inner, { upload: new Throttle(10_000_000) })
  connection.start(counter)
  inner.full = true
  assert.equal(connection.write([new Uint8Array(100_000), new Uint8Array(100_000).fill(1)]), false)
  while (inner.outLength === 0) await delay(1)
  const before = inner.outLength
  await delay(20)
  assert.equal(inner.outLength, before)
  assert.equal(connection.write([new Uint8Array(1).fill(2)]), false)
  inner.full = false
  inner.handler?.onDrain()
  while (counter.drains === 0) await delay(1)
  const out = Buffer.concat(inner.out)
  assert.equal(out.length, 200_001)
  assert.ok(out.equals(Buffer.concat([Buffer.alloc(100_000), Buffer.alloc(100_000, 1), Buffer.alloc(1, 2)])))
  connection.close()
})

test('a closed connection says so once and nothing else', async () => {
  const download = new Throttle(1000)
  const inner = new MemoryConnection()
  const counter = new Counter()
  const connection = throttled(inner, { download, upload: new Throttle(1000) })
  connection.start(counter)
  inner.feed(100_000)
  connection.write([new Uint8Array(50_000)])
  connection.close()
  connection.close()
  connection.resume()
  assert.equal(connection.write([new Uint8Array(5000)]), true)
  const { received } = counter
  download.rate = Number.POSITIVE_INFINITY
  await delay(10)
  assert.equal(counter.closes, 1)
  assert.equal(counter.received, received)
  assert.equal(counter.drains, 0)
})
