import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import type { Connection } from '../../lib/net/connection.ts'
import { TcpTransport } from '../../lib/net/tcp.ts'
import { join } from '../../lib/swarm/wire-connection.ts'
import { handlingBudgetOf } from '../../lib/transport/handling-account.ts'
import { Throttle } from '../../lib/transport/throttle.ts'
import { ThrottledConnection } from '../../lib/transport/throttled.ts'
import { toDuplex } from '../../lib/transport/to-duplex.ts'
import { formatAddress } from '../../lib/util/address.ts'
import { deferred } from '../../lib/util/concurrency.ts'
import { Wire } from '../../lib/wire.ts'
import { until } from '../support/until.ts'

const infoHash = new Uint8Array(20).fill(1)
const pieceLength = 256 * 1024
const pieceCount = 64

async function connections(transport: TcpTransport): Promise<[Connection, Connection]> {
  const accepted = deferred<Connection>()
  const listener = await transport.listen({
    host: '127.0.0.1',
    port: 0,
    onConnection: (connection) => accepted.resolve(connection)
  })
  return [await transport.dial({ host: '127.0.0.1', port: listener.port }), await accepted.promise]
}

// Not `once` of node:events, which would reject if an error comes first.
function closing(stream: { on(event: 'close', listener: () => void): unknown }): Promise<void> {
  return new Promise((resolve) => stream.on('close', resolve))
}

function seeder(wire: Wire): void {
  const piece = new Uint8Array(pieceLength)
  const waiting: [number, number, number][] = []
  const answer = (): void => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, offset, length] = next
      if (!wire.piece(index, offset, piece.subarray(offset, offset + length).fill(index))) return
    }
  }
  wire.on('handshake', () => {
    wire.handshake(infoHash, new Uint8Array(20).fill(3))
    wire.haveAll()
    wire.unchoke()
  })
  wire.on('request', (...request) => {
    waiting.push(request)
    answer()
  })
  wire.on('sendable', answer)
}

function leecher(wire: Wire, pieces: number): Promise<number> {
  const done = deferred<number>()
  const memory = new Uint8Array(pieceLength)
  wire.blockTarget = (index, offset, length) =>
    index % 2 === 0 ? memory.subarray(offset, offset + length) : undefined
  let next = 0
  let received = 0
  const ask = (count: number): void => {
    const list: number[] = []
    for (; count > 0 && next < pieces * 16; count--, next++) list.push(next >> 4, (next & 15) << 14, 16384)
    wire.requests(list)
  }
  wire.on('unchoke', () => ask(40))
  wire.on('piece', (index, _offset, data, owned) => {
    assert.equal(owned, index % 2 === 0)
    received += data.length
    if (received === pieces * pieceLength) done.resolve(received)
    else ask(1)
  })
  wire.on('close', () => done.reject(new Error('closed early')))
  wire.handshake(infoHash, new Uint8Array(20).fill(2))
  return done.promise
}

test('two wires exchange a torrent over TCP, and close together', async () => {
  const transport = new TcpTransport()
  const [dialled, accepted] = await connections(transport)
  const down = new Wire({ pieceCount, pieceLength })
  const up = new Wire({ pieceCount, pieceLength })
  join(dialled, down)
  join(accepted, up)
  seeder(up)
  assert.equal(await leecher(down, pieceCount), pieceCount * pieceLength)
  assert.equal(up.blockBytesSent, pieceCount * pieceLength)
  assert.equal(down.blockBytesReceived, pieceCount * pieceLength)
  assert.equal(up.sent, down.received)
  const closed = once(up, 'close')
  down.destroy()
  await closed
  await transport.close()
})

test('a throttled pair exchanges the same, also through streams', async () => {
  const transport = new TcpTransport()
  const [dialled, accepted] = await connections(transport)
  const limits = { download: new Throttle(20_000_000), upload: new Throttle(30_000_000) }
  const down = new Wire({ pieceCount })
  const up = new Wire({ pieceCount })
  join(new ThrottledConnection(dialled, limits), down)
  const stream = toDuplex(new ThrottledConnection(accepted, limits))
  stream.on('error', () => {})
  stream.pipe(up).pipe(stream)
  seeder(up)
  await leecher(down, 8)
  const closed = [closing(up), closing(stream)]
  down.destroy()
  await Promise.all(closed)
  await transport.close()
})

test('a protocol error closes both ends and is reported by both', async () => {
  const transport = new TcpTransport()
  const [dialled, accepted] = await connections(transport)
  const wire = new Wire()
  join(accepted, wire)
  const failed = once(wire, 'error')
  const closed = deferred<void>()
  dialled.start({ onReceive: () => true, onDrain: () => {}, onClose: () => closed.resolve() })
  dialled.write([Buffer.from('GET / HTTP/1.1\r\n\r\n')])
  const [error] = await failed
  assert.equal((error as { code?: string }).code, 'ERR_WIRE_PROTOCOL')
  await closed.promise
  await transport.close()
})

test('a peer that never reads costs a bounded amount of memory', async () => {
  const transport = new TcpTransport()
  const [dialled, accepted] = await connections(transport)
  const wire = new Wire({ pieceCount, requestQueue: 500 })
  join(accepted, wire)
  const block = new Uint8Array(16384)
  let answered = 0
  wire.on('handshake', () => {
    wire.handshake(infoHash, infoHash)
    wire.unchoke()
  })
  wire.on('request', (piece, offset, length) => {
    wire.piece(piece, offset, block.subarray(0, length))
    answered++
  })
  // Bytes of another wire, which reads no answers.
  const source = new Wire({ pieceCount })
  const bytes: Uint8Array[] = []
  source.on('data', (data) => bytes.push(data as Uint8Array))
  source.handshake(infoHash, infoHash)
  for (let n = 0; n < 4000; n++) source.request(n & 63, (n >> 6) << 14, 16384)
  await new Promise(setImmediate)
  dialled.start({ onReceive: () => false, onDrain: () => {}, onClose: () => {} })
  dialled.pause()
  dialled.write(bytes)
  await until('100 answers', () => answered, { is: (value) => value >= 100 })
  for (let n = 0; n < 50; n++) await new Promise(setImmediate)
  assert.ok(wire.peerRequests <= 500, `${wire.peerRequests}`)
  assert.ok(accepted.bytesQueued < 1_000_000, `${accepted.bytesQueued}`)
  wire.destroy()
  source.destroy()
  await transport.close()
})

test('a duplex over a connection passes on errors and ends', async () => {
  const transport = new TcpTransport()
  const [dialled, accepted] = await connections(transport)
  const [left, right] = [toDuplex(dialled), toDuplex(accepted)]
  left.write('a')
  left.cork()
  left.write('b')
  left.write(Buffer.alloc(1_000_000))
  left.uncork()
  let length = 0
  for await (const chunk of right) {
    length += (chunk as Buffer).length
    if (length === 1_000_002) break
  }
  left.resume()
  await once(left, 'close')
  const failing = (await connections(transport)).map(toDuplex)
  const failed = once(failing[0] ?? left, 'error')
  failing[1]?.on('error', () => {})
  failing[0]?.destroy(new Error('broken'))
  assert.match(String((await failed)[0]), /broken/)
  await transport.close()
})

function quietConnection(host: string, port: number, calls: string[]): Connection {
  return {
    remote: { host, port },
    incoming: true,
    transport: 'tcp',
    encryption: 'none',
    bytesQueued: 0,
    start: () => void calls.push('start'),
    close: () => void calls.push('close'),
    pause: () => {},
    resume: () => {},
    write: () => true
  }
}

for (const incoming of [true, false]) {
  test(`a host that costs too much time is not read when ${incoming ? 'it dials again' : 'we dial it'}, and others are`, () => {
    const busy = `198.51.100.${Number(incoming)}`
    handlingBudgetOf(busy).add(busy, 5000)
    for (const host of [busy, '198.51.100.8']) {
      const calls: string[] = []
      const wire = new Wire()
      join({ ...quietConnection(host, 1, calls), incoming }, wire, { host })
      assert.deepEqual(calls, [host === busy ? 'close' : 'start'])
      assert.equal(wire.destroying, host === busy)
      wire.destroy()
    }
  })
}

for (const host of ['127.0.0.1', '::1']) {
  test(`connections from ${host} have separate budgets while open, and later ones inherit`, async () => {
    const wires = Array.from({ length: 3 }, () => new Wire())
    const joined = (wire: Wire, port: number): boolean => {
      const calls: string[] = []
      join(quietConnection(host, port, calls), wire, { host })
      return calls.includes('start')
    }
    const [busy = new Wire(), calm = new Wire(), next = new Wire()] = wires
    assert.ok(joined(busy, 1) && joined(calm, 2))
    handlingBudgetOf(host).add(formatAddress({ host, port: 1 }), 5000)
    assert.equal(busy.onHandled?.(1), Number.POSITIVE_INFINITY)
    assert.equal(calm.onHandled?.(1), 0)
    const closed = closing(busy)
    busy.destroy()
    await closed
    assert.equal(calm.onHandled?.(1), 0)
    assert.ok(!joined(next, 3))
    calm.destroy()
  })
}

test('a host that is slightly over its budget is read a little later', async () => {
  const host = '198.51.100.10'
  handlingBudgetOf(host).add(host, 200)
  const resumed = deferred<number>()
  const wire = new Wire()
  const joinedAt = performance.now()
  // 2 ms more make it wait for 100 ms.
  handlingBudgetOf(host).add(host, 2)
  join({ ...quietConnection(host, 1, []), resume: () => resumed.resolve(performance.now()) }, wire, { host })
  assert.ok((await resumed.promise) - joinedAt > 5)
  wire.destroy()
})

test('the cost of forgetting a peer counts as well', async () => {
  const wire = new Wire()
  join(quietConnection('198.51.100.9', 1, []), wire, { host: '198.51.100.9' })
  const { onHandled } = wire
  const told: number[] = []
  wire.onHandled = (ms) => {
    told.push(ms)
    return onHandled?.(ms) ?? 0
  }
  wire.on('close', () => {
    const until = performance.now() + 20
    while (performance.now() < until);
  })
  wire.destroy()
  await closing(wire)
  await new Promise(setImmediate)
  assert.ok(told.length === 1 && (told[0] ?? 0) >= 20, `${told}`)
})
