import assert from 'node:assert/strict'
import { once } from 'node:events'
import { truncateSync } from 'node:fs'
import type { Socket } from 'node:net'
import path from 'node:path'
import { test } from 'node:test'
import { layoutOf } from '../../lib/metainfo/layout.ts'
import { deferred } from '../../lib/util/concurrency.ts'
import { DontHaveExtension } from '../../lib/wire/lt-donthave.ts'
import { UploadOnlyExtension } from '../../lib/wire/upload-only.ts'
import { whenClosed } from '../support/closed.ts'
import { until } from '../support/until.ts'
import { addressOf, Bench } from './bench.ts'
import { type Behaviour, dial, EvilPeer, listenAs } from './evil-peer.ts'
import { FaultyStorage } from './faulty-storage.ts'

/** A peer that sends upload-only and lost pieces, and what it received. */
function talker(more: Behaviour = {}): {
  behaviour: Behaviour
  uploadOnly: boolean[]
  lost: number[]
  extensions: { upload: UploadOnlyExtension; have: DontHaveExtension }[]
} {
  const uploadOnly: boolean[] = []
  const lost: number[] = []
  const extensions: { upload: UploadOnlyExtension; have: DontHaveExtension }[] = []
  const behaviour: Behaviour = {
    ...more,
    onWire: (peer) => {
      const upload = peer.wire.use(new UploadOnlyExtension(peer.wire, (value) => uploadOnly.push(value)))
      const have = peer.wire.use(new DontHaveExtension(peer.wire))
      extensions.push({ upload, have })
      peer.wire.extendedHandshake({})
      peer.wire.on('dont-have', (piece) => lost.push(piece))
      more.onWire?.(peer)
    }
  }
  return { behaviour, uploadOnly, lost, extensions }
}

test('a partial seed announces upload-only, disconnects seeds, and accepts them again when it wants more', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'show/one.bin': 200_000, 'show/two.bin': 200_000 })
  const { client: seed } = await bench.seeder(sample)
  const { behaviour, uploadOnly } = talker({ mute: true })
  const host = await listenAs(bench, sample, behaviour)
  const torrent = await bench
    .client()
    .add(sample.bytes, { peers: [addressOf(seed), host.address], select: [0] })
  await torrent.whenDone()
  await until('the leecher to hear it', () => uploadOnly.includes(true))
  await until('the seed to go', () => torrent.peers.every(({ uploadOnly }) => !uploadOnly))
  assert.equal(torrent.status, 'seeding')
  torrent.select(1)
  await torrent.whenDone()
  await until('it to change twice', () => uploadOnly.join(), { is: 'true,false,true' })
})

test('an upload-only peer gets no slot, and a seed does not keep it connected', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 200_000 })
  const { client: seed, torrent } = await bench.seeder(sample, { uploadLimit: 8192 })
  const { behaviour } = talker({
    mute: true,
    onWire: ({ wire }) => {
      wire.interested()
      wire.extendedHandshake({ uploadOnly: true })
    }
  })
  const peer = new EvilPeer(dial(bench, seed.port), sample, behaviour)
  await whenClosed(peer.socket)
  assert.equal(torrent.uploaded, 0)
})

test('lost pieces of a peer are not requested, and our lost pieces are announced to all', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 200_000 })
  const { behaviour, extensions } = talker({ answer: () => {} })
  const host = await listenAs(bench, sample, behaviour)
  const torrent = await bench.client().add(sample.bytes, { peers: [host.address] })
  await until('the seed to be seen', () => torrent.pieces.every(({ availability }) => availability === 1))
  extensions[0]?.have.dontHave(3)
  await until('the loss to be seen', () => torrent.pieces[3]?.availability, { is: 0 })
  assert.equal(torrent.pieces.filter(({ availability }) => availability === 1).length, torrent.pieceCount - 1)
  const { client: seed, torrent: source } = await bench.seeder(sample)
  torrent.addPeer(addressOf(seed))
  await torrent.whenDone()
  await torrent.close()

  const { behaviour: other, lost } = talker({ mute: true })
  const peer = new EvilPeer(dial(bench, seed.port), sample, other)
  await until('all pieces to be told of', () => peer.wire.peerSeeding)
  truncateSync(path.join(sample.folder, 'film.mkv'), 100_000)
  await source.recheck()
  await until('the loss to be told', () => lost.length)
  assert.deepEqual(lost.sort(), [3, 4, 5, 6])
  assert.equal(peer.wire.peerPieceTotal, 3)
})

test('a super-seed offers each peer few pieces, until the mode is switched off', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 1_000_000 })
  const client = bench.client()
  const torrent = await client.seed(sample.root, {
    pieceLength: 32768,
    creationDate: false,
    superSeeding: true
  })
  assert.equal(torrent.superSeeding, true)
  const peers = [1, 2].map(() => new EvilPeer(dial(bench, client.port), sample, { mute: true }))
  await until('pieces to be shown', () => peers.every(({ wire }) => wire.peerPieceTotal > 0))
  const shown = peers.map(({ wire }) => {
    return [...Array(torrent.pieceCount).keys()].filter((piece) => wire.peerPieces.get(piece))
  })
  assert.equal(new Set(shown.flat()).size, 4)
  for (const { wire } of peers) assert.equal(wire.peerHandshake?.uploadOnly, false)
  torrent.superSeeding = false
  await until('everything to be shown', () => peers.every(({ wire }) => wire.peerSeeding))
})

test('a seed that becomes a super-seed offers new peers few pieces, and suggests none until it stops', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 1_000_000 })
  const { client, torrent } = await bench.seeder(sample)
  const suggested: number[] = []
  const join = (): EvilPeer => {
    const peer = new EvilPeer(dial(bench, client.port), sample, { mute: true })
    peer.wire.on('suggest', (piece) => suggested.push(piece))
    peer.wire.on('handshake', () => peer.wire.interested())
    return peer
  }
  const before = join()
  await until('everything to be shown', () => before.wire.peerSeeding)
  torrent.superSeeding = true
  const newcomers = [join(), join(), join()]
  await until('pieces to be shown', () =>
    newcomers.every(({ wire }) => wire.peerPieceTotal > 0 && !wire.peerChoking)
  )
  assert.ok(newcomers.every(({ wire }) => wire.peerPieceTotal < 5))
  assert.ok(before.wire.peerSeeding, 'announced pieces are not withdrawn')
  assert.deepEqual(suggested, [])
  torrent.superSeeding = false
  await until('everything to be shown', () => newcomers.every(({ wire }) => wire.peerSeeding))
  newcomers[0]?.wire.request(0, 0, 16384)
  await until('a suggestion', () => suggested.length)
})

test('two clients get everything from a super-seed', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 2_000_000 })
  const client = bench.client()
  await client.seed(sample.root, { pieceLength: 32768, creationDate: false, superSeeding: true })
  const first = bench.client()
  const one = await first.add(sample.bytes, { peers: [addressOf(client)] })
  const two = await bench.client().add(sample.bytes, { peers: [addressOf(client), addressOf(first)] })
  await Promise.all([one.whenDone(), two.whenDone()])
})

test('pause stops payload and keeps peers; resume continues at once', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 4_000_000 })
  for (const side of ['leecher', 'seed'] as const) {
    const { client: seed, torrent: source } = await bench.seeder(sample, { uploadLimit: 1_000_000 })
    const torrent = await bench.client().add(sample.bytes, { peers: [addressOf(seed)] })
    await once(torrent, 'verified')
    const paused = side === 'seed' ? source : torrent
    paused.pause()
    assert.equal(paused.status, 'paused')
    await until('requests to be cancelled', () => torrent.peers[0]?.requests, { is: 0 })
    // Outstanding blocks share the seed's limit with another torrent, and are sent before that one is
    // complete.
    const other = async (): Promise<void> => {
      const filler = await bench.sample({ 'filler.mkv': 200_000 })
      const { torrentFile = '' } = await seed.seed(filler.root)
      await (await bench.client().add(torrentFile, { peers: [addressOf(seed)] })).whenDone()
    }
    await other()
    const { received } = torrent
    await other()
    assert.equal(torrent.received, received, side)
    assert.equal(torrent.done, false)
    assert.equal(torrent.peers.length, 1)
    assert.equal(source.peers.length, 1)
    assert.equal(paused.peers[0]?.amChoking, true)
    paused.resume()
    const [peer] = paused.peers
    if (side === 'seed') assert.equal(peer?.amChoking, false)
    else assert.ok((peer?.requests ?? 0) > 0)
    await once(torrent, 'verified')
    await torrent.close()
    await source.close()
  }
})

test('allowed-fast pieces are not served while a torrent is paused', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 200_000 })
  const { client: seed, torrent } = await bench.seeder(sample, { uploadLimit: 8192 })
  const granted: number[] = []
  let rejected = 0
  const waiting: EvilPeer[] = []
  for (let n = 0; n < 3; n++) {
    new EvilPeer(dial(bench, seed.port), sample, {
      mute: true,
      onWire: (peer) => {
        peer.wire.interested()
        peer.wire.on('allowed-fast', (piece) => {
          granted.push(piece)
          waiting.push(peer)
        })
        peer.wire.on('reject', () => rejected++)
      }
    })
  }
  // Two slots for three peers: the third may still fetch a few allowed-fast pieces.
  await until('pieces to be granted', () => granted.length)
  const [peer] = waiting
  const [piece = 0] = granted
  // The last piece is short.
  const length = Math.min(16384, 200_000 - piece * sample.metainfo.pieceLength)
  assert.ok(peer?.wire.peerChoking === true)
  peer.wire.request(piece, 0, length)
  await once(peer.wire, 'piece')
  torrent.pause()
  peer.wire.request(piece, 0, length)
  await until('it to be refused', () => rejected, { is: 1 })
})

test('a torrent has limits of its own that can change at any time', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 1_000_000 })
  const { client: seed, torrent: source } = await bench.seeder(sample)
  const client = bench.client()
  await assert.rejects(client.add(sample.bytes, { downloadLimit: -1 }), { code: 'ERR_CLIENT_OPTION' })
  await assert.rejects(client.seed(sample.root, { uploadLimit: Number.NaN }), { code: 'ERR_CLIENT_OPTION' })
  const torrent = await client.add(sample.bytes, { peers: [addressOf(seed)], downloadLimit: 0 })
  assert.equal(torrent.downloadLimit, 0)
  assert.equal(torrent.uploadLimit, Number.POSITIVE_INFINITY)
  await until('the peer', () => torrent.peers[0]?.peerChoking, { is: false })
  assert.equal(torrent.received, 0)
  source.uploadLimit = 0
  torrent.downloadLimit = 10_000_000
  await until('the seed to choke', () => torrent.peers[0]?.peerChoking, { is: true })
  assert.throws(() => {
    torrent.uploadLimit = -5
  }, /uploadLimit is -5/)
  source.uploadLimit = Number.POSITIVE_INFINITY
  await torrent.whenDone()
})

test('pauses and priorities of ranges survive a restart; empty files are reported once', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'show/one.bin': 200_000, 'show/empty.txt': 0 })
  const folder = bench.folder()
  const first = bench.client({ path: folder })
  const told: string[] = []
  first.on('torrent', (torrent) => torrent.on('file', ({ name }) => told.push(name)))
  const before = await first.add(sample.bytes)
  before.deselect(before.files.map((_, index) => index))
  before.select({ start: 0, end: 40_000 }, 7)
  before.pause()
  await first.close()
  assert.deepEqual(told, ['empty.txt'])
  const second = bench.client({ path: folder })
  second.on('torrent', (torrent) => torrent.on('file', ({ name }) => told.push(name)))
  const torrent = await second.add(sample.bytes)
  assert.equal(torrent.status, 'paused')
  assert.deepEqual(told, ['empty.txt'])
  await torrent.close()
  const again = await second.add(sample.bytes, { paused: false })
  assert.equal(again.status, 'downloading')
})

for (const role of ['seed', 'leecher'] as const) {
  test(`a ${role} whose storage opens during a handshake works like any other`, async (t) => {
    const bench = new Bench(t)
    const sample = await bench.sample({ 'film.mkv': 100_000 })
    const filled = new FaultyStorage()
    const storage = new FaultyStorage()
    const opening = deferred<void>()
    storage.gate = opening.promise
    if (role === 'seed') {
      await filled.open(layoutOf(sample.metainfo))
      await filled.write(0, [sample.data])
      storage.read = (...args) => filled.read(...args)
    }
    const dialled = deferred<Socket>()
    const host = await listenAs(bench, sample, {
      onSocket: (socket) => {
        dialled.resolve(socket)
        return true
      }
    })
    const adding = bench.client().add(sample.bytes, { storage, peers: [host.address], verify: true })
    const socket = await dialled.promise
    // Its handshake comes before it knows the number of pieces.
    await once(socket, 'readable')
    opening.resolve()
    const torrent = await adding
    if (role === 'leecher') {
      new EvilPeer(socket, sample, {})
      await torrent.whenDone()
      return
    }
    await torrent.whenDone()
    const { wire } = new EvilPeer(socket, sample, { mute: true, onWire: (peer) => peer.wire.interested() })
    await once(wire, 'unchoke')
    wire.request(1, 0, 16384)
    const answer = once(wire, 'piece')
    wire.on('reject', () => assert.fail('we were refused'))
    const [piece] = await answer
    assert.equal(piece, 1)
  })
}
