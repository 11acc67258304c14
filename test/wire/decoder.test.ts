import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TorrentError } from '../../lib/util/errors.ts'
import { WireDecoder, type WireDecoderHandler } from '../../lib/wire/decoder.ts'
import { encode, encodeRequests, type MessageBatch } from '../../lib/wire/encoder.ts'
import { defaultWireLimits } from '../../lib/wire/limits.ts'
import { messageIds } from '../../lib/wire/messages.ts'
import { fc } from '../support/fast-check.ts'

const flags = { fast: true, extended: true, dht: true }
const handshake = encode((batch) =>
  batch.handshake(new Uint8Array(20).fill(1), new Uint8Array(20).fill(2), flags)
)

/** Records the decoder's calls. Blocks of even pieces are received into memory of the handler. */
function recorder(): { seen: string[]; handler: WireDecoderHandler } {
  const seen: string[] = []
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
  const handler: WireDecoderHandler = {
    onHandshake: (...parts) => seen.push(`handshake ${parts.map(hex).join(' ')}`),
    onKeepAlive: () => seen.push('keep-alive'),
    onEmpty: (id) => seen.push(`empty ${id}`),
    onIndex: (id, piece) => seen.push(`index ${id} ${piece}`),
    onRange: (id, ...numbers) => {
      seen.push(`range ${id} ${numbers}`)
      return 0
    },
    onBitfield: (bytes) => seen.push(`bitfield ${hex(bytes)}`),
    onBlockStart: (piece, _offset, length) => (piece % 2 === 0 ? new Uint8Array(length) : undefined),
    onBlock: (piece, offset, data, owned) => seen.push(`block ${piece} ${offset} ${hex(data)} ${owned}`),
    onPort: (port) => seen.push(`port ${port}`),
    onExtended: (id, payload) => seen.push(`extended ${id} ${hex(payload)}`)
  }
  return { seen, handler }
}

function decodeAll(chunks: Iterable<Uint8Array>): string[] {
  const { seen, handler } = recorder()
  const decoder = new WireDecoder(handler, defaultWireLimits)
  for (const chunk of chunks) {
    const borrowed = new Uint8Array(chunk)
    decoder.push(borrowed)
    borrowed.fill(0xee)
  }
  return seen
}

function pieceMessage(batch: MessageBatch, piece: number, offset: number, data: Uint8Array): void {
  const payload = new Uint8Array(8 + data.length)
  new DataView(payload.buffer).setUint32(0, piece)
  new DataView(payload.buffer).setUint32(4, offset)
  payload.set(data, 8)
  batch.payload(messageIds.piece, payload)
}

const everyMessage = encode((batch) => {
  batch.keepAlive()
  for (const id of [0, 1, 2, 3, 14, 15]) batch.empty(id)
  for (const id of [4, 13, 17]) batch.index(id, 0x81020304)
  for (const id of [6, 8, 16]) batch.range(id, 7, 0x4000, 0xffffffff)
  batch.payload(messageIds.bitfield, Uint8Array.of(0xaa, 0x55, 0xf0))
  batch.payload(messageIds.bitfield, new Uint8Array(0))
  pieceMessage(
    batch,
    2,
    16384,
    Uint8Array.from({ length: 40 }, (_, n) => n)
  )
  pieceMessage(
    batch,
    3,
    32768,
    Uint8Array.from({ length: 40 }, (_, n) => n + 1)
  )
  batch.port(6881)
  batch.extended(0, Buffer.from('d1:md11:ut_metadatai3eee'))
  batch.extended(3, new Uint8Array(0))
  batch.payload(21, new Uint8Array(30))
  batch.payload(99, new Uint8Array(0))
  batch.empty(1)
})
const expected = decodeAll([handshake, everyMessage])

test('every message is decoded', () => {
  const block = (first: number): string =>
    Buffer.from(Uint8Array.from({ length: 40 }, (_, n) => n + first)).toString('hex')
  assert.deepEqual(expected, [
    `handshake 0000000000100005 ${'01'.repeat(20)} ${'02'.repeat(20)}`,
    'keep-alive',
    ...[0, 1, 2, 3, 14, 15].map((id) => `empty ${id}`),
    ...[4, 13, 17].map((id) => `index ${id} ${0x81020304}`),
    ...[6, 8, 16].map((id) => `range ${id} 7,16384,4294967295`),
    'bitfield aa55f0',
    'bitfield ',
    `block 2 16384 ${block(0)} true`,
    `block 3 32768 ${block(1)} false`,
    'port 6881',
    `extended 0 ${Buffer.from('d1:md11:ut_metadatai3eee').toString('hex')}`,
    'extended 3 ',
    'empty 1'
  ])
})

test('a cut at any byte changes nothing', () => {
  const all = Buffer.concat([handshake, everyMessage])
  for (let at = 0; at <= all.length; at++)
    assert.deepEqual(decodeAll([all.subarray(0, at), all.subarray(at)]), expected)
  for (const size of [1, 2, 3, 5, 7, 13, 17]) {
    const chunks = Array.from({ length: Math.ceil(all.length / size) }, (_, n) =>
      all.subarray(n * size, (n + 1) * size)
    )
    assert.deepEqual(decodeAll(chunks), expected)
  }
})

test('random messages survive random cuts', () => {
  const uint32 = fc.integer({ min: 0, max: 0xffffffff })
  const message = fc.oneof(
    fc.constantFrom(0, 1, 2, 3, 14, 15).map((id) => (batch: MessageBatch) => batch.empty(id)),
    fc.tuple(fc.constantFrom(4, 13, 17), uint32).map(
      ([id, n]) =>
        (batch: MessageBatch) =>
          batch.index(id, n)
    ),
    fc.tuple(fc.constantFrom(6, 8, 16), uint32, uint32, uint32).map(
      ([id, a, b, c]) =>
        (batch: MessageBatch) =>
          batch.range(id, a, b, c)
    ),
    fc.tuple(uint32, uint32, fc.uint8Array({ minLength: 1, maxLength: 300 })).map(
      ([a, b, data]) =>
        (batch: MessageBatch) =>
          pieceMessage(batch, a, b, data)
    ),
    fc.tuple(fc.constantFrom(5, 22), fc.uint8Array({ maxLength: 9000, size: 'max' })).map(
      ([id, data]) =>
        (batch: MessageBatch) =>
          batch.payload(id, data)
    )
  )
  const property = fc.property(
    fc.array(message, { maxLength: 12 }),
    fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 30 }),
    (messages, cuts) => {
      const all = Buffer.concat([
        handshake,
        encode((batch) => {
          for (const write of messages) write(batch)
        })
      ])
      const chunks: Uint8Array[] = []
      for (let at = 0, n = 0; at < all.length; n++) {
        const size = cuts[n % cuts.length] ?? 1
        chunks.push(all.subarray(at, at + size))
        at += size
      }
      assert.deepEqual(decodeAll(chunks), decodeAll([all]))
    }
  )
  fc.assert(property, { numRuns: 150 })
})

test('garbage ends in a TorrentError or nothing', () => {
  const property = fc.property(fc.array(fc.uint8Array({ maxLength: 200 })), (chunks) => {
    const { handler } = recorder()
    const decoder = new WireDecoder(handler, defaultWireLimits)
    decoder.push(handshake)
    try {
      for (const chunk of chunks) decoder.push(chunk)
    } catch (error) {
      assert.ok(error instanceof TorrentError && error.code.startsWith('ERR_WIRE_'), String(error))
    }
  })
  fc.assert(property, { numRuns: 300 })
})

const message = (length: number, id: number, rest = 0): Uint8Array => {
  const bytes = new Uint8Array(5 + rest)
  new DataView(bytes.buffer).setUint32(0, length)
  bytes[4] = id
  return bytes
}
const hostile: [what: string, bytes: Uint8Array, code: string][] = [
  ['a message of 4 GiB', Uint8Array.of(255, 255, 255, 255), 'ERR_WIRE_LIMIT'],
  ['a message above all limits', message(0x200000, 20), 'ERR_WIRE_LIMIT'],
  ['an unknown message above its limit', message(0x100001, 99), 'ERR_WIRE_LIMIT'],
  ['a bitfield above its limit', message(2 + 0x40000, 5), 'ERR_WIRE_LIMIT'],
  ['an extended message above its limit', message(3 + 0x20000, 20), 'ERR_WIRE_LIMIT'],
  ['a block above its limit', message(10 + 16384, 7), 'ERR_WIRE_LIMIT'],
  ['a block without bytes', message(9, 7), 'ERR_WIRE_PROTOCOL'],
  ['a block without header', message(1, 7), 'ERR_WIRE_PROTOCOL'],
  ['a choke with payload', message(2, 0), 'ERR_WIRE_PROTOCOL'],
  ['a have all with payload', message(5, 14), 'ERR_WIRE_PROTOCOL'],
  ['a have without piece', message(1, 4), 'ERR_WIRE_PROTOCOL'],
  ['a have that is too long', message(6, 4), 'ERR_WIRE_PROTOCOL'],
  ['a request that is too short', message(12, 6), 'ERR_WIRE_PROTOCOL'],
  ['a cancel that is too long', message(14, 8), 'ERR_WIRE_PROTOCOL'],
  ['a port of one byte', message(2, 9), 'ERR_WIRE_PROTOCOL'],
  ['an extended message without id', message(1, 20), 'ERR_WIRE_PROTOCOL']
]
for (const [what, bytes, code] of hostile) {
  test(`refuses ${what}, and then ignores everything`, () => {
    for (const size of [1, bytes.length]) {
      const { seen, handler } = recorder()
      const decoder = new WireDecoder(handler, defaultWireLimits)
      decoder.push(handshake)
      assert.throws(
        () => {
          for (let at = 0; at < bytes.length; at += size) decoder.push(bytes.subarray(at, at + size))
        },
        { code }
      )
      decoder.push(everyMessage)
      assert.equal(seen.length, 1)
    }
  })
}

test('another protocol is refused by its first wrong byte', () => {
  for (const text of ['GET / HTTP/1.1', '\x13BitTorrent protocoX', '\x13bit', '\x00']) {
    const decoder = new WireDecoder(recorder().handler, defaultWireLimits)
    assert.throws(() => decoder.push(Buffer.from(text, 'latin1')), { code: 'ERR_WIRE_PROTOCOL' })
  }
})

test('a handler can stop the decoder, and must provide memory of the right length', () => {
  const { seen, handler } = recorder()
  const decoder: WireDecoder = new WireDecoder(
    { ...handler, onPort: () => decoder.stop() },
    defaultWireLimits
  )
  decoder.push(handshake)
  decoder.push(Buffer.concat([encode((batch) => batch.port(1)), everyMessage]))
  assert.equal(seen.length, 1)
  const faulty = new WireDecoder({ ...handler, onBlockStart: () => new Uint8Array(3) }, defaultWireLimits)
  faulty.push(handshake)
  assert.throws(() => faulty.push(everyMessage), { code: 'ERR_WIRE_ARGUMENT' })
})

test('announced bytes take memory only as they arrive', () => {
  const decoders = Array.from({ length: 2000 }, () => {
    const decoder = new WireDecoder(recorder().handler, defaultWireLimits)
    decoder.push(handshake)
    return decoder
  })
  const before = process.memoryUsage().arrayBuffers
  for (const decoder of decoders) decoder.push(message(1 + 0x40000, 5, 10))
  assert.ok(process.memoryUsage().arrayBuffers - before < 20_000_000)
})

test('a batch of requests is one buffer, and taken bytes are never overwritten', () => {
  assert.equal(
    Buffer.from(encodeRequests([1, 2, 3, 4, 5, 6])).toString('hex'),
    ['0000000d06', '00000001', '00000002', '00000003', '0000000d06', '00000004', '00000005', '00000006'].join(
      ''
    )
  )
  assert.equal(encodeRequests([]).length, 0)
  let kept: Uint8Array | undefined
  encode((batch) => {
    batch.empty(1)
    kept = batch.take()
    batch.payload(5, new Uint8Array(5000).fill(9))
    assert.equal(batch.length, 5005)
    batch.clear()
    assert.equal(batch.take(), undefined)
  })
  assert.deepEqual(Array.from(kept ?? []), [0, 0, 0, 1, 1])
})

test('a block whose memory is withdrawn in mid-receive is complete in other memory', () => {
  const memory = new Uint8Array(40)
  const { seen, handler } = recorder()
  const decoder = new WireDecoder({ ...handler, onBlockStart: () => memory }, defaultWireLimits)
  decoder.push(handshake)
  decoder.detach()
  const data = Uint8Array.from({ length: 40 }, (_, n) => n + 1)
  const bytes = encode((batch) => pieceMessage(batch, 2, 0, data))
  decoder.push(bytes.subarray(0, 30))
  decoder.detach()
  memory.fill(0xee)
  decoder.push(bytes.subarray(30))
  assert.deepEqual(seen.slice(1), [`block 2 0 ${Buffer.from(data).toString('hex')} false`])
  assert.ok(memory.every((byte) => byte === 0xee))
})

test('the memory of a long payload is released, and that of a short one reused', () => {
  const memories: ArrayBufferLike[] = []
  const { handler } = recorder()
  const onExtended = (_id: number, payload: Uint8Array): void => void memories.push(payload.buffer)
  const decoder = new WireDecoder({ ...handler, onExtended }, defaultWireLimits)
  decoder.push(handshake)
  for (const length of [1000, 1000, 100_000, 1000]) {
    const bytes = encode((batch) => batch.extended(1, new Uint8Array(length)))
    decoder.push(bytes.subarray(0, 500))
    decoder.push(bytes.subarray(500))
  }
  const [first, second, long, last] = memories
  assert.equal(first, second)
  assert.notEqual(long, last)
})

const works: [what: string, write: (batch: MessageBatch) => void, work: number, creditBytes: number][] = [
  ['a keep-alive', (batch) => batch.keepAlive(), 1, 0],
  ['a have', (batch) => batch.index(messageIds.have, 1), 1, 0],
  ['a bitfield', (batch) => batch.payload(messageIds.bitfield, new Uint8Array(1)), 250, 0],
  ['have all', (batch) => batch.empty(messageIds.haveAll), 250, 0],
  ['have none', (batch) => batch.empty(messageIds.haveNone), 250, 0],
  ['an extended message', (batch) => batch.extended(1, new Uint8Array(1)), 10, 0],
  ['a request that is taken', (batch) => batch.range(messageIds.request, 0, 0, 16384), 0, 16384],
  ['a request that is not taken', (batch) => batch.range(messageIds.request, 0, 0, 4), 1, 0],
  ['a cancelled request', (batch) => batch.range(messageIds.cancel, 0, 0, 16384), 8, -16384],
  ['a block into the provided memory', (batch) => pieceMessage(batch, 2, 0, new Uint8Array(9)), 0, 9],
  ['a block into other memory', (batch) => pieceMessage(batch, 3, 0, new Uint8Array(9)), 1, 0]
]
for (const [what, write, work, creditBytes] of works) {
  test(`${what} counts as ${work} of work and ${creditBytes} credited bytes`, () => {
    const onRange = (id: number, _piece: number, _offset: number, length: number): number =>
      length < 16384 ? 0 : id === messageIds.cancel ? -length : length
    const decoder = new WireDecoder({ ...recorder().handler, onRange }, defaultWireLimits)
    decoder.push(handshake)
    decoder.work = 0
    decoder.push(encode(write))
    assert.deepEqual([decoder.work, decoder.creditBytes], [work, creditBytes])
  })
}
