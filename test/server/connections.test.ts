import assert from 'node:assert/strict'
import { once } from 'node:events'
import test from 'node:test'
import { whenClosed } from '../support/closed.ts'
import { until } from '../support/until.ts'
import { ask, clientOf, connect, readAll, serve } from './support.ts'

const get = 'GET /api/torrents HTTP/1.1\r\nHost: localhost\r\n\r\n'
const watch = 'GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n'

test('a new connection evicts the one idle for longest', async (t) => {
  const { port } = await serve(t, clientOf(t), { maxConnections: 2 })
  const first = await connect(t, port)
  first.write(get)
  await once(first, 'data')
  const second = await connect(t, port)
  second.write(get)
  await once(second, 'data')
  const closed = whenClosed(first)
  first.resume()
  const third = await connect(t, port)
  third.write(get)
  assert.match(String((await once(third, 'data'))[0]), /^HTTP\/1\.1 200 /)
  await closed
  second.write(get)
  assert.match(String((await once(second, 'data'))[0]), /^HTTP\/1\.1 200 /)
})

test('silent connections are evicted as well', async (t) => {
  const { port } = await serve(t, clientOf(t), { maxConnections: 3 })
  const silent = await Promise.all(Array.from({ length: 30 }, () => connect(t, port)))
  for (const socket of silent) socket.resume()
  assert.equal((await ask(port, '/api/torrents')).status, 200)
  assert.ok(silent.filter(({ closed }) => !closed).length <= 3)
})

test('while all connections are busy, further ones get 503 or are closed', async (t) => {
  const { port, server } = await serve(t, clientOf(t), { maxConnections: 2 }, { refusals: 1 })
  const watchers = [await connect(t, port), await connect(t, port)]
  for (const socket of watchers) {
    socket.write(watch)
    await once(socket, 'data')
    socket.resume()
  }
  const [answered, dropped] = [await connect(t, port), await connect(t, port)]
  assert.equal(await readAll(dropped), '', 'there is one refusal at a time')
  assert.match(
    await readAll(answered),
    /^HTTP\/1\.1 503 .*\r\nretry-after: \d+\r\n.*\r\ntoo many connections are open\n$/s
  )
  watchers[0]?.destroy()
  const answer = (): Promise<number> =>
    ask(port, '/api/torrents').then(
      (reply) => reply.status,
      () => 503
    )
  await until('an answer', answer, { is: 200 })
  const last = once(server, 'close')
  const refused = await connect(t, port)
  refused.resume()
  server.close()
  await last
})

test('headers and bodies sent byte by byte end in time, and others are answered meanwhile', async (t) => {
  const client = clientOf(t)
  const forHeaders = await serve(t, client, {}, { headersMs: 200 })
  const forBodies = await serve(t, client, {}, { headersMs: 200, requestMs: 400 })
  const post =
    'POST /api/torrents HTTP/1.1\r\nHost: localhost\r\nX-Piecewise: 1\r\nContent-Length: 60000\r\n\r\n'
  for (const [port, start, byte] of [
    [forHeaders.port, '', ''],
    [forHeaders.port, 'GET / HTTP/1.1\r\nHost: localhost\r\nX: ', 'x'],
    [forBodies.port, post, 'd']
  ] as const) {
    const socket = await connect(t, port)
    socket.write(start)
    const timer = setInterval(() => socket.write(byte), 5)
    t.after(() => clearInterval(timer))
    const text = await readAll(socket)
    clearInterval(timer)
    assert.match(text, /^(?:HTTP\/1\.1 40[08] |$)/)
    assert.equal((await ask(port, '/api/torrents')).status, 200)
  }
})

test('unusual requests are answered or closed, and block nothing', async (t) => {
  const { port } = await serve(t, clientOf(t))
  const host = 'Host: localhost\r\n'
  const table: readonly (readonly [request: string, answer: RegExp])[] = [
    [
      `GET /api/torrents HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
      /^HTTP\/1\.1 200 /
    ],
    ['CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n', /^$/],
    [`TRACE / HTTP/1.1\r\n${host}\r\n`, /^HTTP\/1\.1 405 /],
    [`GET /${'a'.repeat(20_000)} HTTP/1.1\r\n${host}\r\n`, /^HTTP\/1\.1 431 /],
    [`GET /${'%2f'.repeat(5000)} HTTP/1.1\r\n${host}\r\n`, /^HTTP\/1\.1 404 /],
    [`GET /?${'a&'.repeat(8000)} HTTP/1.1\r\n${host}\r\n`, /^HTTP\/1\.1 (?:200|431) /],
    [`GET / HTTP/1.1\r\n${host}${'x: y\r\n'.repeat(4000)}\r\n`, /^HTTP\/1\.1 (?:200|431) /],
    [`GET / HTTP/1.1\r\n${host}Expect: a miracle\r\n\r\n`, /^HTTP\/1\.1 417 /],
    [
      `POST /api/torrents HTTP/1.1\r\n${host}X-Piecewise: 1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx`,
      /^HTTP\/1\.1 100 .*HTTP\/1\.1 400 /s
    ],
    [`GET / HTTP/1.1\r\n${host}Content-Length: 5\r\n\r\nhello`, /^HTTP\/1\.1 400 /],
    [`HEAD / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`, /^HTTP\/1\.1 400 /],
    [`GET /api/torrents HTTP/1.0\r\n${host}\r\n`, /^HTTP\/1\.1 200 /]
  ]
  for (const [request, answer] of table) {
    const socket = await connect(t, port)
    socket.end(request)
    const text = await readAll(socket)
    assert.match(text, answer, request.slice(0, 60))
  }
  assert.equal((await ask(port, '/api/torrents')).status, 200)
})

test('the rest of a refused long body is not read, and after a short one the connection continues', async (t) => {
  const { port } = await serve(t, clientOf(t))
  for (const length of ['Content-Length: 999999999', 'Transfer-Encoding: chunked']) {
    const socket = await connect(t, port)
    socket.write(`POST /api/torrents HTTP/1.1\r\nHost: localhost\r\n${length}\r\n\r\n`)
    assert.match(await readAll(socket), /^HTTP\/1\.1 403 .*\r\nconnection: close\r\n/is)
  }
  const socket = await connect(t, port)
  socket.write('POST /api/torrents HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n')
  assert.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 403 /)
  socket.write(`hello${get}`)
  assert.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 200 /)
})
