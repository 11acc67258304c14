import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { whenClosed } from '../support/closed.ts'
import { turns } from '../support/turns.ts'
import { until } from '../support/until.ts'
import { addressOf, assertSame, Bench } from './bench.ts'
import { dial, EvilPeer, listenAs } from './evil-peer.ts'

function spoilt(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice()
  copy[0] = (copy[0] ?? 0) ^ 1
  return copy
}

/** Waits for the first connection. */
async function first(sockets: readonly Socket[]): Promise<void> {
  await until('the first connection', () => sockets.length)
}

/** Waits until the last connection is closed. */
async function closed(sockets: readonly Socket[]): Promise<void> {
  const socket = sockets.at(-1)
  if (socket !== undefined) await whenClosed(socket)
}

test('a peer that sends bad blocks is banned and never comes back', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 400_000 })
  const { client: seed } = await bench.seeder(sample)
  const evil = await listenAs(bench, sample, {
    answer: (peer, piece, offset, length) =>
      peer.wire.piece(piece, offset, spoilt(peer.block(piece, offset, length)))
  })
  const client = bench.client()
  const torrent = await client.add(sample.bytes, { peers: [evil.address] })
  await first(evil.sockets)
  await closed(evil.sockets)
  assert.equal(torrent.downloaded, 0)
  assert.ok(torrent.received > 0)
  assert.equal(torrent.peers.length, 0)
  torrent.addPeer(evil.address)
  torrent.addPeer(addressOf(seed))
  await torrent.whenDone()
  assert.equal(evil.sockets.length, 1)
  await client.close()
  assertSame(torrent, sample)
})

test('bad blocks among honest peers do no lasting harm', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 2_000_000 }, { pieceLength: 131_072 })
  const seeds = await Promise.all([bench.seeder(sample), bench.seeder(sample)])
  let lies = 0
  const liar = await listenAs(bench, sample, {
    answer: (peer, piece, offset, length) => {
      const right = peer.block(piece, offset, length)
      peer.wire.piece(piece, offset, ++lies % 3 === 0 ? spoilt(right) : right)
    }
  })
  const client = bench.client()
  const torrent = await client.add(sample.bytes, {
    peers: [liar.address, ...seeds.map((seed) => addressOf(seed.client))]
  })
  await torrent.whenDone()
  await client.close()
  assertSame(torrent, sample)
})

test('a peer that leaves before its bad blocks are found out is not dialled again', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 65_536 }, { pieceLength: 65_536 })
  let answered = 0
  const evil = await listenAs(bench, sample, {
    answer: (peer, piece, offset, length) => {
      if (++answered <= 3) peer.wire.piece(piece, offset, spoilt(peer.block(piece, offset, length)))
      else void turns().then(() => peer.socket.destroy())
    }
  })
  const torrent = await bench.client().add(sample.bytes, { peers: [evil.address] })
  await first(evil.sockets)
  await closed(evil.sockets)
  assert.equal(torrent.received, 3 * 16384)
  const honest = await listenAs(bench, sample)
  torrent.addPeer(honest.address)
  await torrent.whenDone()
  torrent.addPeer(evil.address)
  const other = await listenAs(bench, sample)
  torrent.addPeer(other.address)
  await first(other.sockets)
  assert.equal(evil.sockets.length, 1)
})

test('a peer that never answers delays nothing', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 400_000 })
  let asked = 0
  const silent = await listenAs(bench, sample, { answer: () => void asked++ })
  const torrent = await bench.client().add(sample.bytes, { peers: [silent.address] })
  await until('a request', () => asked)
  const { client: seed } = await bench.seeder(sample)
  torrent.addPeer(addressOf(seed))
  const read = torrent.files[0]?.arrayBuffer()
  await torrent.whenDone()
  assert.equal((await read)?.byteLength, 400_000)
  assert.equal(torrent.received, 400_000)
})

test('unrequested blocks change nothing', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 400_000 })
  const { client: seed } = await bench.seeder(sample)
  const evil = await listenAs(bench, sample, {
    onWire: (peer) => {
      peer.wire.once('interested', () => {
        for (let piece = 0; piece < 12; piece++) peer.raw(piece, 0, randomBytes(16384))
        peer.raw(0, 5, randomBytes(100))
        peer.raw(0, 0, randomBytes(1))
      })
    },
    answer: () => {}
  })
  const client = bench.client()
  const torrent = await client.add(sample.bytes, { peers: [evil.address] })
  await until('twelve blocks', () => torrent.received, { is: (value) => value >= 12 * 16384 })
  assert.equal(torrent.downloaded, 0)
  torrent.addPeer(addressOf(seed))
  await torrent.whenDone()
  await client.close()
  assertSame(torrent, sample)
})

const misbehaviours: Record<string, Parameters<typeof listenAs>[2]> = {
  garbage: {
    onSocket: (socket) => {
      socket.write(randomBytes(1000))
      return true
    }
  },
  silence: { onSocket: () => true },
  hangup: {
    onSocket: (socket) => {
      socket.destroy()
      return true
    }
  },
  'another torrent': { infoHash: new Uint8Array(20) },
  'a bitfield of the wrong length': { mute: true, onWire: ({ wire }) => wire.bitfield(new Uint8Array(100)) },
  'a piece that does not exist': { mute: true, onWire: ({ wire }) => wire.have(4000) },
  'a message of 4 GB': {
    mute: true,
    onWire: ({ socket }) => void socket.write(Buffer.from([255, 255, 255, 255, 7]))
  },
  'a block beyond the end': { mute: true, onWire: (peer) => peer.raw(12, 0, randomBytes(16384)) },
  'requests it may not make': {
    mute: true,
    onWire: ({ wire }) => {
      for (let count = 0; count < 3000; count++) wire.request(0, 0, 16384)
    }
  },
  'metadata that is none': { onWire: ({ wire }) => void wire.extended('ut_metadata', Buffer.from('i1e')) },
  'choking at once': { onWire: ({ wire }) => wire.on('request', () => wire.choke()), answer: () => {} },
  'refusing everything': { answer: ({ wire }, piece, offset, length) => wire.reject(piece, offset, length) }
}

for (const [name, behaviour] of Object.entries(misbehaviours)) {
  test(`a download continues beside a peer that offers ${name}`, async (t) => {
    const bench = new Bench(t)
    const sample = await bench.sample({ 'film.mkv': 400_000 })
    const evil = await listenAs(bench, sample, behaviour)
    const { client: seed } = await bench.seeder(sample)
    const client = bench.client()
    const torrent = await client.add(sample.bytes, { peers: [evil.address] })
    await first(evil.sockets)
    torrent.addPeer(addressOf(seed))
    await torrent.whenDone()
    await client.close()
    assertSame(torrent, sample)
  })
}

test('a peer that sends byte by byte is served and serves', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 20_000 })
  const slow = await listenAs(bench, sample, {
    onSocket: (socket) => {
      const write = socket.write.bind(socket)
      socket.write = ((data: Uint8Array, ...rest: never[]) => {
        for (let at = 0; at < data.length - 1; at++) write(data.subarray(at, at + 1))
        return write(data.subarray(data.length - 1), ...rest)
      }) as typeof socket.write
      return false
    }
  })
  const client = bench.client()
  const torrent = await client.add(sample.bytes, { peers: [slow.address] })
  await torrent.whenDone()
  await client.close()
  assertSame(torrent, sample)
})

test('a half-written block that another peer completes stays intact', async (t) => {
  for (const ending of ['rest', 'hangup'] as const) {
    const bench = new Bench(t)
    const sample = await bench.sample({ 'film.mkv': 65_536 }, { pieceLength: 65_536 })
    let begun: EvilPeer | undefined
    let at = 0
    const evil = await listenAs(bench, sample, {
      answer: (peer, piece, offset) => {
        if (begun !== undefined) return
        begun = peer
        at = offset
        // Half of a bad block, then silence.
        peer.raw(piece, offset, new Uint8Array(16384), 0, 8000)
      }
    })
    const client = bench.client()
    const torrent = await client.add(sample.bytes, { peers: [evil.address] })
    const peer = await until('the first request', () => begun)
    let brought = 0
    // Nothing may be sent between the two parts.
    let answered = Promise.resolve()
    const honest = await listenAs(bench, sample, {
      answer: (peer, piece, offset, length) => {
        answered = answered.then(async () => {
          const block = peer.block(piece, offset, length)
          if (offset !== at) {
            peer.wire.piece(piece, offset, block)
            return
          }
          // The block under test also comes in two parts, before and after the end of the other one.
          brought++
          peer.raw(piece, offset, block, 0, 5000)
          await turns()
          peer.raw(piece, offset, block, 5000)
        })
      }
    })
    torrent.addPeer(honest.address)
    await torrent.whenDone()
    assert.equal(brought, 1)
    if (ending === 'rest') peer.raw(0, at, new Uint8Array(16384), 8000)
    else peer.socket.destroy()
    await client.close()
    assert.equal(honest.sockets.length, 1)
    assertSame(torrent, sample)
  }
})

test('a half-written block of an abandoned piece does not count when the piece is fetched again', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 32_768 })
  let half: [piece: number, offset: number] | undefined
  const waiting: (() => void)[] = []
  const slow = await listenAs(bench, sample, {
    // Its answer to a cancel would arrive inside the block.
    fast: false,
    answer: (peer, piece, offset, length) => {
      const block = peer.block(piece, offset, length)
      if (half === undefined) {
        half = [piece, offset]
        peer.raw(piece, offset, block, 0, 8000)
        // After the block is requested again, send the rest and then the block.
        peer.wire.once('cancel', () => waiting.unshift(() => peer.raw(piece, offset, block, 8000)))
        return
      }
      waiting.push(() => peer.raw(piece, offset, block))
      const again = half[0] === piece && half[1] === offset
      if (again) for (const send of waiting.splice(0)) send()
    }
  })
  const client = bench.client()
  const torrent = await client.add(sample.bytes, { peers: [slow.address] })
  await until('half of the block', () => half)
  // The half is read before the two following messages are answered.
  await turns()
  torrent.deselect(0)
  torrent.select(0)
  await torrent.whenDone()
  assert.equal(slow.sockets.length, 1, 'an honest peer is not banned for it')
})

test('a client that dials itself hangs up', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 100_000 })
  const { client: seed } = await bench.seeder(sample)
  const client = bench.client()
  const torrent = await client.add(sample.bytes)
  const met: string[] = []
  torrent.on('peer', ({ address }) => met.push(address))
  torrent.addPeer(addressOf(client))
  await turns(200)
  assert.deepEqual(torrent.peers, [])
  torrent.addPeer(addressOf(seed))
  await torrent.whenDone()
  assert.deepEqual(met, [addressOf(seed)])
})

/** Returns a peer id that is lower or higher than that of any client here. */
function peerIdFrom(first: number): Uint8Array {
  return Uint8Array.of(first, ...randomBytes(19))
}

test('one peer has one connection', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 100_000 })
  const behaviour = { peerId: peerIdFrom(255), answer: () => {} }
  const [one, two] = [await listenAs(bench, sample, behaviour), await listenAs(bench, sample, behaviour)]
  const client = bench.client()
  const torrent = await client.add(sample.bytes, { peers: [one.address] })
  const connected = (): string[] => torrent.peers.map(({ address }) => address)
  await until('the first connection', () => connected().length)
  torrent.addPeer(two.address)
  await first(two.sockets)
  await closed(two.sockets)
  assert.deepEqual(connected(), [one.address])
  // A second, incoming connection is refused too.
  const socket = dial(bench, client.port)
  new EvilPeer(socket, sample, behaviour)
  await whenClosed(socket)
  assert.deepEqual(connected(), [one.address])
})

test('the answered one of two crossed dials stays, else the one of the higher peer id', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 100_000 })
  for (const { first: id, answers } of [
    { first: 0, answers: 'before' },
    { first: 255, answers: 'before' },
    { first: 0, answers: 'after' },
    { first: 255, answers: 'after' }
  ] as const) {
    const behaviour = { peerId: peerIdFrom(id), answer: () => {} }
    const held: Socket[] = []
    const host = await listenAs(bench, sample, {
      ...behaviour,
      onSocket: (socket) => {
        if (answers === 'after') held.push(socket.on('error', () => {}))
        return answers === 'after'
      }
    })
    const client = bench.client()
    const torrent = await client.add(sample.bytes, { peers: [host.address] })
    const connected = (): number => torrent.peers.length
    const ours = (): boolean => (answers === 'before' ? connected() === 1 : held.length === 1)
    await until('our dial', ours)
    const socket = dial(bench, client.port)
    new EvilPeer(socket, sample, behaviour)
    if (answers === 'before') await until('the dial of the other to be refused', () => socket.closed)
    else {
      await until('the dial of the other', () => connected(), { is: 1 })
      const [late] = held
      assert.ok(late !== undefined)
      new EvilPeer(late, sample, behaviour)
      const loser = id === 0 ? socket : late
      await until('the other to be dropped', () => loser.closed)
    }
    await until('one connection', () => connected(), { is: 1 })
    const isIncoming = answers === 'after' && id === 255
    assert.deepEqual(
      torrent.peers.map(({ incoming }) => incoming),
      [isIncoming],
      `${id} ${answers}`
    )
    await client.close()
  }
})

test('a peer that dialled us is not redialled because our own dial crossed its dial', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 100_000 })
  const behaviour = { peerId: peerIdFrom(255), answer: () => {} }
  const held: Socket[] = []
  const host = await listenAs(bench, sample, {
    ...behaviour,
    onSocket: (socket) => held.push(socket.on('error', () => {})) > 0
  })
  const client = bench.client()
  const torrent = await client.add(sample.bytes, { peers: [host.address] })
  await until('our dial', () => held.length, { is: 1 })
  const port = Number(host.address.split(':')[1])
  const onWire = ({ wire }: EvilPeer): void => {
    wire.extendedHandshake({ port })
    wire.interested()
  }
  new EvilPeer(dial(bench, client.port), sample, { ...behaviour, onWire })
  await until('the message after its port', () => torrent.peers[0]?.peerInterested)
  held[0]?.destroy()
  await turns()
  // An unconnected peer would be dialled at once when it is named by hand.
  const other = await listenAs(bench, sample, { answer: () => {} })
  for (const { address } of [host, other]) torrent.addPeer(address)
  await until('the dial of the other', () => other.sockets.length)
  await turns()
  assert.equal(held.length, 1)
})

test('two peers that dial each other at the same time keep one connection', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 300_000 })
  for (let round = 0; round < 5; round++) {
    const { client: seed, torrent: source } = await bench.seeder(sample)
    const client = bench.client()
    // An idle torrent keeps the connection; a complete one would disconnect a seed.
    const torrent = await client.add(sample.bytes, { select: 'none' })
    torrent.addPeer(addressOf(seed))
    source.addPeer(addressOf(client))
    const connections = (): boolean[][] =>
      [torrent, source].map(({ peers }) => peers.map(({ incoming }) => incoming))
    await until('both to be connected', connections, { is: (both) => both.every(({ length }) => length > 0) })
    await turns(200)
    assert.deepEqual(connections().flat().sort(), [false, true], 'one connection, dialled by one of them')
    torrent.select(0)
    await torrent.whenDone()
    await Promise.all([client.close(), seed.close()])
  }
})

test('a request flood from a peer that does not read harms no other peer', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 2_000_000 })
  const { client: seed, torrent: source } = await bench.seeder(sample)
  const socket = dial(bench, seed.port)
  const flood = new EvilPeer(socket, sample, { mute: true })
  flood.wire.once('unchoke', () => {
    socket.unpipe()
    socket.pause()
    for (let piece = 0; piece < 61; piece++) {
      for (const offset of [0, 16384]) flood.wire.request(piece, offset, 16384)
      for (const offset of [0, 16384]) flood.wire.request(piece, offset, 16384)
    }
  })
  flood.wire.once('handshake', () => flood.wire.interested())
  await once(flood.wire, 'unchoke')
  const torrent = await bench.client().add(sample.bytes, { peers: [addressOf(seed)] })
  await torrent.whenDone()
  assert.ok(source.uploaded < 4_000_000 + 16384)
})

test('silent peers and requests for unknown torrents keep no other peer out', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 100_000 })
  const { client: seed } = await bench.seeder(sample)
  const silent = Array.from({ length: 80 }, () => dial(bench, seed.port))
  await Promise.all(silent.map((socket) => once(socket, 'connect')))
  const garbage = dial(bench, seed.port)
  // More than an MSE handshake has before its first known bytes.
  garbage.resume().write(randomBytes(1000))
  const wrong = dial(bench, seed.port)
  new EvilPeer(wrong, sample, { infoHash: new Uint8Array(20) })
  await Promise.all([whenClosed(garbage), whenClosed(wrong)])
  const torrent = await bench.client().add(sample.bytes, { peers: [addressOf(seed)] })
  await torrent.whenDone()
  await seed.close()
  await Promise.all(silent.map(whenClosed))
})

test('a reader of unverified bytes is told when they were wrong or abandoned', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.bin': 131_072 }, { pieceLength: 131_072 })
  for (const how of ['wrong', 'given up'] as const) {
    let answered = 0
    const peer = await listenAs(bench, sample, {
      answer: (one, piece, offset, length) => {
        if (++answered === 4 && how === 'given up') return
        if (answered < 4 || how === 'wrong')
          one.wire.piece(piece, offset, spoilt(one.block(piece, offset, length)))
      }
    })
    const torrent = await bench.client().add(sample.bytes, { peers: [peer.address] })
    const stream = torrent.files[0]?.createReadStream({ unverified: true })
    assert.ok(stream !== undefined)
    const failed = new Promise((resolve) => stream.on('error', resolve))
    if (how === 'given up') stream.once('data', () => void torrent.recheck())
    else stream.resume()
    await assert.rejects(
      failed.then((error) => Promise.reject(error)),
      { code: 'ERR_STREAM_UNVERIFIED' },
      how
    )
  }
})
