import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import type { Socket } from 'node:net'
import test from 'node:test'
import { IncomingSockets } from '../../lib/net/incoming-sockets.ts'
import { limits } from '../../lib/net/limits.ts'

const most = limits.incomingSockets

/** The part of a socket that is used before its first bytes have come. */
class FakeSocket extends EventEmitter {
  destroyed = false
  paused = true

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
  }

  destroy(): void {
    this.destroyed = true
    this.emit('close')
  }

  say(text: string): void {
    this.emit('data', Buffer.from(text))
  }
}

/** A server that accepts sockets once they have sent three lower-case letters. */
function bench(waitMs?: number): {
  taken: string[]
  incoming: IncomingSockets
  come: (host: string) => FakeSocket
} {
  const taken: string[] = []
  const incoming = new IncomingSockets(
    (head) => (/[^a-z]/.test(String(head)) ? 'refuse' : head.length < 3 ? 'wait' : 'take'),
    (socket, head) => {
      assert.equal(socket.listenerCount('data') + socket.listenerCount('close'), 0)
      assert.equal((socket as unknown as FakeSocket).paused, true)
      taken.push(String(head))
    },
    waitMs
  )
  const come = (host: string): FakeSocket => {
    const socket = new FakeSocket()
    incoming.add(socket as unknown as Socket, host)
    return socket
  }
  return { taken, incoming, come }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('a socket is passed on once it has sent enough, with all its bytes', async () => {
  const { taken, incoming, come } = bench()
  const [whole, parts, foreign] = [come('1.1.1.1'), come('1.1.1.1'), come('1.1.1.1')]
  whole.say('abcd')
  parts.say('a')
  parts.say('b')
  foreign.say('G')
  await turn()
  assert.deepEqual([taken, incoming.size, foreign.destroyed], [['abcd'], 1, true])
  parts.say('c')
  await turn()
  assert.deepEqual([taken, incoming.size], [['abcd', 'abc'], 0])
})

test('a closed socket is forgotten, and one that closes during hand-over is not passed on', async () => {
  const { taken, incoming, come } = bench()
  come('1.1.1.1').destroy()
  assert.equal(incoming.size, 0)
  const socket = come('1.1.1.1')
  socket.say('abc')
  socket.destroy()
  await turn()
  assert.deepEqual([taken, incoming.size], [[], 0])
})

test('a socket that sends its first bytes one by one is soon closed', () => {
  const { incoming } = bench()
  const never = new IncomingSockets(
    () => 'wait',
    () => assert.fail()
  )
  const socket = new FakeSocket()
  never.add(socket as unknown as Socket, '1.1.1.1')
  for (let n = 1; n < limits.incomingReads; n++) socket.say('a')
  assert.equal(socket.destroyed, false)
  socket.say('a')
  assert.deepEqual([socket.destroyed, never.size, incoming.size], [true, 0, 0])
})

for (const [kind, honest, host] of [
  ['another network', '9.9.9.9', () => '1.1.1.1'],
  ['another IPv6 network', '2001:db8:2::1', (n: number) => `2001:db8:1:${n.toString(16)}::1`],
  ['another network than two others', '9.9.9.9', (n: number) => `${1 + (n % 2)}.1.1.1`]
] as const) {
  test(`a socket from ${kind} waits while any number of silent ones come`, async () => {
    const { taken, incoming, come } = bench()
    for (let n = 0; n < most; n++) come(host(n))
    const socket = come(honest)
    for (let n = 0; n < 3 * most; n++) come(host(n))
    assert.equal(incoming.size, most)
    socket.say('abc')
    await turn()
    assert.deepEqual(taken, ['abc'])
  })
}

test('a socket from the same address waits until silent ones fill its limit', () => {
  const { come } = bench()
  for (let n = 0; n < most; n++) come('1.1.1.1')
  const socket = come('1.1.1.1')
  for (let n = 1; n < most; n++) come('1.1.1.1')
  assert.equal(socket.destroyed, false)
  come('1.1.1.1')
  assert.equal(socket.destroyed, true)
})

test('silent sockets from any number of networks leave the latest ones their time', () => {
  const { come } = bench()
  const host = (n: number): string => `${1 + (n % 200)}.1.1.1`
  for (let n = 0; n < most; n++) come(host(n))
  const socket = come('203.0.113.9')
  for (let n = 1; n < most; n++) come(host(n))
  assert.equal(socket.destroyed, false)
})

test('silent sockets are closed after a while, and all of them at the end', async () => {
  const { incoming, come } = bench(10)
  const keep = setInterval(() => {}, 1000)
  const sockets = [come('1.1.1.1'), come('1.1.1.1')]
  await Promise.all(sockets.map((socket) => once(socket, 'close')))
  clearInterval(keep)
  assert.equal(incoming.size, 0)
  const last = come('1.1.1.1')
  incoming.close()
  assert.deepEqual([last.destroyed, come('1.1.1.1').destroyed, incoming.size], [true, true, 0])
})
