import assert from 'node:assert/strict'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import { TorrentError } from '../../lib/util/errors.ts'
import { encode, type MessageBatch } from '../../lib/wire/encoder.ts'
import { messageIds } from '../../lib/wire/messages.ts'
import { Wire, type WireEvents, type WireOptions } from '../../lib/wire.ts'
import { fc } from '../support/fast-check.ts'
import { collectUncaught } from '../support/uncaught.ts'

const infoHash = new Uint8Array(20).fill(1)
const peerId = new Uint8Array(20).fill(2)
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const events = [
  ...[
    'handshake',
    'choke',
    'unchoke',
    'interested',
    'not-interested',
    'have',
    'bitfield',
    'request',
    'cancel'
  ],
  ...['reject', 'suggest', 'allowed-fast', 'port', 'keep-alive', 'receivable', 'sendable', 'close']
] as const

/**
 * A wire whose peer is the test: `tell` sends messages to it, `told` returns its messages, `seen` lists its
 * events.
 */
class Peer {
  readonly wire: Wire
  readonly seen: string[] = []
  error: Error | undefined
  readonly #chunks: Uint8Array[] = []

  constructor(options: WireOptions = {}, { fast = true, extended = true, greet = true, read = true } = {}) {
    this.wire = new Wire(options)
    for (const name of events) {
      this.wire.on(name, (...parts: unknown[]) => {
        this.seen.push([name, ...(name === 'handshake' ? [] : parts)].join(' '))
      })
    }
    this.wire.on('error', (error) => {
      this.error = error
    })
    if (read) this.wire.on('data', (data) => this.#chunks.push(data as Uint8Array))
    if (!greet) return
    this.wire.handshake(infoHash, peerId)
    this.tell((batch) => batch.handshake(infoHash, peerId, { fast, extended, dht: true }))
    this.seen.length = 0
  }

  tell(write: (batch: MessageBatch) => void): boolean {
    return this.wire.receive(encode(write))
  }

  /** Returns the messages of the wire since the last call, as ids and numbers, without its handshake. */
  async told(): Promise<string[]> {
    await turn()
    await turn()
    let bytes = Buffer.concat(this.#chunks.splice(0))
    if (bytes[0] === 19) bytes = bytes.subarray(68)
    const list: string[] = []
    for (let at = 0; at < bytes.length; ) {
      const length = bytes.readUInt32BE(at)
      const id = bytes[at + 4]
      const numbers: number[] = []
      for (let n = at + 5; n + 4 <= at + 4 + length && n < at + 17; n += 4)
        numbers.push(bytes.readUInt32BE(n))
      if (length === 0) list.push('keep-alive')
      else if (id === 5) list.push(`5 ${bytes.subarray(at + 5, at + 4 + length).toString('hex')}`)
      else if (id === 9) list.push(`9 ${bytes.readUInt16BE(at + 5)}`)
      else if (id === 20) list.push(`20 ${bytes.subarray(at + 5, at + 4 + length).toString('latin1')}`)
      else list.push([id, ...(id === 7 ? numbers.slice(0, 2) : numbers)].join(' '))
      at += 4 + length
    }
    return list
  }
}

test('a node duplex piped through a wire is a working peer, and both end together', async () => {
  const sides: [Duplex, Duplex] = [new Duplex(), new Duplex()]
  sides.forEach((side, n) => {
    const other = sides[1 - n]
    side._read = () => {}
    side._write = (chunk, _encoding, done) => {
      other?.push(chunk)
      done()
    }
    side._final = (done) => {
      other?.push(null)
      done()
    }
  })
  const [a, b] = [new Wire({ pieceCount: 10 }), new Wire({ pieceCount: 10 })]
  sides[0].pipe(a).pipe(sides[0])
  sides[1].pipe(b).pipe(sides[1])
  const seen: string[] = []
  const closed = Promise.all(
    [a, b].map((wire) => new Promise<void>((resolve) => wire.on('close', () => resolve())))
  )
  b.on('handshake', (handshake) => {
    assert.deepEqual(handshake, { infoHash, peerId, fast: true, extended: true, dht: false })
    b.handshake(infoHash, new Uint8Array(20).fill(3))
    b.haveAll()
    b.unchoke()
  })
  b.on('request', (piece, offset, length) => b.piece(piece, offset, new Uint8Array(length).fill(piece)))
  a.on('bitfield', () => seen.push(`bitfield ${a.peerSeeding} ${a.peerPieceTotal}`))
  a.on('unchoke', () => a.requests(Uint32Array.of(1, 0, 16384, 2, 16384, 16384)))
  a.on('piece', (piece, offset, data, owned) => {
    seen.push(`piece ${piece} ${offset} ${data.length} ${data[5]} ${owned}`)
    if (piece === 2) a.end(undefined)
  })
  a.handshake(infoHash, peerId)
  await closed
  assert.deepEqual(seen, ['bitfield true 10', 'piece 1 0 16384 1 false', 'piece 2 16384 16384 2 false'])
  assert.deepEqual(a.peerId, new Uint8Array(20).fill(3))
})

test('a closed wire asks for no delay, and later messages do not count', async () => {
  const peer = new Peer({ pieceCount: 10 })
  const bytes = encode((batch) => {
    batch.index(messageIds.have, 10)
    batch.index(messageIds.have, 1)
  })
  assert.equal(peer.wire.received, 68)
  assert.equal(peer.wire.receive(bytes), true)
  assert.equal(peer.wire.destroying, true)
  assert.equal(peer.wire.receive(bytes), true)
  assert.equal(peer.wire.received, 68 + bytes.length)
})

test('a wire that closes while its bytes wait handles nothing more', async () => {
  const peer = new Peer({ pieceCount: 1000, limits: { turnMessages: 10 } })
  const asked = peer.tell((batch) => {
    for (let n = 0; n < 500; n++) batch.index(messageIds.have, n)
  })
  assert.equal(asked, false)
  peer.wire.destroy()
  peer.seen.length = 0
  for (let n = 0; n < 5; n++) await turn()
  assert.deepEqual(peer.seen, ['close'])
})

test('a wire that closes while the peer reads is not receivable', async () => {
  const peer = new Peer({ pieceCount: 10, limits: { controlLength: 10 } }, { read: false })
  peer.wire.unchoke()
  const asked = peer.tell((batch) => {
    batch.range(messageIds.request, 1, 0, 4)
    batch.range(messageIds.request, 2, 0, 0)
  })
  assert.equal(asked, false)
  peer.wire.piece(1, 0, new Uint8Array(4))
  peer.seen.length = 0
  peer.wire.answerLeft = () => peer.wire.destroy()
  peer.wire.on('data', () => {})
  for (let n = 0; n < 5; n++) await turn()
  assert.deepEqual(peer.seen, ['close'])
})

test('a wire that closes because of its rejects keeps none of them', async () => {
  const peer = new Peer({ pieceCount: 10, limits: { controlLengthMax: 500 } }, { read: false })
  peer.wire.unchoke()
  peer.tell((batch) => {
    for (let n = 0; n < 100; n++) batch.range(messageIds.request, 1, n, 4)
  })
  peer.wire.choke()
  await turn()
  assert.equal((peer.error as TorrentError | undefined)?.code, 'ERR_WIRE_LIMIT')
  assert.equal(peer.wire.bytesQueued, 0)
})

/** A wire with a limit of 8 bytes of answers, filled by one waiting answer. */
function heldPeer(): { peer: Peer; left: boolean[] } {
  const peer = new Peer({ pieceCount: 10, limits: { answerLength: 8 } }, { read: false })
  const left: boolean[] = []
  peer.wire.answerLeft = (_data, sent) => left.push(sent)
  peer.wire.unchoke()
  peer.tell((batch) => batch.range(messageIds.request, 1, 0, 8))
  assert.equal(peer.wire.piece(1, 0, new Uint8Array(8)), false)
  peer.seen.length = 0
  return { peer, left }
}

test('a cancelled answer makes room, and its data is reported as unsent', () => {
  const { peer, left } = heldPeer()
  peer.tell((batch) => batch.range(messageIds.cancel, 1, 0, 8))
  assert.deepEqual(peer.seen, ['cancel 1 0 8', 'sendable'])
  assert.deepEqual(left, [false])
})

test('a sent answer and an unrequested one leave the queue', async () => {
  const { peer, left } = heldPeer()
  assert.equal(peer.wire.piece(5, 0, new Uint8Array(8)), false)
  peer.wire.on('data', () => {})
  for (let n = 0; n < 5; n++) await turn()
  assert.deepEqual(left, [false, true])
  assert.deepEqual(peer.seen, ['sendable'])
})

test('a closed wire releases answers and memory, and is not sendable', async () => {
  const { peer, left } = heldPeer()
  peer.wire.blockTarget = () => undefined
  const handled: number[] = []
  peer.wire.onHandled = (ms) => handled.push(ms)
  peer.tell((batch) => batch.index(messageIds.have, 3))
  handled.length = 0
  peer.wire.destroy()
  assert.deepEqual(left, [false])
  assert.equal(peer.wire.blockTarget, undefined)
  peer.seen.length = 0
  for (let n = 0; n < 5; n++) await turn()
  assert.deepEqual(peer.seen, ['close'])
  assert.equal(handled.length, 1, 'the end is counted, too')
  const other = heldPeer()
  other.peer.wire.answerLeft = () => other.peer.wire.destroy()
  other.peer.wire.on('data', () => {})
  for (let n = 0; n < 5; n++) await turn()
  assert.deepEqual(other.peer.seen, ['close'])
})

test('a piece count after the end causes no event', async () => {
  const peer = new Peer()
  peer.tell((batch) => batch.index(messageIds.have, 3))
  peer.wire.destroy()
  await turn()
  peer.seen.length = 0
  peer.wire.setPieceCount(10)
  assert.deepEqual(peer.seen, [])
})

test('requests of a choked peer are counted anew after an unchoke', async () => {
  const peer = new Peer({ pieceCount: 10, limits: { chokedRequests: 3 } })
  const ask = (count: number): boolean =>
    peer.tell((batch) => {
      for (let n = 0; n < count; n++) batch.range(messageIds.request, 1, n, 4)
    })
  ask(3)
  peer.wire.unchoke()
  peer.wire.choke()
  ask(3)
  assert.equal(peer.wire.destroying, false)
  ask(1)
  await turn()
  assert.equal((peer.error as TorrentError | undefined)?.code, 'ERR_WIRE_LIMIT')
})

test('an extension attached late receives the earlier handshake', () => {
  const peer = new Peer({ pieceCount: 10 })
  peer.tell((batch) => batch.extended(0, Buffer.from('d1:pi5ee')))
  const ports: (number | undefined)[] = []
  peer.wire.use({ name: 'x', onHandshake: (remote) => ports.push(remote.port), onMessage: () => {} })
  assert.deepEqual(ports, [5])
})

test('nothing is sent before our handshake, which is sent once', async () => {
  const peer = new Peer({ pieceCount: 10 }, { greet: false })
  peer.tell((batch) => {
    batch.handshake(infoHash, peerId, { fast: true, extended: true, dht: false })
    batch.range(messageIds.request, 1, 0, 4)
    batch.range(messageIds.request, 99, 0, 4)
    batch.range(messageIds.cancel, 1, 0, 4)
  })
  peer.wire.flush()
  assert.equal(peer.wire.bytesQueued, 0)
  peer.wire.handshake(infoHash, peerId)
  peer.wire.handshake(infoHash, peerId)
  assert.equal(peer.wire.bytesQueued, 68)
  peer.wire.unchoke()
  assert.deepEqual(await peer.told(), ['1'])
  peer.wire.destroy()
})

test('messages of one turn leave as one buffer', async () => {
  const wire = new Wire({ pieceCount: 100 })
  const chunks: unknown[] = []
  wire.on('data', (data) => chunks.push(data))
  await turn()
  wire.handshake(infoHash, peerId)
  wire.unchoke()
  wire.interested()
  wire.haveMany([1, 2, 3])
  wire.requests([0, 0, 16384])
  await turn()
  assert.equal(chunks.length, 1)
  assert.equal(wire.sent, 68 + 5 + 5 + 27 + 17)
  wire.destroy()
})

test('every message is sent once and state follows', async () => {
  const peer = new Peer({ pieceCount: 20 })
  const { wire } = peer
  await peer.told()
  for (let twice = 0; twice < 2; twice++) {
    wire.unchoke()
    wire.interested()
  }
  assert.equal(wire.amChoking, false)
  assert.equal(wire.amInterested, true)
  wire.choke()
  wire.choke()
  wire.notInterested()
  wire.notInterested()
  wire.have(3)
  wire.bitfield(Uint8Array.of(1, 2, 0))
  wire.haveAll()
  wire.haveNone()
  wire.request(1, 2, 3)
  wire.cancel(1, 2, 3)
  wire.suggest(4)
  wire.allowedFast(5)
  wire.port(6881)
  wire.keepAlive()
  assert.deepEqual(await peer.told(), [
    ...['1', '2', '0', '3', '4 3', '5 010200', '14', '15', '6 1 2 3', '8 1 2 3', '13 4', '17 5', '9 6881'],
    'keep-alive'
  ])
  wire.destroy()
})

test('a peer without the fast extension gets bitfields and no fast messages', async () => {
  for (const peer of [
    new Peer({ pieceCount: 12 }, { fast: false }),
    new Peer({ pieceCount: 12, fast: false })
  ]) {
    const { wire } = peer
    assert.equal(wire.peerFast, false)
    assert.equal(wire.peerDht, true)
    wire.haveAll()
    wire.haveNone()
    wire.suggest(1)
    wire.allowedFast(1)
    wire.unchoke()
    peer.tell((batch) => batch.range(messageIds.request, 1, 0, 16384))
    wire.reject(1, 0, 16384)
    assert.equal(wire.peerRequests, 0)
    assert.deepEqual(await peer.told(), ['5 fff0', '1'])
    wire.destroy()
  }
  const unknown = new Peer({}, { fast: false })
  assert.throws(() => unknown.wire.haveAll(), { code: 'ERR_WIRE_ARGUMENT' })
})

test('the peer state follows its messages, with one event per change', () => {
  const peer = new Peer({ pieceCount: 20 })
  const { wire } = peer
  for (const id of [1, 1, 2, 2]) peer.tell((batch) => batch.empty(id))
  assert.equal(wire.peerChoking, false)
  assert.equal(wire.peerInterested, true)
  for (const id of [0, 0, 3, 3]) peer.tell((batch) => batch.empty(id))
  peer.tell((batch) => {
    batch.index(messageIds.have, 19)
    batch.index(messageIds.have, 19)
    batch.index(messageIds.suggest, 1)
    batch.index(messageIds.allowedFast, 2)
    batch.range(messageIds.reject, 1, 2, 3)
    batch.port(99)
    batch.keepAlive()
  })
  assert.equal(wire.peerPieceTotal, 1)
  assert.equal(wire.peerPieces.get(19), true)
  assert.deepEqual(peer.seen, [
    ...[
      'unchoke',
      'interested',
      'choke',
      'not-interested',
      'have 19',
      'suggest 1',
      'allowed-fast 2',
      'reject 1 2 3'
    ],
    ...['port 99', 'keep-alive']
  ])
  wire.destroy()
})

test('a late bitfield is merged with earlier messages', () => {
  const peer = new Peer({ pieceCount: 10 })
  peer.tell((batch) => {
    batch.index(messageIds.have, 9)
    batch.payload(messageIds.bitfield, Uint8Array.of(0xc0, 0))
  })
  assert.equal(peer.wire.peerPieceTotal, 3)
  peer.tell((batch) => batch.index(messageIds.have, 0))
  assert.deepEqual(peer.seen, ['have 9', 'bitfield'])
})

const held: [what: string, count: number, write: (batch: MessageBatch) => void, total: number | undefined][] =
  [
    ['nothing', 10, () => {}, 0],
    ['a bitfield', 10, (batch) => batch.payload(5, Uint8Array.of(0xff, 0x40)), 9],
    ['haves', 10, (batch) => [0, 9].forEach((piece) => void batch.index(4, piece)), 2],
    ['a bitfield and haves', 10, (batch) => [batch.payload(5, Uint8Array.of(0x80, 0)), batch.index(4, 9)], 2],
    ['haves and a bitfield', 10, (batch) => [batch.index(4, 9), batch.payload(5, Uint8Array.of(0x80, 0))], 2],
    ['have all', 10, (batch) => batch.empty(14), 10],
    ['have none', 10, (batch) => batch.empty(15), 0],
    ['have all and have none', 10, (batch) => [batch.empty(14), batch.empty(15)], 10],
    ['a short bitfield', 10, (batch) => batch.payload(5, Uint8Array.of(0xff)), undefined],
    ['a long bitfield', 8, (batch) => batch.payload(5, Uint8Array.of(0xff, 0)), undefined],
    ['spare bits', 10, (batch) => batch.payload(5, Uint8Array.of(0xff, 0x20)), 8],
    ['a have beyond the end', 10, (batch) => batch.index(4, 16), 0],
    ['a have just beyond the end', 10, (batch) => batch.index(4, 10), 0],
    ['a have beyond all torrents', 10, (batch) => batch.index(4, 0xffffffff), 0],
    [
      'a have beyond a short bitfield',
      9,
      (batch) => [batch.payload(5, Uint8Array.of(1, 0)), batch.index(4, 900)],
      1
    ]
  ]
for (const [what, count, write, total] of held) {
  test(`${what} before the count of pieces is known`, async () => {
    const peer = new Peer()
    peer.tell(write)
    const before = peer.seen.filter((name) => name === 'bitfield').length
    peer.wire.setPieceCount(count)
    if (total === undefined) {
      await turn()
      assert.equal((peer.error as TorrentError | undefined)?.code, 'ERR_WIRE_PROTOCOL')
      return
    }
    assert.equal(peer.wire.peerPieceTotal, total)
    assert.equal(peer.wire.peerSeeding, total === count)
    const isTold = total > 0 || before > 0
    assert.equal(peer.seen.filter((name) => name === 'bitfield').length - before, isTold ? 1 : 0)
    peer.seen.length = 0
    peer.wire.setPieceCount(count)
    await turn()
    assert.deepEqual(peer.seen, [])
    assert.equal(peer.error, undefined)
  })
}

test('pieces beyond a later known count are odd, and earlier requests for them are rejected', async () => {
  const peer = new Peer({ limits: { oddMessages: 0 } })
  peer.wire.unchoke()
  peer.tell((batch) => {
    batch.range(messageIds.request, 1, 0, 4)
    batch.index(messageIds.have, 16)
  })
  assert.deepEqual(peer.seen, ['have 16'])
  assert.deepEqual(await peer.told(), ['1', '16 1 0 4'])
  peer.wire.setPieceCount(10)
  await turn()
  assert.equal((peer.error as TorrentError | undefined)?.code, 'ERR_WIRE_PROTOCOL')
})

test('a piece lost before the count of pieces is known counts as once announced', () => {
  const peer = new Peer()
  peer.tell((batch) => batch.index(messageIds.have, 3))
  peer.wire.peerLost(3)
  peer.wire.setPieceCount(10)
  assert.equal(peer.wire.peerPieceTotal, 1)
  peer.wire.peerLost(3)
  assert.equal(peer.wire.peerPieceTotal, 0)
})

const bounds: [what: string, options: WireOptions, count: number | undefined][] = [
  ['a wire that knows pieces alone', { pieceCount: 10 }, undefined],
  ['a wire that learns the count later', { pieceLength: 100, totalLength: 950 }, 10],
  ['a wire that knows all lengths', { pieceCount: 10, pieceLength: 100, totalLength: 950 }, undefined]
]
for (const [what, options, count] of bounds) {
  test(`${what} accepts requests within its bounds`, async () => {
    const peer = new Peer(options)
    if (count !== undefined) peer.wire.setPieceCount(count)
    peer.wire.unchoke()
    peer.seen.length = 0
    const lengths = options.pieceLength !== undefined
    const within = lengths ? ['0 90 10', '9 0 50'] : ['0 90 10', '9 0 50', '1 1073741823 4', '9 90 20']
    const beyond = lengths
      ? ['0 90 11', '9 0 51', '10 0 1', '8 1073741824 4']
      : ['10 0 1', '4294967295 0 1', '1 1073741824 4']
    peer.tell((batch) => {
      for (const request of [...within, ...beyond]) {
        const [piece = 0, offset = 0, length = 0] = request.split(' ').map(Number)
        batch.range(messageIds.request, piece, offset, length)
      }
    })
    assert.deepEqual(
      peer.seen,
      within.map((request) => `request ${request}`)
    )
    assert.deepEqual(await peer.told(), ['1', ...beyond.map((request) => `16 ${request}`)])
  })
}

test('the names of extensions add up over handshakes, up to the limit', () => {
  const peer = new Peer({ pieceCount: 10, limits: { extensionNames: 2 } })
  for (const names of ['1:ai1e1:bi2e', '1:ci3e1:di4e', '1:ei5e'])
    peer.tell((batch) => batch.extended(0, Buffer.from(`d1:md${names}ee`)))
  const knows = ['a', 'b', 'c', 'd', 'e'].filter((name) => peer.wire.extended(name, new Uint8Array(0)))
  assert.deepEqual(knows, ['a', 'b', 'c', 'd'])
})

test('allowed-fast messages of a peer are read up to the limit', () => {
  const peer = new Peer({ pieceCount: 1000, limits: { allowedFast: 3 } })
  peer.tell((batch) => {
    for (let piece = 0; piece < 9; piece++) batch.index(messageIds.allowedFast, piece)
  })
  assert.deepEqual(peer.seen, ['allowed-fast 0', 'allowed-fast 1', 'allowed-fast 2'])
})

test('a repeated have-all copies no bits', () => {
  const peer = new Peer({ pieceCount: 10 })
  peer.tell((batch) => batch.empty(messageIds.haveAll))
  const { buffer } = peer.wire.peerPieces
  peer.tell((batch) => batch.empty(messageIds.haveAll))
  assert.equal(peer.wire.peerPieces.buffer, buffer)
  assert.equal(peer.wire.peerSeeding, true)
})

test('requests wait for answers, cause one event each, and answers are sent in request order', async () => {
  const peer = new Peer({ pieceCount: 10 })
  const { wire } = peer
  wire.unchoke()
  await peer.told()
  peer.tell((batch) => {
    for (const piece of [1, 2, 3, 2]) batch.range(messageIds.request, piece, 0, 4)
  })
  assert.deepEqual(peer.seen, ['request 1 0 4', 'request 2 0 4', 'request 3 0 4'])
  assert.equal(wire.peerRequests, 3)
  assert.equal(wire.piece(3, 0, new Uint8Array(4)), true)
  wire.piece(1, 0, new Uint8Array(4))
  wire.piece(1, 0, new Uint8Array(4))
  wire.piece(2, 0, new Uint8Array(5))
  wire.piece(9, 0, new Uint8Array(4))
  wire.reject(2, 0, 4)
  wire.reject(2, 0, 4)
  assert.deepEqual(await peer.told(), ['16 2 0 4', '7 1 0', '7 3 0'])
  assert.equal(wire.blockBytesSent, 8)
  wire.destroy()
})

test('deferrable messages are sent with the next one, or on flush', async () => {
  const peer = new Peer({ pieceCount: 10 })
  const { wire } = peer
  await peer.told()
  wire.haveMany([3, 4], true)
  await turn()
  assert.deepEqual(await peer.told(), [])
  wire.have(5)
  assert.deepEqual(await peer.told(), ['4 3', '4 4', '4 5'])
  wire.haveMany([6], true)
  wire.flush()
  assert.deepEqual(await peer.told(), ['4 6'])
  wire.flush()
  assert.deepEqual(await peer.told(), [])
  wire.destroy()
  wire.flush()
})

for (const fast of [true, false]) {
  test(`a cancel and a choke withdraw unsent answers, ${fast ? 'with' : 'without'} the fast extension`, async () => {
    const peer = new Peer({ pieceCount: 10 }, { fast })
    const { wire } = peer
    wire.allowedFast(7)
    wire.unchoke()
    await peer.told()
    wire.pause()
    peer.tell((batch) => {
      for (const piece of [0, 1, 2, 3, 4, 7]) batch.range(messageIds.request, piece, 0, 16384)
    })
    for (const piece of [0, 1, 2]) wire.piece(piece, 0, new Uint8Array(16384))
    await turn()
    peer.tell((batch) => {
      for (const piece of [0, 1, 3, 5]) batch.range(messageIds.cancel, piece, 0, 16384)
    })
    // The first block was pulled already, and the last one was never requested.
    assert.deepEqual(peer.seen.slice(6), ['cancel 1 0 16384', 'cancel 3 0 16384'])
    wire.choke()
    assert.equal(wire.peerRequests, fast ? 1 : 0)
    wire.resume()
    const rejects = [1, 3].map((piece) => `16 ${piece} 0 16384`)
    assert.deepEqual(
      await peer.told(),
      fast ? ['7 0 0', ...rejects, '0', '16 2 0 16384', '16 4 0 16384'] : ['7 0 0', '0']
    )
    wire.destroy()
  })
}

test('a choked peer may request only allowed-fast pieces', async () => {
  const peer = new Peer({ pieceCount: 10 })
  peer.wire.allowedFast(7)
  peer.tell((batch) => {
    batch.range(messageIds.request, 1, 0, 4)
    batch.range(messageIds.request, 7, 0, 4)
  })
  assert.deepEqual(peer.seen, ['request 7 0 4'])
  peer.wire.piece(7, 0, new Uint8Array(4))
  assert.deepEqual(await peer.told(), ['17 7', '16 1 0 4', '7 7 0'])
})

test('a full queue of requests rejects the rest', async () => {
  const peer = new Peer({ pieceCount: 10, requestQueue: 2 })
  peer.wire.unchoke()
  peer.tell((batch) => {
    for (const piece of [1, 2, 3]) batch.range(messageIds.request, piece, 0, 4)
  })
  assert.deepEqual(await peer.told(), ['1', '16 3 0 4'])
  assert.throws(() => new Wire({ requestQueue: 0 }), /requestQueue is 0/)
})

test('answers are held while the peer does not read, and continue when it does', async () => {
  const peer = new Peer({ pieceCount: 100 })
  const { wire } = peer
  wire.unchoke()
  await peer.told()
  wire.pause()
  peer.tell((batch) => {
    for (let piece = 0; piece < 60; piece++) batch.range(messageIds.request, piece, 0, 16384)
  })
  let answered = 0
  const answer = (): void => {
    while (answered < 60 && wire.piece(answered, 0, new Uint8Array(16384))) answered++
    answered++
  }
  answer()
  assert.ok(answered >= 31 && answered <= 33, `${answered}`)
  assert.ok(wire.bytesQueued >= 512 * 1024)
  const whenSendable: number[] = []
  wire.on('sendable', () => {
    whenSendable.push(wire.bytesQueued)
    answer()
  })
  wire.resume()
  assert.equal((await peer.told()).length, 60)
  assert.equal(wire.bytesQueued, 0)
  assert.ok(whenSendable.length > 0 && whenSendable.every((bytes) => bytes <= 256 * 1024), `${whenSendable}`)
})

test('a peer that requests without reading is paused, and closed when it persists', async () => {
  const limits = { controlLength: 1000, controlLengthMax: 4000, chokedRequests: 1e9 }
  const peer = new Peer({ pieceCount: 10, limits }, { read: false })
  const flood = (count: number) => (batch: MessageBatch) => {
    for (let n = 0; n < count; n++) batch.range(messageIds.request, 1, n, 4)
  }
  assert.equal(peer.tell(flood(20)), true)
  assert.equal(peer.tell(flood(60)), false)
  peer.wire.resume()
  await turn()
  assert.deepEqual(peer.seen, ['receivable'])
  peer.wire.pause()
  await turn()
  peer.tell(flood(50))
  await turn()
  peer.tell(flood(300))
  await turn()
  assert.equal((peer.error as TorrentError | undefined)?.code, 'ERR_WIRE_LIMIT')
  assert.equal(peer.tell(flood(300)), true)
})

test('a write waits while replies are not read', async () => {
  const wire = new Wire({ pieceCount: 10, limits: { controlLength: 100 } })
  wire.handshake(infoHash, peerId)
  wire.write(
    encode((batch) => batch.handshake(infoHash, peerId, { fast: true, extended: false, dht: false }))
  )
  await turn()
  const flood = encode((batch) => {
    for (let n = 0; n < 20; n++) batch.range(messageIds.request, 1, n, 4)
  })
  let haves = 0
  wire.on('have', () => haves++)
  wire.write(flood)
  wire.write(encode((batch) => batch.index(messageIds.have, 1)))
  await turn()
  assert.equal(haves, 0)
  wire.resume()
  await turn()
  assert.equal(haves, 1)
  const failed = new Promise((resolve) => wire.on('error', resolve))
  wire.write('text')
  assert.equal(((await failed) as TorrentError).code, 'ERR_WIRE_ARGUMENT')
})

test('a block is received into the provided memory', () => {
  const peer = new Peer({ pieceCount: 10 })
  const memory = new Uint8Array(8)
  peer.wire.blockTarget = (piece, offset, length) =>
    piece === 1 ? memory.subarray(offset, offset + length) : undefined
  const got: unknown[] = []
  peer.wire.on('piece', (piece, offset, data, owned) => got.push([piece, offset, [...data], owned]))
  const bytes = encode((batch) => {
    batch.payload(messageIds.piece, Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 4, 5, 6, 7))
    batch.payload(messageIds.piece, Uint8Array.of(0, 0, 0, 2, 0, 0, 0, 4, 8, 9))
  })
  for (const byte of bytes) peer.wire.receive(Uint8Array.of(byte))
  assert.deepEqual(got, [
    [1, 4, [5, 6, 7], true],
    [2, 4, [8, 9], false]
  ])
  assert.deepEqual([...memory], [0, 0, 0, 0, 5, 6, 7, 0])
  assert.equal(peer.wire.blockBytesReceived, 5)
})

test('extended handshakes and messages', async () => {
  const peer = new Peer({ pieceCount: 10, requestQueue: 77 })
  const { wire } = peer
  const got: string[] = []
  const extension = {
    name: 'x_test',
    onHandshake: (remote: { extensions: ReadonlyMap<string, number> }) =>
      got.push(`m ${[...remote.extensions]}`),
    onMessage: (payload: Uint8Array) => got.push(`message ${payload}`),
    onClose: () => got.push('close')
  }
  assert.equal(wire.use(extension), extension)
  assert.throws(() => wire.use(extension), /x_test/)
  wire.extendedHandshake({
    version: 'piecewise/1',
    port: 6881,
    yourIp: '1.2.3.4',
    metadataSize: 5,
    uploadOnly: true
  })
  assert.deepEqual(await peer.told(), [
    '20 \x00d1:md6:x_testi1ee13:metadata_sizei5e1:pi6881e4:reqqi77e11:upload_onlyi1e1:v11:piecewise/16:yourip4:\x01\x02\x03\x04e'
  ])
  assert.equal(wire.extended('x_test', Uint8Array.of(1)), false)
  assert.equal(wire.peerMaxRequests, 250)
  const hello =
    'd1:md1:ai300e1:bi-1e1:ci0e6:x_testi9ee4:ipv616:\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0113:metadata_sizei7e1:pi0e4:reqqi99e1:v5:a\x01b\x02c6:yourip4:\x04\x03\x02\x01e'
  peer.tell((batch) => {
    batch.extended(0, Buffer.from(hello, 'latin1'))
    batch.extended(1, Uint8Array.of(4, 5))
    batch.extended(2, Uint8Array.of(6))
  })
  const remote = wire.peerHandshake
  assert.deepEqual(remote, {
    version: 'abc',
    port: undefined,
    maxRequests: 99,
    yourIp: '4.3.2.1',
    ipv4: undefined,
    ipv6: '::1',
    metadataSize: 7,
    uploadOnly: undefined,
    extensions: new Map([
      ['c', 0],
      ['x_test', 9]
    ])
  })
  assert.equal(wire.peerMaxRequests, 99)
  assert.equal(wire.extended('x_test', Uint8Array.of(1, 2)), true)
  assert.equal(wire.extended('c', Uint8Array.of(1, 2)), false)
  assert.deepEqual(await peer.told(), ['20 \x09\x01\x02'])
  peer.tell((batch) => batch.extended(0, Buffer.from('d1:md6:x_testi0eee')))
  assert.equal(wire.extended('x_test', Uint8Array.of(1)), false)
  assert.equal(wire.peerMaxRequests, 99)
  wire.destroy()
  wire.destroy()
  assert.deepEqual(got, ['m c,0,x_test,9', 'message 4,5', 'm x_test,0', 'close'])
})

test('without the extension protocol extended messages are neither sent nor read', async () => {
  for (const peer of [new Peer({}, { extended: false }), new Peer({ extended: false })]) {
    peer.wire.extendedHandshake()
    peer.tell((batch) => batch.extended(0, Buffer.from('d1:pi5ee')))
    assert.deepEqual(await peer.told(), [])
    assert.equal(peer.wire.peerExtended, false)
    assert.equal(peer.wire.peerHandshake, undefined)
  }
})

const hostile: [
  what: string,
  write: (batch: MessageBatch) => void,
  code: string,
  options?: { fast: boolean }
][] = [
  ['a have beyond the end', (batch) => batch.index(4, 10), 'ERR_WIRE_PROTOCOL'],
  ['a short bitfield', (batch) => batch.payload(5, new Uint8Array(1)), 'ERR_WIRE_PROTOCOL'],
  ['a long bitfield', (batch) => batch.payload(5, new Uint8Array(3)), 'ERR_WIRE_PROTOCOL'],
  [
    'bitfields without end',
    (batch) => {
      for (let n = 0; n < 9; n++) batch.payload(5, new Uint8Array(2))
    },
    'ERR_WIRE_LIMIT'
  ],
  [
    'have-all, have-none and bitfields without end',
    (batch) => {
      for (let n = 0; n < 3; n++) {
        batch.empty(14)
        batch.empty(15)
        batch.payload(5, new Uint8Array(2))
      }
    },
    'ERR_WIRE_LIMIT'
  ],
  [
    'chokes without end',
    (batch) => {
      for (let n = 0; n < 510; n++) {
        batch.empty(1)
        batch.empty(0)
      }
    },
    'ERR_WIRE_LIMIT'
  ],
  [
    'extended handshakes without end',
    (batch) => {
      for (let n = 0; n < 70; n++) batch.extended(0, Buffer.from('de'))
    },
    'ERR_WIRE_LIMIT'
  ],
  ['have all without fast', (batch) => batch.empty(14), 'ERR_WIRE_PROTOCOL', { fast: false }],
  ['a reject without fast', (batch) => batch.range(16, 0, 0, 1), 'ERR_WIRE_PROTOCOL', { fast: false }],
  ['a suggestion without fast', (batch) => batch.index(13, 0), 'ERR_WIRE_PROTOCOL', { fast: false }],
  [
    'a block beyond the pieces',
    (batch) => batch.payload(7, Uint8Array.of(0, 0, 0, 10, 0, 0, 0, 0, 1)),
    'ERR_WIRE_PROTOCOL'
  ],
  [
    'a block beyond its piece',
    (batch) => batch.payload(7, Uint8Array.of(0, 0, 0, 0, 0, 0, 128, 0, 1)),
    'ERR_WIRE_PROTOCOL'
  ],
  ['a huge extended handshake', (batch) => batch.extended(0, new Uint8Array(20_000)), 'ERR_WIRE_LIMIT'],
  [
    'requests without end while choked',
    (batch) => {
      for (let n = 0; n < 4001; n++) batch.range(6, 0, n, 1)
    },
    'ERR_WIRE_LIMIT'
  ]
]
for (const [what, write, code, options] of hostile) {
  test(`${what} closes the wire, and no event follows`, async () => {
    const peer = new Peer({ pieceCount: 10, pieceLength: 32768, totalLength: 9 * 32768 + 10 }, options)
    peer.tell((batch) => {
      write(batch)
      batch.index(messageIds.have, 1)
    })
    for (let n = 0; n < 5; n++) await turn()
    assert.ok(peer.error instanceof TorrentError && peer.error.code === code, String(peer.error))
    assert.equal(peer.wire.destroyed, true)
    assert.equal(peer.seen.includes('have 1'), false)
    assert.equal(peer.seen.filter((name) => name === 'close').length, 1)
    assert.equal(
      peer.tell((batch) => batch.empty(1)),
      true
    )
  })
}

test('garbage never throws out of receive', () => {
  const property = fc.property(fc.boolean(), fc.array(fc.uint8Array({ maxLength: 60 })), (greet, chunks) => {
    const peer = new Peer({ pieceCount: 10 }, { greet })
    for (const chunk of chunks) peer.wire.receive(chunk)
    // Well-framed messages reach deeper than noise.
    for (const chunk of chunks) peer.tell((batch) => batch.payload((chunk[0] ?? 0) % 21, chunk.subarray(1)))
    peer.wire.destroy()
  })
  fc.assert(property, { numRuns: 200 })
})

const told: [event: string & keyof WireEvents, tell: (peer: Peer) => void][] = [
  ['have', (peer) => peer.tell((batch) => batch.index(messageIds.have, 1))],
  ['unchoke', (peer) => peer.tell((batch) => batch.empty(messageIds.unchoke))],
  ['data', ({ wire }) => wire.unchoke()],
  ['error', ({ wire }) => wire.destroy(new Error('told'))],
  ['close', ({ wire }) => wire.destroy()]
]
for (const [event, tell] of told) {
  test(`a throwing listener of '${event}' is uncaught, and the wire continues`, async (t) => {
    const uncaught = collectUncaught(t)
    const peer = new Peer({ pieceCount: 10 })
    const heard: string[] = []
    peer.wire.on(event, () => {
      throw new Error('faulty listener')
    })
    peer.wire.on(event, () => heard.push(event))
    peer.wire.on('close', () => heard.push('close'))
    tell(peer)
    await turn()
    await turn()
    assert.ok(heard.includes(event))
    assert.ok(uncaught.length > 0 && uncaught.every((error) => /faulty listener/.test(String(error))))
    const ends = event === 'error' || event === 'close'
    assert.equal(peer.wire.destroyed, ends)
    assert.equal(heard.includes('close'), ends)
  })
}

test("a client's own throwing listener closes its wire only", () => {
  const wire = Wire.ofClient({ pieceCount: 10 })
  wire.on('handshake', () => {
    throw new Error('faulty')
  })
  wire.receive(
    encode((batch) => batch.handshake(infoHash, peerId, { fast: true, extended: true, dht: false }))
  )
  assert.equal(wire.destroying, true)
})

test('an error without a listener is dropped, also after all listeners were removed', async () => {
  for (const wire of [new Wire(), Wire.ofClient()]) {
    wire.removeAllListeners()
    wire.destroy(new Error('unheard'))
    await turn()
    await turn()
    assert.equal(wire.destroyed, true)
  }
})

test('a callback that throws when told of an answer is uncaught', async (t) => {
  const uncaught = collectUncaught(t)
  const { wire } = new Peer()
  wire.answerLeft = () => {
    throw new Error('mine')
  }
  wire.piece(0, 0, new Uint8Array(1))
  await turn()
  assert.match(String(uncaught), /mine/)
  assert.equal(wire.destroyed, false)
})

const mistakes: [what: string, call: (wire: Wire) => unknown][] = [
  ['a short info hash', (wire) => wire.handshake(new Uint8Array(19), peerId)],
  ['a long peer id', (wire) => wire.handshake(infoHash, new Uint8Array(21))],
  ['a list that is not of triples', (wire) => wire.requests([1, 2])],
  ['a piece that is no number', (wire) => wire.have(Number.NaN)],
  ['a piece that is no whole number', (wire) => wire.have(1.5)],
  ['a negative offset', (wire) => wire.request(1, -1, 1)],
  ['a length of 0', (wire) => wire.request(1, 0, 0)],
  ['a port out of range', (wire) => wire.port(65536)],
  ['too many pieces', (wire) => wire.setPieceCount(0x200001)],
  ['too many pieces of a new wire', () => new Wire({ pieceCount: 0x200001 })]
]
for (const [what, call] of mistakes) {
  test(`${what} is refused at once`, () => {
    const { wire } = new Peer()
    assert.throws(() => call(wire), { code: 'ERR_WIRE_ARGUMENT' })
    assert.equal(wire.destroyed, false)
  })
}

test('nothing may be sent before the handshake, and nothing happens after the end', async () => {
  const peer = new Peer({ pieceCount: 10 }, { greet: false })
  const { wire } = peer
  assert.throws(() => wire.unchoke(), { code: 'ERR_WIRE_ARGUMENT' })
  wire.handshake(infoHash, peerId)
  wire.destroy()
  wire.unchoke()
  wire.have(1)
  wire.haveMany([1])
  wire.haveAll()
  wire.requests([1, 2, 3])
  wire.choke()
  wire.keepAlive()
  wire.port(1)
  wire.setPieceCount(10)
  wire.handshake(infoHash, peerId)
  wire.extendedHandshake()
  assert.equal(wire.piece(1, 0, new Uint8Array(1)), true)
  assert.equal(wire.bytesQueued, 0)
  await turn()
  assert.deepEqual(await peer.told(), [])
  assert.deepEqual(peer.seen, ['close'])
  assert.equal(peer.error, undefined)
  const ended = new Wire()
  ended.destroy()
  ended.handshake(infoHash, peerId)
  assert.equal(ended.bytesQueued, 0)
})
