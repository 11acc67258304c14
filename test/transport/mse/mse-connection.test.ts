import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Connection, ConnectionHandler } from '../../../lib/net/connection.ts'
import type { Encryption, MseMethod } from '../../../lib/transport/mse/encryption.ts'
import { MseInitiator } from '../../../lib/transport/mse/initiator.ts'
import { keyPairs } from '../../../lib/transport/mse/key-pair.ts'
import { MseConnection } from '../../../lib/transport/mse/mse-connection.ts'
import { MseResponder } from '../../../lib/transport/mse/responder.ts'
import { TorrentError } from '../../../lib/util/errors.ts'
import { FakeConnection, joinFarEnds, settled, twenty } from '../../swarm/fake-connection.ts'
import { patternBytes } from './pattern-bytes.ts'

const infoHash = twenty(1)

/** A handler that keeps what it receives. */
class Sink implements ConnectionHandler {
  readonly chunks: Buffer[] = []
  drains = 0
  closes: (Error | undefined)[] = []
  /** Whether it asks for more. */
  wants = true

  get received(): Buffer {
    return Buffer.concat(this.chunks)
  }

  onReceive(chunk: Uint8Array): boolean {
    this.chunks.push(Buffer.from(chunk))
    return this.wants
  }

  onDrain(): void {
    this.drains++
  }

  onClose(error?: Error): void {
    this.closes.push(error)
  }
}

interface Sides {
  readonly methods?: readonly MseMethod[]
  readonly encryption?: Encryption
}

/** Both ends of a connection with MSE, not started yet. */
function ends({ methods = ['plain', 'rc4'], encryption = 'allow' }: Sides) {
  const [near, far] = [new FakeConnection(false), new FakeConnection(true)]
  joinFarEnds(near, far)
  const initiator = new MseInitiator({ infoHash, methods, keyPair: keyPairs.take() })
  const responder = new MseResponder({ encryption, keyPair: keyPairs.take(), find: () => infoHash })
  const [a, b] = [new MseConnection(near, initiator), new MseConnection(far, responder)]
  return { near, far, a, b, sinkA: new Sink(), sinkB: new Sink() }
}

async function rounds(count = 8): Promise<void> {
  for (let n = 0; n < count; n++) await settled()
}

for (const encryption of ['allow', 'prefer'] as const) {
  const kind = encryption === 'allow' ? 'handshake' : 'rc4'
  test(`bytes go both ways, with encryption of kind ${kind}`, async () => {
    const { near, a, b, sinkA, sinkB } = ends({ encryption })
    a.start(sinkA)
    b.start(sinkB)
    const first = Buffer.from('what was written first')
    assert.equal(a.write([first.subarray(0, 5), first.subarray(5)]), false)
    assert.equal(a.bytesQueued, first.length)
    await rounds()
    assert.equal(String(sinkB.received), String(first))
    assert.equal(sinkA.drains, 1)
    assert.equal(a.bytesQueued, 0)
    const [up, down] = [patternBytes(50_000), patternBytes(40_000)]
    assert.equal(a.write([up.subarray(0, 10), up.subarray(10)]), true)
    assert.equal(b.write([down]), true)
    await rounds()
    assert.deepEqual(sinkB.received.subarray(first.length), Buffer.from(up))
    assert.deepEqual(sinkA.received, Buffer.from(down))
    assert.deepEqual(up, patternBytes(50_000), 'what is sent is not changed')
    assert.deepEqual([a.encryption, b.encryption], [kind, kind])
    assert.equal(near.sent.includes(first), false)
    assert.equal(near.sent.includes(Buffer.from(up.subarray(0, 64))), encryption === 'allow')
  })

  test(`a handler can move while it receives, with encryption of kind ${kind}`, async () => {
    const { a, b, sinkA, sinkB } = ends({ encryption })
    a.start(sinkA)
    let head = Buffer.alloc(0)
    b.start({
      onReceive: (chunk) => {
        head = Buffer.concat([head, chunk])
        if (head.length >= 5) b.start(sinkB, head)
        return true
      },
      onDrain: () => {},
      onClose: () => {}
    })
    a.write([Buffer.from('first')])
    await rounds()
    a.write([Buffer.from(' and second')])
    await rounds()
    assert.equal(String(sinkB.received), 'first and second')
  })

  test(`a paused connection delivers later, with encryption of kind ${kind}`, async () => {
    const { a, b, sinkA, sinkB } = ends({ encryption })
    sinkB.wants = false
    a.start(sinkA)
    b.start(sinkB)
    a.write([Buffer.from('one')])
    await rounds()
    a.write([Buffer.from('two')])
    await rounds()
    assert.equal(String(sinkB.received), 'one')
    b.pause()
    const later = new Sink()
    b.start(later, Buffer.from('head '))
    await rounds()
    assert.equal(later.chunks.length, 0)
    b.resume()
    await rounds()
    assert.equal(String(later.received), 'head two')
  })

  test(`the end is told once, with encryption of kind ${kind}`, async () => {
    const { a, b, sinkA, sinkB } = ends({ encryption })
    a.start(sinkA)
    b.start(sinkB)
    a.write([Buffer.from('one')])
    await rounds()
    a.close(new Error('enough'))
    await rounds()
    assert.match(String(sinkA.closes), /enough/)
    assert.deepEqual(sinkB.closes, [undefined])
    assert.equal(b.write([Buffer.from('late')]), true)
  })
}

test('plain payload is read without this connection in between', async () => {
  const { far, a, b, sinkA, sinkB } = ends({ encryption: 'allow' })
  a.start(sinkA)
  b.start(sinkB)
  a.write([Buffer.from('one')])
  await rounds()
  let direct: ConnectionHandler | undefined
  const start = far.start.bind(far)
  far.start = (handler, head) => {
    direct = handler
    start(handler, head)
  }
  b.start(sinkB)
  assert.equal(direct, sinkB)
})

test('a handshake that is wrong closes the connection with the reason', async () => {
  const near = new FakeConnection(false)
  const keyPair = keyPairs.take()
  const connection = new MseConnection(near, new MseInitiator({ infoHash, methods: ['rc4'], keyPair }))
  const sink = new Sink()
  connection.start(sink)
  near.feed(new Uint8Array(96))
  await settled()
  const [error] = sink.closes
  assert.ok(error instanceof TorrentError && error.code === 'ERR_WIRE_PROTOCOL')
  assert.equal(sink.chunks.length, 0)
  assert.equal(connection.heard, 'key')
})

test('bytes that were read before are part of the handshake', async () => {
  const { near, far, a, sinkA } = ends({})
  const heads: Buffer[] = []
  far.start({
    onReceive: (chunk) => heads.push(Buffer.from(chunk)) > 0,
    onDrain: () => {},
    onClose: () => {}
  })
  a.start(sinkA)
  a.write([Buffer.from('hello')])
  await settled()
  const responder = new MseResponder({ encryption: 'prefer', keyPair: keyPairs.take(), find: () => infoHash })
  const sinkB = new Sink()
  const accepted: Connection = new MseConnection(far, responder, Buffer.concat(heads))
  accepted.start(sinkB)
  await rounds()
  assert.equal(String(sinkB.received), 'hello')
  assert.equal(accepted.remote, far.remote)
  assert.equal(accepted.incoming, true)
  assert.equal(accepted.transport, near.transport)
})
