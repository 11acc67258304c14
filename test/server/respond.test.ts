import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import test, { type TestContext } from 'node:test'
import { respondInParts } from '../../lib/server/respond.ts'
import { until } from '../support/until.ts'
import { ask, connect, portOf } from './support.ts'

interface Endless {
  readonly port: number
  readonly made: () => number
  readonly isOver: () => boolean
}

/** A server with an endless list at `/`, and a short one elsewhere. */
async function endless(t: TestContext): Promise<Endless> {
  let made = 0
  let isOver = false
  const parts = function* (): Generator<string, void, void> {
    for (;;) {
      made++
      yield 'x'.repeat(1000)
    }
  }
  const server = http.createServer((request, response) => {
    if (request.url !== '/') void respondInParts(request, response, ['a', 'é'], {})
    else
      void respondInParts(request, response, parts(), {}).finally(() => {
        isOver = true
      })
  })
  server.listen(0, '127.0.0.1')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  await once(server, 'listening')
  return { port: portOf(server), made: () => made, isOver: () => isOver }
}

test("a long list is made at its client's pace, others are answered meanwhile, and it ends on disconnect", async (t) => {
  const { port, made, isOver } = await endless(t)
  const socket = await connect(t, port)
  let received = 0
  socket.on('data', (chunk) => {
    received += chunk.length
  })
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await until('five megabytes of the list', () => received, { is: (value) => value > 5_000_000 })
  assert.equal((await ask(port, '/short')).text, 'aé')
  socket.pause()
  let before = -1
  while (before !== made()) {
    before = made()
    for (let n = 0; n < 20; n++) await ask(port, '/short')
  }
  assert.ok(!isOver())
  socket.destroy()
  await until('the list to end', isOver)
})

test('a short list has a length, and HEAD makes at most one slice of a list', async (t) => {
  const { port, made } = await endless(t)
  const short = await ask(port, '/short')
  assert.deepEqual([short.headers['content-length'], short.text], ['3', 'aé'])
  const head = await ask(port, '/', { method: 'HEAD' })
  assert.deepEqual([head.status, head.text], [200, ''])
  assert.ok(made() < 100)
})
