import assert from 'node:assert/strict'
import { type EventEmitter, once } from 'node:events'
import type { Socket } from 'node:net'
import path from 'node:path'
import { test } from 'node:test'
import { Client } from '../../lib/index.ts'
import { createServer } from '../../lib/server.ts'
import { whenClosed } from '../support/closed.ts'
import { collectUncaught } from '../support/uncaught.ts'
import { until } from '../support/until.ts'
import { ask, bytesOf, clientOf, connect, folderOf, lonely, portOf, seed, serve } from './support.ts'

const film = bytesOf(9_000_000)

test('pipelined requests are answered in order on one connection', async (t) => {
  const { client, torrent } = await seed(t, { 'a.bin': film })
  const { port } = await serve(t, client)
  const socket = await connect(t, port)
  const head = (start: number, end: number, more = ''): string =>
    `GET /${torrent.infoHash}/set/a.bin HTTP/1.1\r\nHost: localhost\r\nRange: bytes=${start}-${end - 1}\r\n${more}\r\n`
  socket.write(head(0, 4_000_000) + head(10, 11) + head(5_000_000, 9_000_000, 'Connection: close\r\n'))
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk)
  let rest = Buffer.concat(chunks)
  for (const [start, end] of [
    [0, 4_000_000],
    [10, 11],
    [5_000_000, 9_000_000]
  ] as const) {
    const at = rest.indexOf('\r\n\r\n') + 4
    assert.match(
      rest.subarray(0, at).toString(),
      new RegExp(`^HTTP/1.1 206[^]*content-range: bytes ${start}-${end - 1}/9000000`, 'i')
    )
    assert.ok(rest.subarray(at, at + end - start).equals(film.subarray(start, end)))
    rest = rest.subarray(at + end - start)
  }
  assert.equal(rest.length, 0)
  assert.deepEqual(torrent.streams, [])
})

test('a pipelined request opens no stream before its turn, and too many end the connection', async (t) => {
  const { client, torrent } = await lonely(t, { 'a.bin': film })
  const { port } = await serve(t, client)
  const request = `GET /${torrent.infoHash}/set/a.bin HTTP/1.1\r\nHost: localhost\r\n\r\n`
  const socket = await connect(t, port)
  socket.write(request.repeat(20))
  await once(socket, 'data')
  await until('a stream', () => torrent.streams.length)
  assert.equal(torrent.streams.length, 1)
  socket.write(request.repeat(200))
  await whenClosed(socket)
  await until('the stream to close', () => torrent.streams.length, { is: 0 })
})

test('a pipelined request with a body, or beyond the queue limit of all connections, ends its connection', async (t) => {
  const { client, torrent } = await lonely(t, { 'a.bin': film })
  const { port } = await serve(t, client, {}, { waiting: 3 })
  const request = `GET /${torrent.infoHash}/set/a.bin HTTP/1.1\r\nHost: localhost\r\n\r\n`
  const body = 'POST /api/torrents HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello'
  const begin = async (more: string): Promise<Socket> => {
    const socket = await connect(t, port)
    socket.resume().write(request)
    await once(socket, 'data')
    socket.write(more)
    return socket
  }
  await once(await begin(body), 'close')
  const first = await begin(request.repeat(2))
  await once(await begin(request.repeat(2)), 'close')
  first.destroy()
  await until('the stream to close', () => torrent.streams.length, { is: 0 })
  const last = await begin(request.repeat(3))
  assert.equal((await ask(port, '/api/torrents')).status, 200)
  assert.ok(!last.closed)
})

test('a client that disconnects releases its stream at once', async (t) => {
  const { client, torrent } = await lonely(t, { 'a.bin': film })
  const { port } = await serve(t, client)
  for (const range of ['bytes=0-', 'bytes=0-9,5000-5009']) {
    for (const leave of ['destroy', 'resetAndDestroy', 'end'] as const) {
      const socket = await connect(t, port)
      socket.write(
        `GET /${torrent.infoHash}/set/a.bin HTTP/1.1\r\nHost: localhost\r\nRange: ${range}\r\n\r\n`
      )
      await once(socket, 'data')
      await until('a stream', () => torrent.streams.length, { is: 1 })
      socket[leave]()
      await until('the stream to close', () => torrent.streams.length, { is: 0 })
    }
  }
})

test('a client that does not read pauses the stream, and disconnecting frees it', async (t) => {
  const { client, torrent } = await seed(t, { 'a.bin': film })
  const { port } = await serve(t, client)
  const socket = await connect(t, port)
  socket.pause()
  socket.write(`GET /${torrent.infoHash}/set/a.bin HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  await until('a stream', () => torrent.streams.length, { is: 1 })
  const [stream] = torrent.streams
  let before = -1
  while (before !== stream?.position) {
    before = stream?.position ?? 0
    for (let n = 0; n < 20; n++) await ask(port, '/')
  }
  assert.ok(before < film.length, `${before} bytes were read without a reader`)
  socket.resetAndDestroy()
  await until('the stream to close', () => torrent.streams.length, { is: 0 })
})

test('a client sees a file broken off when the torrent is closed', async (t) => {
  const { client: seeder, torrent: source } = await seed(t, { 'a.bin': film })
  const client = clientOf(t)
  const torrent = await client.add(source.torrentFile ?? '', {
    select: 'none',
    peers: [`127.0.0.1:${seeder.port}`]
  })
  for await (const _ of torrent.files[0]?.createReadStream({ end: 9 }) ?? []);
  await seeder.close()
  const { port } = await serve(t, client)
  const socket = await connect(t, port)
  socket.write(`GET /${torrent.infoHash}/set/a.bin HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  let received = 0
  socket.on('data', (chunk) => {
    received += chunk.length
  })
  await until('the first block', () => received, { is: (value) => value >= 16384 })
  const closed = whenClosed(socket)
  await client.remove(torrent)
  await closed
  assert.ok(received < film.length)
  assert.equal((await ask(port, `/${torrent.infoHash}/set/a.bin`)).status, 404)
})

test('a file plays from any position while it comes from a peer', async (t) => {
  const { client: seeder, torrent: source } = await seed(t, { 'a.bin': film })
  const client = new Client({ host: '127.0.0.1', dht: false, lsd: false })
  t.after(() => client.close())
  const torrent = await client.add(source.torrentFile ?? '', {
    path: path.join(folderOf(t), 'out'),
    peers: [`127.0.0.1:${seeder.port}`]
  })
  const { port } = await serve(t, torrent)
  const [end, middle, whole] = await Promise.all([
    ask(port, '/0', { headers: { range: 'bytes=-100000' } }),
    ask(port, '/0', { headers: { range: 'bytes=4000000-4500000,7000000-7000099' } }),
    ask(port, '/0')
  ])
  assert.ok(end.body.equals(film.subarray(-100_000)))
  assert.ok(middle.body.includes(film.subarray(4_000_000, 4_500_001)))
  assert.ok(middle.body.includes(film.subarray(7_000_000, 7_000_100)))
  assert.ok(whole.body.equals(film))
  await torrent.whenDone()
})

test('close ends streams, events and idle connections', async (t) => {
  const { client, torrent } = await lonely(t, { 'a.bin': film })
  const { server, port } = await serve(t, client)
  const sockets = await Promise.all([connect(t, port), connect(t, port), connect(t, port)])
  sockets[0]?.write(`GET /${torrent.infoHash}/set/a.bin HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  sockets[1]?.write('GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await Promise.all(sockets.slice(0, 2).map((socket) => once(socket, 'data')))
  await until('a stream', () => torrent.streams.length, { is: 1 })
  const closed = sockets.map((socket) => whenClosed(socket))
  server.close()
  await Promise.all([once(server, 'close'), ...closed])
  await until('the stream to close', () => torrent.streams.length, { is: 0 })
  assert.notEqual(torrent.status, 'closed')
})

test('garbage is answered with 400 and a closed connection', async (t) => {
  const { port } = await serve(t, clientOf(t))
  for (const garbage of [
    '\0\x01\x02\r\n\r\n',
    'GET / HTTP/1.1\r\n\r\n',
    'GET x HTTP/1.1\r\nHost: localhost\r\n\r\n',
    `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(30_000)}\r\n\r\n`
  ]) {
    const socket = await connect(t, port)
    socket.end(garbage)
    let text = ''
    for await (const chunk of socket) text += chunk
    assert.match(text, /^HTTP\/1.1 4(?:00|31) /)
  }
})

test('a server binds loopback by default', async (t) => {
  const client = clientOf(t)
  const host = async (listen: (server: ReturnType<typeof createServer>) => unknown): Promise<unknown> => {
    const server = createServer(client)
    listen(server)
    await once(server, 'listening')
    const address = server.address()
    server.close()
    return typeof address === 'object' ? address?.address : address
  }
  let called = 0
  const callback = (): number => called++
  assert.equal(await host((server) => server.listen()), '127.0.0.1')
  assert.equal(await host((server) => server.listen(0)), '127.0.0.1')
  assert.equal(await host((server) => server.listen(0, callback)), '127.0.0.1')
  assert.equal(await host((server) => server.listen(callback)), '127.0.0.1')
  assert.equal(await host((server) => server.listen(0, undefined, 5, callback)), '127.0.0.1')
  assert.equal(await host((server) => server.listen(0, 5, callback)), '127.0.0.1')
  assert.equal(await host((server) => server.listen({ port: 0 }, callback)), '127.0.0.1')
  assert.equal(await host((server) => server.listen({ port: 0, host: '' })), '127.0.0.1')
  assert.equal(await host((server) => server.listen(0, '127.0.0.2')), '127.0.0.2')
  assert.equal(await host((server) => server.listen({ port: 0, host: '0.0.0.0' })), '0.0.0.0')
  assert.equal(called, 5)
  if (process.platform !== 'win32') {
    const socketPath = path.join(folderOf(t), 'socket')
    assert.equal(await host((server) => server.listen(socketPath)), socketPath)
    assert.equal(await host((server) => server.listen({ path: socketPath })), socketPath)
  }
  assert.throws(() => createServer(client).listen(70_000), { code: 'ERR_SOCKET_BAD_PORT' })
  const server = createServer(client).listen(0)
  await once(server, 'listening')
  assert.ok(portOf(server) > 0)
  server.close()
})

test('a throwing listener of the server is uncaught, and requests are answered', async (t) => {
  const uncaught = collectUncaught(t)
  const { client, torrent } = await seed(t, { 'a.bin': film })
  const { server, port } = await serve(t, client)
  for (const event of ['request', 'connection']) {
    server.prependListener(event, () => {
      throw new Error(`faulty ${event}`)
    })
  }
  const { status, body } = await ask(port, `/${torrent.infoHash}/set/a.bin`)
  assert.equal(status, 200)
  assert.ok(body.equals(film))
  assert.deepEqual(uncaught.map(String), ['Error: faulty connection', 'Error: faulty request'])
})

test('a server that cannot listen reports it like node:http', async (t) => {
  const { client } = await seed(t, { 'a.bin': film })
  const { port } = await serve(t, client)
  const uncaught = collectUncaught(t)
  const server = createServer(client).listen(port)
  await until('the exception', () => uncaught.length)
  assert.match(String(uncaught), /EADDRINUSE/)
  server.close()
})

test('pages still add torrents after a program has removed all listeners of its client', async (t) => {
  const client = clientOf(t)
  const { port } = await serve(t, client)
  const emitter: EventEmitter = client
  emitter.on('newListener', () => queueMicrotask(() => client.removeAllListeners()))
  const added = ask(port, '/api/torrents', {
    method: 'POST',
    headers: { 'content-type': 'text/plain', 'x-piecewise': '1' },
    body: 'magnet:?xt=urn:btih:c9e15763f722f23e98a29decdfae341b98d53056'
  })
  assert.equal((await added).status, 201)
})
