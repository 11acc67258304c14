import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Acceptor, type AcceptorOptions } from '../../lib/swarm/acceptor.ts'
import { limits } from '../../lib/swarm/limits.ts'
import type { PeerConnection } from '../../lib/swarm/pending-handshakes.ts'
import { Throttle } from '../../lib/transport/throttle.ts'
import { TorrentError } from '../../lib/util/errors.ts'
import { handshakeLength } from '../../lib/wire/messages.ts'
import { FakeConnection, handshakeOf, settled, twenty } from './fake-connection.ts'

const infoHash = twenty(1)
const peerId = twenty(2)
const ownId = twenty(3)
const handshake = handshakeOf(infoHash, peerId)
/** The messages `interested` and `have` of piece 7. */
const messages = Buffer.from([0, 0, 0, 1, 2, 0, 0, 0, 5, 4, 0, 0, 0, 7])

/** An acceptor with one torrent, and the peers that were passed to it. */
function acceptorOf(t: TestContext, options: Partial<AcceptorOptions> = {}) {
  const peers: PeerConnection[] = []
  const heard: string[] = []
  const torrent = {
    accept(peer: PeerConnection): void {
      peers.push(peer)
      peer.wire.on('interested', () => heard.push('interested'))
      peer.wire.on('have', (piece) => heard.push(`have ${piece}`))
    }
  }
  const acceptor = new Acceptor({
    peerId: ownId,
    throttles: {},
    encryption: false,
    findNamed: () => undefined,
    find: (wanted) => (wanted.every((byte) => byte === 1) ? torrent : undefined),
    ...options
  })
  t.after(() => {
    acceptor.close()
    for (const { wire } of peers) wire.destroy()
  })
  const arrive = (bytes: Uint8Array = Buffer.alloc(0)): FakeConnection => {
    const connection = new FakeConnection(true)
    acceptor.accept(connection)
    connection.feed(bytes)
    return connection
  }
  return { acceptor, peers, heard, arrive }
}

function codeOf(connection: FakeConnection): string | undefined {
  const error = connection.closed?.error
  return error instanceof TorrentError ? error.code : undefined
}

test('a peer is passed to the torrent that it names, wherever its first bytes are split', (t) => {
  const bytes = Buffer.concat([handshake, messages])
  for (let at = 0; at <= bytes.length; at++) {
    const { peers, heard, arrive } = acceptorOf(t)
    const connection = arrive(bytes.subarray(0, at))
    assert.equal(peers.length, Number(at >= handshakeLength), `${at} bytes`)
    connection.feed(bytes.subarray(at))
    assert.deepEqual(heard, ['interested', 'have 7'], `split at ${at}`)
    const [peer] = peers
    assert.deepEqual(peer?.peerId, peerId)
    assert.deepEqual(peer?.infoHash, infoHash)
    assert.equal(peer?.latencyMs, undefined)
    assert.equal(peer?.connection.remote, connection.remote)
  }
})

test('a peer that sends its handshake byte by byte is accepted', (t) => {
  const { peers, heard, arrive } = acceptorOf(t)
  const connection = arrive()
  for (const byte of Buffer.concat([handshake, messages])) connection.feed(Uint8Array.of(byte))
  assert.equal(peers.length, 1)
  assert.deepEqual(heard, ['interested', 'have 7'])
})

test('nothing wraps a connection before its first bytes are judged, and limits count all of them', (t) => {
  const download = new Throttle(1e6)
  const taken = t.mock.method(download, 'take', (bytes: number) => bytes)
  t.mock.getter(download, 'passes', () => true)
  const { arrive } = acceptorOf(t, { throttles: { download } })
  const connection = arrive(handshake.subarray(0, 50))
  assert.equal(taken.mock.callCount(), 0)
  connection.feed(handshake.subarray(50))
  connection.feed(messages)
  const sum = taken.mock.calls.reduce((bytes, { arguments: [more = 0] }) => bytes + more, 0)
  assert.equal(sum, handshakeLength + messages.length)
})

test('a connection that starts without a handshake is closed at the first wrong byte', (t) => {
  const { arrive } = acceptorOf(t)
  for (let at = 0; at < 20; at++) {
    const bytes = Buffer.from(handshake.subarray(0, at + 1))
    const connection = arrive(bytes.subarray(0, at))
    assert.equal(connection.closed, undefined, `${at} right bytes`)
    connection.feed(Uint8Array.of((bytes[at] ?? 0) ^ 1))
    assert.equal(codeOf(connection), 'ERR_WIRE_PROTOCOL', `byte ${at}`)
  }
})

test('a peer that asks for an unknown torrent is disconnected', async (t) => {
  const { peers, arrive } = acceptorOf(t)
  const connection = arrive(handshakeOf(twenty(9), peerId))
  await settled()
  assert.equal(codeOf(connection), 'ERR_WIRE_CLOSED')
  assert.equal(peers.length, 0)
})

for (const [what, bytes] of [
  ['says nothing', handshake.subarray(0, 0)],
  ['sends half a handshake', handshake.subarray(0, 40)],
  ['is this client', handshakeOf(infoHash, ownId)]
] as const) {
  test(`a connection that ${what} is closed at its time limit`, async (t) => {
    const { peers, arrive } = acceptorOf(t, { timeoutMs: 20 })
    const connection = arrive(bytes)
    while (connection.closed === undefined) await settled()
    assert.equal(codeOf(connection), 'ERR_TRANSPORT_TIMEOUT')
    assert.equal(peers.length, 0)
  })
}

test('a peer whose handshake came in time has no time limit here', async (t) => {
  const { arrive } = acceptorOf(t, { timeoutMs: 20 })
  const early = arrive(handshake)
  const silent = arrive()
  while (silent.closed === undefined) await settled()
  assert.equal(early.closed, undefined)
})

test('a client that dials itself gets an answer, to see its own id, and is no peer', async (t) => {
  const { peers, arrive } = acceptorOf(t)
  const connection = arrive(handshakeOf(infoHash, ownId))
  await settled()
  assert.deepEqual(connection.sent.subarray(48), Buffer.from(ownId))
  assert.deepEqual(connection.sent.subarray(28, 48), Buffer.from(infoHash))
  assert.equal(peers.length, 0)
})

for (const [what, bytes] of [
  ['say nothing', handshake.subarray(0, 0)],
  ['send half a handshake', handshake.subarray(0, 40)],
  ['are this client', handshakeOf(infoHash, ownId)]
] as const) {
  test(`connections that ${what} are limited in number, and the oldest closes first`, async (t) => {
    const { peers, arrive } = acceptorOf(t)
    const waiting = Array.from({ length: limits.incomingHandshakes }, () => arrive(bytes))
    await settled()
    assert.deepEqual(
      waiting.filter(({ closed }) => closed),
      []
    )
    const more = [arrive(bytes), arrive(bytes)]
    await settled()
    assert.deepEqual(
      [...waiting, ...more].map(({ closed }) => closed !== undefined),
      [true, true, ...Array(limits.incomingHandshakes).fill(false)]
    )
    const [first] = waiting
    assert.equal(first && codeOf(first), 'ERR_TRANSPORT_TIMEOUT')
    arrive(handshake)
    assert.equal(peers.length, 1, 'a peer is accepted all the same')
  })
}

for (const [how, end] of [
  ['closes', (connection: FakeConnection) => connection.close()],
  ['sends something else', (connection: FakeConnection) => connection.feed(Uint8Array.of(0))],
  ['sends its handshake', (connection: FakeConnection) => connection.feed(handshake)]
] as const) {
  test(`a connection that ${how} does not count as waiting`, async (t) => {
    const { arrive } = acceptorOf(t)
    const oldest = arrive()
    for (let n = 0; n < 2 * limits.incomingHandshakes; n++) {
      end(arrive())
      await settled()
    }
    assert.equal(oldest.closed, undefined)
  })
}

test('close ends all waiting and new connections, and no peer', async (t) => {
  const { acceptor, arrive } = acceptorOf(t)
  const [silent, half, peer] = [arrive(), arrive(handshake.subarray(0, 40)), arrive(handshake)]
  acceptor.close()
  acceptor.close()
  const late = arrive(handshake)
  await settled()
  assert.ok(silent.closed && half.closed && late.closed)
  assert.equal(late.started, false)
  assert.equal(peer.closed, undefined)
})
