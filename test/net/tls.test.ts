import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { TcpTransport } from '../../lib/net/tcp.ts'
import { deferred } from '../../lib/util/concurrency.ts'
import { certificate, privateKey } from '../tracker/certificate.ts'

const tls = { ca: certificate }

async function tlsServer(t: TestContext, onSocket: (socket: TLSSocket) => void): Promise<number> {
  const server = createTlsServer({ cert: certificate, key: privateKey }, (socket) => {
    socket.on('error', () => {})
    onSocket(socket)
  })
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return (server.address() as AddressInfo).port
}

function transportOf(t: TestContext): TcpTransport {
  const transport = new TcpTransport()
  t.after(() => transport.close())
  return transport
}

function pattern(length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, n) => (n * 31 + (n >> 8)) & 0xff))
}

test('over TLS bytes arrive complete both ways, with pauses on the way, and the end comes last', async (t) => {
  const sent = pattern(3_000_000)
  const echoed = deferred<Buffer>()
  const port = await tlsServer(t, (socket) => {
    const parts: Buffer[] = []
    socket.on('data', (part) => parts.push(part))
    socket.on('end', () => echoed.resolve(Buffer.concat(parts)))
    socket.write(sent)
    socket.end()
  })
  const connection = await transportOf(t).dial({ host: 'localhost', port }, { tls })
  const received: Buffer[] = []
  const closed = deferred<Error | undefined>()
  let isPaused = false
  connection.start({
    onReceive: (chunk) => {
      assert.equal(isPaused, false)
      received.push(Buffer.from(chunk))
      if (received.length % 3 !== 0) return true
      isPaused = true
      setImmediate(() => {
        isPaused = false
        connection.resume()
      })
      return false
    },
    onDrain: () => {},
    onClose: (error) => closed.resolve(error)
  })
  connection.write([sent.subarray(0, 13), sent.subarray(13, 1000)])
  assert.equal(await closed.promise, undefined)
  assert.ok(Buffer.concat(received).equals(sent))
})

test('over TLS bytes received before the start are delivered after it, even if the server has gone', async (t) => {
  const gone = deferred<void>()
  const port = await tlsServer(t, (socket) => {
    socket.end('early', () => gone.resolve())
  })
  const connection = await transportOf(t).dial({ host: '127.0.0.1', port }, { tls })
  await gone.promise
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
  const calls: string[] = []
  const closed = deferred<Error | undefined>()
  connection.start({
    onReceive: (chunk) => calls.push(Buffer.from(chunk).toString()) > 0,
    onDrain: () => {},
    onClose: (error) => closed.resolve(error)
  })
  assert.equal(await closed.promise, undefined)
  assert.deepEqual(calls, ['early'])
})

test('over TLS chunks are read into shared memory, within receiveLength', async (t) => {
  const port = await tlsServer(t, (socket) => void socket.write(pattern(200_000)))
  const connection = await transportOf(t).dial({ host: '127.0.0.1', port }, { tls })
  connection.receiveLength = 1000
  const buffers = new Set<ArrayBufferLike>()
  let total = 0
  let most = 0
  const whole = deferred<void>()
  connection.start({
    onReceive: (chunk) => {
      // The buffer of the first read was chosen before.
      if (total > 0) {
        most = Math.max(most, chunk.length)
        buffers.add(chunk.buffer)
      }
      total += chunk.length
      if (total === 200_000) whole.resolve()
      return true
    },
    onDrain: () => {},
    onClose: () => {}
  })
  await whole.promise
  assert.ok(most <= 1000, `${most}`)
  assert.equal(buffers.size, 1)
})

test('an untrusted certificate or one of another host fails the dial', async (t) => {
  const port = await tlsServer(t, () => {})
  const transport = transportOf(t)
  for (const options of [{}, { ca: certificate, serverName: 'other.example' }]) {
    await assert.rejects(transport.dial({ host: '127.0.0.1', port }, { tls: options }), {
      code: 'ERR_TRANSPORT_DIAL'
    })
  }
})

test('a server that never answers the TLS handshake is abandoned in time, by a signal and on close', async (t) => {
  const server = createServer((socket) => socket.on('error', () => {}))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const address = { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
  const transport = transportOf(t)
  await assert.rejects(transport.dial(address, { tls, timeoutMs: 20 }), { code: 'ERR_TRANSPORT_TIMEOUT' })
  const controller = new AbortController()
  const aborted = transport.dial(address, { tls, signal: controller.signal })
  controller.abort(new Error('enough'))
  await assert.rejects(aborted, /^Error: enough$/)
  const closed = transport.dial(address, { tls })
  await Promise.all([transport.close(), assert.rejects(closed, { code: 'ERR_TRANSPORT_DIAL' })])
})
