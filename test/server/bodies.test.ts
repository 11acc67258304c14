import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import test, { type TestContext } from 'node:test'
import { Bodies } from '../../lib/server/bodies.ts'
import { HttpError } from '../../lib/server/respond.ts'
import { until } from '../support/until.ts'
import { ask, bytesOf, clientOf, connect, portOf, readAll, serve } from './support.ts'

/** A server that answers with the body of each request, up to 200,000 bytes. */
async function echo(t: TestContext, bodies: Bodies): Promise<number> {
  const server = http.createServer((request, response) => {
    bodies.read(request, response, 200_000).then(
      (body) => response.end(body),
      (error) => {
        response.statusCode = error instanceof HttpError ? error.status : 500
        response.end()
      }
    )
  })
  server.listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  return portOf(server)
}

test('a body in chunks of any size arrives complete, and its memory is released with the answer', async (t) => {
  const bodies = new Bodies(300_000)
  const port = await echo(t, bodies)
  for (const [length, size] of [
    [0, 1],
    [1, 1],
    [5000, 1],
    [4096, 4096],
    [4097, 1000],
    [200_000, 70_001],
    [200_000, 777]
  ] as const) {
    const whole = bytesOf(length)
    const request = http.request({ port, host: '127.0.0.1', method: 'POST', agent: false })
    for (let at = 0; at < length; at += size) request.write(whole.subarray(at, at + size))
    request.end()
    const [response] = await once(request, 'response')
    const chunks: Buffer[] = []
    for await (const chunk of response) chunks.push(chunk)
    assert.ok(Buffer.concat(chunks).equals(whole), `${length} bytes in chunks of ${size}`)
    await until('the memory of bodies to be returned', () => bodies.bytes, { is: 0 })
  }
  for (const headers of [{ 'content-length': 200_001 }, { 'transfer-encoding': 'chunked' }])
    assert.equal((await ask(port, '/', { method: 'POST', headers, body: bytesOf(200_001) })).status, 413)
  await until('the memory of bodies to be returned', () => bodies.bytes, { is: 0 })
})

test('a body announced as too long is refused before any of it is read', async (t) => {
  const bodies = new Bodies(300_000)
  const socket = await connect(t, await echo(t, bodies))
  socket.write('POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200001\r\n\r\n')
  const [answer] = await once(socket, 'data')
  assert.match(String(answer), /^HTTP\/1\.1 413 /)
})

test('unfinished bodies take bounded memory, and the next one gets 503', async (t) => {
  const client = clientOf(t)
  const { port } = await serve(t, client, {}, { bodyBytes: 200_000 })
  const head = `POST /api/torrents HTTP/1.1\r\nHost: localhost\r\nX-Piecewise: 1\r\nContent-Length: 1000000\r\n\r\n`
  const unfinished = await connect(t, port)
  unfinished.write(head)
  unfinished.write(Buffer.alloc(130_000, 'd'))
  let text = ''
  while (!text.startsWith('HTTP/1.1 503')) {
    const refused = await connect(t, port)
    refused.write(head)
    refused.write(Buffer.alloc(130_000, 'd'))
    text = await readAll(refused)
  }
  assert.match(text, /\r\nretry-after: \d+\r\n/i)
  const headers = { 'x-piecewise': '1', 'content-type': 'text/plain' }
  const post = (body: string): Promise<number> =>
    ask(port, '/api/torrents', { method: 'POST', headers, body }).then(({ status }) => status)
  assert.equal(await post('no link'), 400, 'a small one has room')
  unfinished.destroy()
  const large = 'x'.repeat(60_000)
  const both = await Promise.all([post(large), post(large)])
  assert.deepEqual(both, [400, 400])
})
