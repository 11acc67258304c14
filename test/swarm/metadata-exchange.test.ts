import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { BencodeDict } from '../../lib/bencode/bencode-dict.ts'
import { decodePrefix } from '../../lib/bencode/decode.ts'
import { encode } from '../../lib/bencode/encode.ts'
import { MetadataExchange } from '../../lib/swarm/metadata-exchange.ts'
import { MetadataMemory } from '../../lib/swarm/metadata-memory.ts'
import type { Peer } from '../../lib/swarm/peer.ts'
import type { ExtendedHandshake } from '../../lib/wire/extended-handshake.ts'
import type { WireExtension } from '../../lib/wire/extension.ts'

const length = 16384

/** Returns metadata of this many pieces; the last one is short. */
function metadataOf(pieces: number, byte = 7): Uint8Array {
  const metadata = new Uint8Array(pieces * length - 100)
  for (let n = 0; n < metadata.length; n++) metadata[n] = (n * byte) % 251
  return metadata
}

/** A peer that answers metadata requests when the test says so. */
class Source {
  readonly asked: number[] = []
  readonly peer: Peer
  extension: WireExtension | undefined
  /** The claimed length. */
  size = 0

  constructor(id: number) {
    const wire = {
      use: (extension: WireExtension) => {
        this.extension = extension
        return extension
      },
      extended: (_name: string, payload: Uint8Array) => {
        const { value } = decodePrefix(payload)
        assert.ok(value instanceof BencodeDict)
        if (value.integer('msg_type') === 0) this.asked.push(value.integer('piece') ?? -1)
        return true
      }
    }
    this.peer = { id, wire } as unknown as Peer
  }

  claim(size: number): void {
    this.size = size
    const remote = { extensions: new Map([['ut_metadata', 1]]), metadataSize: size }
    this.extension?.onHandshake?.(remote as unknown as ExtendedHandshake)
  }

  /** Answers all its requests, or only this piece. */
  answer(metadata: Uint8Array, pieces: readonly number[] = this.asked.splice(0)): void {
    for (const piece of pieces) {
      const head = encode({ msg_type: 1, piece, total_size: metadata.length })
      this.extension?.onMessage(
        Buffer.concat([head, metadata.subarray(piece * length, (piece + 1) * length)])
      )
    }
  }

  /** Sends zeros for one requested piece. */
  lie(): void {
    const piece = this.asked.shift()
    if (piece === undefined) return
    const head = encode({ msg_type: 1, piece, total_size: this.size })
    const zeroes = new Uint8Array(Math.min(length, this.size - piece * length))
    this.extension?.onMessage(Buffer.concat([head, zeroes]))
  }

  /** Rejects all its requests, or only these pieces. */
  refuse(pieces: readonly number[] = this.asked.splice(0)): void {
    for (const piece of pieces) this.extension?.onMessage(encode({ msg_type: 2, piece }))
  }
}

/** Makes an exchange of this metadata, in virtual time. */
function exchangeOf(
  t: TestContext,
  metadata: Uint8Array,
  limit?: number,
  memory = new MetadataMemory(limit)
) {
  const bench = {
    now: 0,
    memory,
    got: [] as Uint8Array[],
    exchange: new MetadataExchange(
      { v1: new Uint8Array(createHash('sha1').update(metadata).digest()) },
      memory,
      (info) => bench.got.push(info)
    ),
    join(id: number, size = metadata.length): Source {
      const source = new Source(id)
      bench.exchange.addPeer(source.peer)
      source.claim(size)
      return source
    }
  }
  t.mock.method(performance, 'now', () => bench.now)
  return bench
}

test('metadata of 16 pieces is requested at once: one round trip after the handshake', (t) => {
  const metadata = metadataOf(16)
  const bench = exchangeOf(t, metadata)
  const peer = bench.join(1)
  assert.deepEqual(peer.asked, [...Array(16).keys()])
  peer.answer(metadata)
  assert.deepEqual(bench.got, [metadata])
})

/** Returns the round trips after the handshake in which this many peers send this many pieces of metadata. */
function roundsOf(t: TestContext, pieces: number, peers: number): number {
  const metadata = metadataOf(pieces)
  const bench = exchangeOf(t, metadata)
  const sources = Array.from({ length: peers }, (_, id) => bench.join(id))
  let rounds = 0
  for (; bench.got.length === 0 && rounds < 100; rounds++) {
    const asked = sources.map((source) => source.asked.splice(0))
    sources.forEach((source, n) => void source.answer(metadata, asked[n]))
  }
  return rounds
}

test('a peer that answers gets more requests in each round trip, up to a depth that all clients accept', (t) => {
  assert.deepEqual(
    [16, 32, 64, 96, 256].map((pieces) => roundsOf(t, pieces, 1)),
    [1, 1, 2, 2, 5]
  )
  assert.deepEqual(
    [64, 96, 256, 512].map((pieces) => roundsOf(t, pieces, 4)),
    [1, 1, 2, 3]
  )
})

test('no peer gets more requests than its queue holds', (t) => {
  const metadata = metadataOf(256)
  const bench = exchangeOf(t, metadata)
  const peer = bench.join(1)
  let most = 0
  while (bench.got.length === 0) {
    const asked = peer.asked.splice(0)
    most = Math.max(most, asked.length)
    peer.answer(metadata, asked)
  }
  assert.equal(most, 64)
})

test('a peer that keeps us waiting gets fewer requests next time', (t) => {
  const metadata = metadataOf(256)
  const bench = exchangeOf(t, metadata)
  const peer = bench.join(1)
  const first = peer.asked.splice(0)
  bench.now = 1000
  bench.exchange.wake()
  bench.exchange.wake()
  assert.deepEqual(peer.asked, [])
  peer.answer(metadata, first.splice(0, 16))
  assert.deepEqual(
    peer.asked,
    [...Array(16).keys()].map((n) => n + 32)
  )
})

test('a peer that rejects for a full queue gets no more than the queue holds', (t) => {
  const metadata = metadataOf(128)
  const bench = exchangeOf(t, metadata)
  const peer = bench.join(1)
  let refused = 0
  for (; bench.got.length === 0 && bench.now < 20_000; bench.now += 1000) {
    const asked = peer.asked.splice(0)
    peer.answer(metadata, asked.slice(0, 20))
    refused += asked.length > 20 ? asked.length - 20 : 0
    peer.refuse(asked.slice(20))
    bench.exchange.wake()
  }
  assert.deepEqual(bench.got, [metadata])
  assert.ok(refused < 40, `${refused} requests were too many`)
})

test('longer metadata is requested from several peers at once, each piece from one', (t) => {
  const metadata = metadataOf(100)
  const bench = exchangeOf(t, metadata)
  const peers = [1, 2, 3].map((id) => bench.join(id))
  const asked = peers.map((peer) => [...peer.asked])
  assert.deepEqual(asked.flat(), [...Array(100).keys()].slice(0, asked.flat().length))
  assert.ok(asked.every((pieces) => pieces.length >= 30))
  for (let round = 0; round < 10 && bench.got.length === 0; round++) {
    for (const peer of peers) peer.answer(metadata)
  }
  assert.deepEqual(bench.got, [metadata])
})

test('an overdue piece is requested from another peer after a second, and either answer counts', (t) => {
  const metadata = metadataOf(3)
  const bench = exchangeOf(t, metadata)
  const slow = bench.join(1)
  const quick = bench.join(2)
  assert.deepEqual([slow.asked, quick.asked], [[0, 1, 2], []])
  bench.now = 999
  bench.exchange.wake()
  assert.deepEqual(quick.asked, [])
  bench.now = 1000
  bench.exchange.wake()
  assert.deepEqual(quick.asked, [0, 1, 2])
  slow.answer(metadata, [2])
  quick.answer(metadata)
  assert.deepEqual(bench.got, [metadata])
  slow.answer(metadata)
  assert.equal(bench.got.length, 1)
})

test('received pieces stay when their only source leaves, and the next source continues', (t) => {
  const metadata = metadataOf(5)
  const bench = exchangeOf(t, metadata)
  const first = bench.join(1)
  first.answer(metadata, [0, 1, 4])
  bench.exchange.removePeer(first.peer)
  const next = bench.join(2)
  assert.deepEqual(next.asked, [2, 3])
  next.answer(metadata)
  assert.deepEqual(bench.got, [metadata])
})

test('a peer that drops requests is asked again', (t) => {
  const metadata = metadataOf(3)
  const bench = exchangeOf(t, metadata)
  const peer = bench.join(1)
  peer.answer(metadata, [0])
  peer.asked.length = 0
  bench.now = 9999
  bench.exchange.wake()
  assert.deepEqual(peer.asked, [])
  bench.now = 10_000
  bench.exchange.wake()
  peer.answer(metadata)
  assert.deepEqual(bench.got, [metadata])
})

test('a peer that sent nothing and rejects is asked again after half a minute', (t) => {
  const metadata = metadataOf(1)
  const bench = exchangeOf(t, metadata)
  const peer = bench.join(1)
  peer.refuse()
  bench.now = 29_999
  bench.exchange.wake()
  assert.deepEqual(peer.asked, [])
  bench.now = 30_000
  bench.exchange.wake()
  peer.answer(metadata)
  assert.deepEqual(bench.got, [metadata])
})

test('a piece rejected by a peer that sends others is requested again soon, later each time', (t) => {
  const metadata = metadataOf(8)
  const bench = exchangeOf(t, metadata)
  const peer = bench.join(1)
  const [first = -1, ...others] = peer.asked.splice(0)
  peer.refuse([first])
  // The pieces that it sends prove that it has the metadata.
  peer.answer(metadata, others)
  const askedAt: number[] = []
  for (; bench.now <= 100_000; bench.now += 1000) {
    bench.exchange.wake()
    if (peer.asked.length > 0) askedAt.push(bench.now / 1000)
    peer.refuse()
  }
  assert.deepEqual(askedAt, [1, 3, 7, 15, 31, 61, 91])
  bench.now = 121_000
  bench.exchange.wake()
  peer.answer(metadata)
  assert.deepEqual(bench.got, [metadata])
})

test('a piece that one peer rejects is requested from another at the next check', (t) => {
  const metadata = metadataOf(8)
  const bench = exchangeOf(t, metadata)
  const one = bench.join(1)
  const other = bench.join(2)
  assert.deepEqual([one.asked.length, other.asked], [8, []])
  one.refuse()
  bench.exchange.wake()
  assert.equal(other.asked.length, 8)
})

test('a peer that claims another length waits for no other, however many liars send a little', (t) => {
  const metadata = metadataOf(3)
  const bench = exchangeOf(t, metadata)
  const liars = Array.from({ length: 40 }, (_, n) => bench.join(n, (30 << 20) + n))
  for (; bench.now < 60_000; bench.now += 1000) {
    bench.exchange.wake()
    if (bench.now % 5000 === 0) for (const liar of liars) liar.lie()
  }
  const honest = bench.join(100)
  assert.deepEqual(honest.asked, [0, 1, 2])
  honest.answer(metadata)
  assert.deepEqual(bench.got, [metadata])
})

test('liars of the right length that send a little get their turn and no more', (t) => {
  const metadata = metadataOf(64)
  const bench = exchangeOf(t, metadata)
  const liars = [1, 2, 3].map((id) => bench.join(id))
  const honest = [4, 5].map((id) => bench.join(id))
  for (; bench.got.length === 0 && bench.now < 3_600_000; bench.now += 1000) {
    bench.exchange.wake()
    for (const peer of honest) peer.answer(metadata)
    // They start fast, so that the first complete copy has pieces of theirs.
    for (const liar of liars) {
      if (bench.now < 1000) liar.answer(metadataOf(64, 3))
      else if (bench.now % 5000 === 0) liar.lie()
    }
  }
  assert.deepEqual(bench.got, [metadata])
  assert.ok(bench.now <= 30_000, `it took ${bench.now} ms`)
})

test('a slow peer asked for everything is not abandoned for peers that are asked as well', (t) => {
  const metadata = metadataOf(32)
  const bench = exchangeOf(t, metadata)
  const slow = bench.join(1)
  const liars = [2, 3, 4].map((id) => bench.join(id))
  for (; bench.got.length === 0 && bench.now < 300_000; bench.now += 1000) {
    bench.exchange.wake()
    slow.answer(metadata, slow.asked.splice(0, 1))
    for (const liar of liars) {
      if (bench.now < 1000) liar.answer(metadataOf(32, 3))
      else if (bench.now % 3000 === 0) liar.lie()
    }
  }
  assert.deepEqual(bench.got, [metadata])
})

test('a peer that drops requests gets its turn after pieces of several did not fit together', (t) => {
  const metadata = metadataOf(3)
  const bench = exchangeOf(t, metadata)
  const honest = bench.join(1)
  honest.answer(metadata, [0])
  honest.asked.length = 0
  const liar = bench.join(2)
  bench.now = 1000
  bench.exchange.wake()
  liar.answer(metadataOf(3, 3))
  liar.asked.length = 0
  for (; bench.got.length === 0 && bench.now < 60_000; bench.now += 1000) {
    bench.exchange.wake()
    honest.answer(metadata)
  }
  assert.deepEqual(bench.got, [metadata])
})

test('a peer that dropped requests which others answered is asked for the rest', (t) => {
  const metadata = metadataOf(40)
  const bench = exchangeOf(t, metadata)
  const peer = bench.join(1)
  const dropped = peer.asked.splice(0)
  const other = bench.join(2)
  bench.now = 1000
  bench.exchange.wake()
  while (other.asked.some((piece) => dropped.includes(piece))) {
    const wanted = other.asked.filter((piece) => dropped.includes(piece))
    other.asked.length = 0
    other.answer(metadata, wanted)
  }
  bench.exchange.removePeer(other.peer)
  for (; bench.got.length === 0 && bench.now < 60_000; bench.now += 1000) {
    bench.exchange.wake()
    peer.answer(metadata)
  }
  assert.deepEqual(bench.got, [metadata])
})

test('a length that no peer claims any more is forgotten, unless a piece of it is stored', (t) => {
  const metadata = metadataOf(5)
  const bench = exchangeOf(t, metadata)
  const first = bench.join(1)
  first.answer(metadata, [0])
  bench.exchange.removePeer(first.peer)
  // Peers that claim one length after the other, and send pieces of each.
  for (let n = 1; n < 200; n++) {
    const fickle = bench.join(1 + n, 20 * length)
    fickle.claim(20 * length + n)
    if (n < 100) for (let k = 0; k < 2; k++) fickle.lie()
    bench.exchange.removePeer(fickle.peer)
  }
  const next = bench.join(300)
  assert.deepEqual(next.asked, [0, 1, 2, 3, 4])
  next.answer(metadata)
  assert.deepEqual(bench.got, [metadata])
})

test('memory is bounded: of two long lengths the one with fewer claims is dropped', (t) => {
  const metadata = metadataOf(6)
  const bench = exchangeOf(t, metadata, 8 * length)
  const liar = bench.join(1, metadata.length + 5 * length)
  const peers = [2, 3].map((id) => bench.join(id))
  liar.answer(metadataOf(11, 3), [0, 1, 2, 3, 4, 5])
  for (const peer of peers) peer.answer(metadata)
  assert.deepEqual(bench.got, [metadata])
  const other = exchangeOf(t, metadata, 8 * length)
  const single = other.join(1)
  const crowd = [2, 3, 4].map((id) => other.join(id, metadata.length + 5 * length))
  single.answer(metadata, [0, 1, 2, 3])
  single.asked.length = 0
  for (const peer of crowd) peer.answer(metadataOf(11, 3), peer.asked.splice(0, 6))
  // It begins anew, and is not abandoned.
  other.now = 10_000
  other.exchange.wake()
  for (let round = 0; round < 5 && other.got.length === 0; round++) {
    single.answer(metadata)
    other.now += 2000
    other.exchange.wake()
  }
  assert.deepEqual(other.got, [metadata])
})

test('a length dropped for memory waits, longer each time', (t) => {
  const metadata = metadataOf(6)
  const bench = exchangeOf(t, metadata, 8 * length)
  const liar = bench.join(1, 20 * length)
  const begunAt: number[] = []
  const honest = [2, 3].map((id) => bench.join(id))
  honest[0]?.answer(metadata, [0, 1, 2])
  honest[0]?.asked.splice(0)
  for (; bench.now < 30_000; bench.now += 1000) {
    bench.exchange.wake()
    if (liar.asked.length > 0) begunAt.push(bench.now / 1000)
    while (liar.asked.length > 0) liar.lie()
    assert.ok(bench.memory.used <= 8 * length)
  }
  assert.deepEqual(begunAt, [0, 2, 6, 14])
  for (const peer of honest) peer.answer(metadata)
  assert.deepEqual(bench.got, [metadata])
})

test("torrents share the memory: liars fill only their own torrent's share, and all is released", (t) => {
  const metadata = metadataOf(6)
  const memory = new MetadataMemory(16 * length)
  const lied = [1, 2].map((byte) => exchangeOf(t, metadataOf(30, byte), undefined, memory))
  const bench = exchangeOf(t, metadata, undefined, memory)
  t.mock.method(performance, 'now', () => bench.now)
  // Many claim it, and are fast except for the end.
  const liars = lied.flatMap((other) => [1, 2, 3, 4].map((id) => other.join(id, 29 * length)))
  const peer = bench.join(1)
  for (let round = 0; bench.got.length === 0 && round < 30; round++) {
    for (const liar of liars) while (liar.asked.length > 1) liar.lie()
    peer.answer(metadata, peer.asked.splice(0, 1))
    assert.ok(memory.used <= memory.limit)
    bench.now += 1000
    bench.exchange.wake()
    for (const other of lied) other.exchange.wake()
    if (bench.got.length === 0) assert.equal(peer.asked.length, 5 - round)
  }
  assert.deepEqual(bench.got, [metadata])
  bench.now += 60_000
  for (const { exchange } of lied) exchange.wake()
  for (const liar of liars) liar.lie()
  assert.ok(memory.used > 0)
  for (const { exchange } of lied) exchange.close()
  assert.equal(memory.used, 0)
})

test('if metadata exceeds its share of memory, the copy that completes first continues', (t) => {
  const metadata = metadataOf(8)
  const memory = new MetadataMemory(16 * length)
  const lied = [1, 2].map((byte) => exchangeOf(t, metadataOf(30, byte), undefined, memory))
  const bench = exchangeOf(t, metadata, undefined, memory)
  t.mock.method(performance, 'now', () => bench.now)
  const liars = lied.map((other) => other.join(1, 29 * length))
  bench.now = 10_000
  for (const liar of liars) for (let n = 0; n < 7; n++) liar.lie()
  const peer = bench.join(1)
  peer.answer(metadata)
  assert.deepEqual(bench.got, [metadata])
})

test('no memory is held for disconnected peers, for liars, or once the metadata is complete', (t) => {
  const metadata = metadataOf(6)
  const bench = exchangeOf(t, metadata)
  const liar = bench.join(1)
  liar.answer(metadataOf(6, 3))
  assert.equal(bench.memory.used, 0)
  const [one, two] = [2, 3].map((id) => bench.join(id))
  assert.ok(one !== undefined && two !== undefined)
  one.answer(metadataOf(6, 3), [0, 1])
  bench.now = 1000
  bench.exchange.wake()
  two.answer(metadata)
  // Pieces do not fit together: peers are asked one after the other.
  assert.equal(bench.memory.used, 0)
  one.answer(metadata, [2, 3])
  assert.ok(bench.memory.used > 0)
  bench.exchange.removePeer(one.peer)
  assert.equal(bench.memory.used, 0)
  two.answer(metadata)
  assert.deepEqual(bench.got, [metadata])
  assert.equal(bench.memory.used, 0)
})

test('when pieces of several peers do not fit together, one is asked for all', (t) => {
  const metadata = metadataOf(4)
  const bench = exchangeOf(t, metadata)
  const liar = bench.join(1)
  const honest = bench.join(2)
  bench.now = 1000
  bench.exchange.wake()
  liar.answer(metadataOf(4, 3), [0, 1])
  honest.asked.push(2, 3)
  honest.answer(metadata)
  for (let round = 0; round < 30 && bench.got.length === 0; round++) {
    liar.answer(metadataOf(4, 3))
    honest.answer(metadata)
    bench.now += 1000
    bench.exchange.wake()
  }
  assert.deepEqual(bench.got, [metadata])
})

test('peers are served once the metadata is complete, and rejected before', (t) => {
  const metadata = metadataOf(2)
  const bench = exchangeOf(t, metadata)
  const sent: Uint8Array[] = []
  const source = new Source(1)
  Object.assign(source.peer.wire, { extended: (_: string, payload: Uint8Array) => sent.push(payload) > 0 })
  bench.exchange.addPeer(source.peer)
  const ask = (piece: number): string => {
    source.extension?.onMessage(encode({ msg_type: 0, piece }))
    return Buffer.from(sent.at(-1) ?? []).toString('latin1', 0, 30)
  }
  assert.match(ask(0), /^d8:msg_typei2e5:piecei0ee$/)
  bench.exchange.set(metadata)
  assert.equal(bench.exchange.length, metadata.length)
  assert.match(ask(1), /^d8:msg_typei1e5:piecei1e10:tot/)
  assert.match(ask(2), /^d8:msg_typei2e5:piecei2ee$/) // A repeated request is served after a loss, but not without limit.
  let served = 1
  while (/^d8:msg_typei1e/.test(ask(0)))
    assert.ok(++served < 20, 'repeated requests are served without limit')
  assert.ok(served >= 8)
})

test('a peer that keeps claiming new lengths is ignored, and a repeated length does not start anew', (t) => {
  const metadata = metadataOf(16)
  const bench = exchangeOf(t, metadata)
  const liar = bench.join(1, 20 * length)
  for (let n = 0; n < 1000; n++) liar.claim(30 * length + n)
  assert.ok(liar.asked.length <= 4 * 64, `${liar.asked.length} requests`)
  liar.asked.length = 0
  const repeater = bench.join(2)
  assert.deepEqual(repeater.asked, [...Array(16).keys()])
  for (let n = 0; n < 1000; n++) repeater.claim(metadata.length)
  assert.equal(repeater.asked.length, 16)
  repeater.answer(metadata)
  assert.deepEqual(bench.got, [metadata])
  assert.deepEqual(liar.asked, [])
})
