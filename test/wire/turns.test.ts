import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TorrentError } from '../../lib/util/errors.ts'
import { encode, type MessageBatch } from '../../lib/wire/encoder.ts'
import { defaultWireLimits } from '../../lib/wire/limits.ts'
import { messageIds } from '../../lib/wire/messages.ts'
import { Wire } from '../../lib/wire.ts'

const id = new Uint8Array(20).fill(1)
const pieceCount = 10_000
const pieceLength = 16_384
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function wireOf(length = pieceLength): Wire {
  const wire = new Wire({
    pieceCount,
    pieceLength: length,
    totalLength: pieceCount * length,
    limits: { turnMs: 1e6, controlLength: 1e6, bulkMessages: 1e6, chokes: 1e6, extendedHandshakes: 1e6 }
  })
  wire.on('data', () => {})
  wire.handshake(id, id)
  wire.receive(encode((batch) => batch.handshake(id, id, { fast: true, extended: true, dht: false })))
  wire.unchoke()
  return wire
}

const { have, suggest, reject, cancel, interested, notInterested, choke, unchoke, haveNone } = messageIds
/** A message of each kind that has a cost, and the event that it causes. */
const kinds: [what: string, event: string, write: (batch: MessageBatch, n: number) => void][] = [
  ['keep-alives', 'keep-alive', (batch) => batch.keepAlive()],
  ['haves', 'have', (batch, n) => batch.index(have, n)],
  ['suggestions', 'suggest', (batch, n) => batch.index(suggest, n)],
  ['rejects', 'reject', (batch, n) => batch.range(reject, n, 0, pieceLength)],
  ['chokes', 'choke', (batch, n) => batch.empty(n & 1 ? choke : unchoke)],
  ['interest', 'interested', (batch, n) => batch.empty(n & 1 ? notInterested : interested)],
  ['have-nones', 'bitfield', (batch) => batch.empty(haveNone)],
  ['bitfields', 'bitfield', (batch) => batch.payload(5, new Uint8Array(pieceCount / 8))],
  ['extended handshakes', 'extended-handshake', (batch) => batch.extended(0, Buffer.from('de'))],
  ['ports', 'port', (batch) => batch.port(1)],
  [
    'cancelled requests',
    'cancel',
    (batch, n) => {
      batch.range(messageIds.request, n, 0, pieceLength)
      batch.range(cancel, n, 0, pieceLength)
    }
  ]
]
for (const [what, event, write] of kinds) {
  test(`an endless series of ${what} is handled in part in each turn, and nothing is lost`, async () => {
    const count = 9000
    const wire = wireOf()
    await turn()
    let heard = 0
    let isReceivable = false
    let ms = 0
    wire.on(event as 'keep-alive', () => heard++)
    wire.on('receivable', () => {
      isReceivable = true
    })
    wire.onHandled = (spent) => {
      ms += spent
      return 0
    }
    const chunk = encode((batch) => {
      for (let n = 0; n < count; n++) write(batch, n)
    })
    const half = chunk.length >> 1
    assert.equal(wire.receive(chunk.subarray(0, half)), false)
    chunk.fill(0, 0, half)
    assert.equal(wire.receive(chunk.subarray(half)), false)
    chunk.fill(0)
    const expected = event === 'choke' || event === 'interested' ? count / 2 : count
    for (let last = 0; !isReceivable; last = heard) {
      assert.ok(heard - last <= defaultWireLimits.turnMessages + 100)
      await turn()
    }
    assert.equal(wire.destroyed, false)
    // The peer chokes at first.
    assert.ok(heard >= expected - 1, `${heard}`)
    assert.ok(ms > 0)
  })
}

test('requested blocks and accepted requests do not count', async () => {
  const wire = wireOf()
  await turn()
  wire.onHandled = () => assert.fail('it counts')
  const memory = new Uint8Array(pieceLength)
  wire.blockTarget = () => memory
  let blocks = 0
  wire.on('piece', () => blocks++)
  const block = new Uint8Array(8 + pieceLength)
  const chunk = encode((batch) => {
    for (let n = 0; n < 100; n++) batch.payload(messageIds.piece, block)
    for (let n = 0; n < 1900; n++) batch.range(messageIds.request, n, 0, pieceLength)
  })
  assert.equal(wire.receive(chunk), true)
  assert.deepEqual([blocks, wire.peerRequests], [100, 1900])
})

test('requests for a byte count as much as it costs to answer them', async () => {
  const wire = wireOf()
  await turn()
  let ms = 0
  wire.onHandled = (spent) => {
    ms += spent
    return 0
  }
  wire.receive(
    encode((batch) => {
      for (let n = 0; n < 1000; n++) batch.range(messageIds.request, n, 0, 1)
    })
  )
  assert.equal(wire.peerRequests, 1000)
  assert.ok(ms >= 15, `${ms} ms`)
})

test('requests for whole pieces of 1 KiB count only when they are cancelled', async (t) => {
  const wire = wireOf(1024)
  await turn()
  // Only what is charged for requests, not the time of this machine.
  t.mock.method(performance, 'now', () => 0)
  let ms = 0
  wire.onHandled = (spent) => {
    ms += spent
    return 0
  }
  const send = (id: number): boolean =>
    wire.receive(
      encode((batch) => {
        for (let n = 0; n < 1000; n++) batch.range(id, n, 0, 1024)
      })
    )
  send(messageIds.request)
  assert.equal(wire.peerRequests, 1000)
  assert.ok(ms < 1, `${ms} ms`)
  send(messageIds.cancel)
  while (wire.peerRequests > 0) await turn()
  assert.ok(ms >= 15, `${ms} ms`)
})

test("a peer's messages wait as long as its budget requires, and the wire closes when that is forever", async (t) => {
  // The wire's own timer keeps no program alive.
  const alive = setInterval(() => {}, 1000)
  t.after(() => clearInterval(alive))
  const wire = wireOf()
  await turn()
  let heard = 0
  wire.on('have', () => heard++)
  let waitMs = 20
  wire.onHandled = () => waitMs
  const receivable = new Promise<void>((resolve) => wire.once('receivable', () => resolve()))
  const startedAt = performance.now()
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const before = timers()
  assert.equal(wire.receive(encode((batch) => batch.index(have, 1))), false)
  assert.equal(timers(), before, 'the timer keeps the program alive')
  assert.equal(wire.receive(encode((batch) => batch.index(have, 2))), false)
  waitMs = 0
  await receivable
  assert.ok(performance.now() - startedAt >= 15)
  assert.equal(heard, 2)
  waitMs = Number.POSITIVE_INFINITY
  const failure = new Promise<unknown>((resolve) => wire.once('error', resolve))
  wire.receive(encode((batch) => batch.index(have, 3)))
  const error = await failure
  assert.ok(error instanceof TorrentError && error.code === 'ERR_WIRE_LIMIT')
})

const earning: [what: string, isFree: boolean, write: (batch: MessageBatch) => void][] = [
  [
    'a peer that sent requested blocks',
    true,
    (batch) => {
      // The most that counts, so that a slow moment of the machine costs less than that.
      for (let n = 0; n < 1300; n++) batch.payload(messageIds.piece, new Uint8Array(8 + pieceLength))
    }
  ],
  [
    'a peer that cancels its requests',
    false,
    (batch) => {
      for (let n = 0; n < 200; n++) {
        batch.range(messageIds.request, n, 0, pieceLength)
        batch.range(cancel, n, 0, pieceLength)
      }
    }
  ]
]
for (const [what, isFree, write] of earning) {
  test(`messages after ${what} ${isFree ? 'are free' : 'count'}`, async () => {
    const wire = wireOf()
    await turn()
    const memory = new Uint8Array(pieceLength)
    wire.blockTarget = () => memory
    assert.equal(wire.receive(encode(write)), true)
    let ms = 0
    wire.onHandled = (spent) => {
      ms += spent
      return 0
    }
    wire.receive(encode((batch) => batch.index(have, 1)))
    assert.equal(ms === 0, isFree)
  })
}
