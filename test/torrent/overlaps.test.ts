import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdirSync, readFileSync, rmdirSync } from 'node:fs'
import type { Socket } from 'node:net'
import path from 'node:path'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { layoutOf } from '../../lib/metainfo/layout.ts'
import { FileStorage } from '../../lib/storage/file-storage.ts'
import { parseAddress } from '../../lib/util/address.ts'
import { deferred } from '../../lib/util/concurrency.ts'
import { PexExtension } from '../../lib/wire/ut-pex.ts'
import { whenClosed } from '../support/closed.ts'
import { turns } from '../support/turns.ts'
import { until } from '../support/until.ts'
import { addressOf, assertSame, Bench, serve } from './bench.ts'
import { dial, EvilPeer, listenAs } from './evil-peer.ts'
import { FaultyStorage } from './faulty-storage.ts'

test('a peer cannot free the connection of another by claiming its port', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 100_000 })
  const host = await listenAs(bench, sample, { answer: () => {} })
  const other = await listenAs(bench, sample, { answer: () => {} })
  const client = bench.client()
  const torrent = await client.add(sample.bytes, { peers: [host.address] })
  await until('it is connected', () => torrent.peers.length, { is: 1 })
  const { port } = parseAddress(host.address)
  for (let n = 0; n < 3; n++) {
    const socket = dial(bench, client.port)
    new EvilPeer(socket, sample, {
      mute: true,
      onWire: ({ wire }) => {
        wire.extendedHandshake({ port })
        wire.interested()
      }
    })
    await until('the message after its port', () =>
      torrent.peers.some(({ peerInterested }) => peerInterested)
    )
    socket.destroy()
    await until('the second one has gone', () => torrent.peers.length, { is: 1 })
    torrent.addPeer(host.address)
  }
  torrent.addPeer(other.address)
  await until('another one is dialled', () => torrent.peers.length, { is: 2 })
  assert.equal(host.sockets.length, 1, 'a connected peer is not dialled again')
})

test('a dial under way is closed when the torrent turns out to be private', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 }, { private: true })
  const dialled = deferred<Socket>()
  const pexPeer = await listenAs(bench, sample, {
    onSocket: (socket) => {
      dialled.resolve(socket)
      return true
    }
  })
  const known = deferred<void>()
  const peer = await listenAs(bench, sample, {
    answer: () => {},
    answerMetadata: (extension, piece) => {
      void known.promise.then(() => extension.data(piece, sample.metainfo.info.length, sample.metainfo.info))
    },
    onWire: ({ wire }) => {
      const pex: PexExtension = wire.use(
        new PexExtension(wire, {
          onReady: () =>
            pex.send({ added: [{ address: parseAddress(pexPeer.address), flags: 0 }], dropped: [] })
        })
      )
      wire.extendedHandshake({ metadataSize: sample.metainfo.info.length })
    }
  })
  const infoHash = Buffer.from(sample.metainfo.infoHashes.v1 ?? []).toString('hex')
  const adding = bench.client({ pex: true }).add(infoHash, { peers: [peer.address] })
  const socket = await dialled.promise
  await once(socket, 'readable')
  known.resolve()
  const torrent = await adding
  assert.equal(torrent.private, true)
  const names: string[] = []
  torrent.on('peer', ({ source }) => names.push(source))
  new EvilPeer(socket, sample, { answer: () => {} })
  await whenClosed(socket)
  assert.deepEqual(
    torrent.peers.map(({ source }) => source),
    ['manual']
  )
  assert.deepEqual(names, [])
})

test('a peer that repeats a rejected request at once is slowed down', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 100_000 })
  const client = bench.client()
  await client.add(sample.bytes)
  let refused = 0
  const { wire } = new EvilPeer(dial(bench, client.port), sample, {
    mute: true,
    onWire: (peer) => peer.wire.interested()
  })
  wire.on('reject', (piece, offset, length) => {
    refused++
    wire.request(piece, offset, length)
  })
  await once(wire, 'unchoke')
  const began = performance.now()
  wire.request(0, 0, 16384)
  await until('the refusals of one second', () => refused, { is: (count) => count >= 64 })
  await turns(3000)
  const seconds = Math.ceil((performance.now() - began) / 1000)
  assert.ok(refused <= 64 * (seconds + 1), `refused ${refused} times in ${seconds} s`)
  assert.equal(wire.destroyed, false)
})

test('requests during a recheck are answered after it', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 100_000 })
  const storage = new FaultyStorage()
  const client = bench.client()
  const { client: seed } = await bench.seeder(sample)
  const torrent = await client.add(sample.bytes, { storage, peers: [addressOf(seed)] })
  await torrent.whenDone()
  await seed.close()
  const { wire } = new EvilPeer(dial(bench, client.port), sample, {
    mute: true,
    onWire: (peer) => peer.wire.interested()
  })
  await once(wire, 'unchoke')
  const gate = deferred<void>()
  const read = storage.read.bind(storage)
  storage.read = async (...args) => {
    await gate.promise
    return read(...args)
  }
  const checked = torrent.recheck()
  await until('nothing is sure', () => torrent.progress, { is: 0 })
  let refused = 0
  wire.on('reject', (piece, offset, length) => {
    refused++
    wire.request(piece, offset, length)
  })
  const got = once(wire, 'piece')
  wire.request(1, 0, 16384)
  await until('the refusals of one second', () => refused, { is: (count) => count >= 64 })
  gate.resolve()
  await checked
  const [piece] = await got
  assert.equal(piece, 1)
  assert.ok(refused < 200, `refused ${refused} times`)
})

test('a file that could not be made when selected is made after resume', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'pack/a': 100_000, 'pack/b': 100_000 })
  const { client: seed } = await bench.seeder(sample)
  const client = bench.client()
  const folder = bench.folder()
  const blocker = path.join(folder, 'pack/b')
  mkdirSync(blocker, { recursive: true })
  const torrent = await client.add(sample.bytes, { path: folder, select: [0], peers: [addressOf(seed)] })
  await torrent.whenDone()
  const failed = once(torrent, 'error')
  torrent.select(1)
  await failed
  assert.equal(torrent.status, 'error')
  rmdirSync(blocker)
  torrent.resume()
  await torrent.whenDone()
  await torrent.close()
  assertSame(torrent, sample)
})

test('trackers added in an earlier run hear at once how much is complete', async (t) => {
  const bench = new Bench(t)
  const state = bench.folder()
  const sample = await bench.sample({ 'film.mkv': 100_000 })
  const announces: URLSearchParams[] = []
  const url = await serve(bench, (request, response) => {
    announces.push(new URL(request.url ?? '', 'http://host').searchParams)
    response.end('d8:intervali1800e5:peers0:e')
  })
  const { client: seed } = await bench.seeder(sample)
  const folder = bench.folder()
  const first = bench.client({ state })
  const torrent = await first.add(sample.bytes, { path: folder, peers: [addressOf(seed)] })
  await torrent.whenDone()
  torrent.addTrackers([`${url}/announce`])
  await until('it is announced', () => announces.length)
  await first.close()
  for (const how of ['restored', 'added'] as const) {
    announces.length = 0
    const next = bench.client(how === 'restored' ? { state } : { state, restore: false })
    if (how === 'added') await next.add(sample.bytes, { path: folder })
    await until('it is announced again', () => announces.length)
    assert.equal(announces[0]?.get('left'), '0', how)
    await next.close()
  }
})

/** File storage whose opening waits for a gate. */
class GatedFiles extends FileStorage {
  gate: Promise<void> | undefined

  override async open(...args: Parameters<FileStorage['open']>): Promise<void> {
    await this.gate
    await super.open(...args)
  }
}

test('a super-seed offers few pieces also to a peer that came before its storage was open', async (t) => {
  const bench = new Bench(t)
  const state = bench.folder()
  const sample = await bench.sample({ 'film.mkv': 1_000_000 })
  const files = (): GatedFiles =>
    new GatedFiles({ path: sample.folder, partsPath: path.join(state, 'parts') })
  const first = bench.client({ state, restore: false })
  await (await first.add(sample.bytes, { storage: files() })).whenDone()
  await first.close()
  const storage = files()
  const opening = deferred<void>()
  storage.gate = opening.promise
  const shown = new Set<number>()
  const told = deferred<void>()
  const host = await listenAs(bench, sample, {
    mute: true,
    onWire: ({ wire }) => {
      wire.haveNone()
      wire.on('have', (piece) => {
        shown.add(piece)
        told.resolve()
      })
      wire.on('bitfield', () => wire.peerSeeding && told.resolve())
    }
  })
  const second = bench.client({ state, restore: false })
  const adding = second.add(sample.bytes, { storage, superSeeding: true, peers: [host.address] })
  const [entered] = second.torrents.length > 0 ? second.torrents : await once(second, 'torrent')
  await until('the first connection', () => entered.peers.length)
  opening.resolve()
  const torrent = await adding
  assert.equal(torrent.status, 'seeding')
  await told.promise
  const [seen] = host.peers
  seen?.wire.interested()
  if (seen?.wire.peerChoking === true) await once(seen.wire, 'unchoke')
  await turns()
  assert.ok(shown.size <= 2, `${shown.size} pieces`)
  assert.equal(host.peers[0]?.wire.peerSeeding, false)
})

test('allowed-fast pieces granted before the metadata is known count', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 100_000 })
  const { pieceCount } = layoutOf(sample.metainfo)
  // It never unchokes us, but grants all pieces.
  const host = await listenAs(bench, sample, {
    mute: true,
    answer: (peer, piece, offset, length) =>
      peer.wire.piece(piece, offset, peer.block(piece, offset, length)),
    onWire: ({ wire }) => {
      wire.haveAll()
      for (let piece = 0; piece < pieceCount; piece++) wire.allowedFast(piece)
      // Pieces that do not exist are ignored.
      wire.allowedFast(pieceCount)
    }
  })
  const infoHash = Buffer.from(sample.metainfo.infoHashes.v1 ?? []).toString('hex')
  const torrent = await bench.client().add(infoHash, { peers: [host.address] })
  await torrent.whenDone()
})

test('torrents removed or closed while they open leave nothing behind', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'pack/a': 50_000, 'pack/empty': 0 })
  const client = bench.client()
  const folder = bench.folder()
  for (let turns = 0; turns < 40; turns++) {
    const entered = once(client, 'torrent')
    const adding = client.add(sample.bytes, { path: folder })
    adding.catch(() => {})
    const [torrent] = await entered
    const warnings: Error[] = []
    torrent.on('warning', (warning: Error) => warnings.push(warning))
    for (let n = 0; n < turns % 20; n++) await turn()
    if (turns < 20) await client.remove(torrent, { deleteFiles: true })
    else await torrent.close()
    assert.deepEqual(warnings, [], `after ${turns} turns`)
    assert.deepEqual(client.torrents, [])
    const again = await client.add(sample.bytes, { path: folder })
    assert.equal(readFileSync(path.join(folder, 'pack/empty')).length, 0)
    await client.remove(again, { deleteFiles: true })
  }
})

test('a torrent whose record cannot be deleted is removed all the same', async (t) => {
  const bench = new Bench(t)
  const state = bench.folder()
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const infoHash = Buffer.from(sample.metainfo.infoHashes.v1 ?? []).toString('hex')
  mkdirSync(path.join(state, `${infoHash}.resume`, 'full'), { recursive: true })
  const client = bench.client({ state, restore: false })
  const entered = once(client, 'torrent')
  client.add(infoHash).catch(() => {})
  const [torrent] = await entered
  const warnings: Error[] = []
  torrent.on('warning', (warning: Error) => warnings.push(warning))
  await client.remove(torrent)
  assert.equal(torrent.status, 'closed')
  assert.deepEqual(client.torrents, [])
  assert.ok(warnings.length > 0)
})

test('a recheck interrupted by close rejects', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 100_000 })
  const { torrent } = await bench.seeder(sample)
  const checked = torrent.recheck()
  await turn()
  await torrent.close()
  await assert.rejects(checked, { code: 'ERR_TORRENT_CLOSED' })
  await assert.rejects(torrent.recheck(), { code: 'ERR_TORRENT_CLOSED' })
})

test('a tracker hears that we are back after it has heard that we left', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const another = await bench.sample({ 'other.mkv': 50_000 })
  const heard: string[] = []
  let ofAnother = 0
  let goodbye: (() => void) | undefined
  const url = await serve(bench, (request, response) => {
    const event = new URL(request.url ?? '', 'http://host').searchParams.get('event') ?? ''
    const answer = (): void => void response.end('d8:intervali1800e5:peers0:e')
    if (request.url?.startsWith('/another') === true) {
      ofAnother++
      answer()
      return
    }
    heard.push(event)
    if (event === 'stopped' && goodbye === undefined) goodbye = answer
    else answer()
  })
  const client = bench.client({ maxActiveDownloads: 1 })
  const torrent = await client.add(sample.bytes, { trackers: [`${url}/announce`] })
  await until('it is announced', () => torrent.trackers[0]?.status, { is: 'working' })
  client.maxActiveDownloads = 0
  await until('it leaves', () => goodbye !== undefined)
  assert.equal(torrent.status, 'queued')
  await client.add(another.bytes, { trackers: [`${url}/another`] })
  client.maxActiveDownloads = 2
  await until('it is back', () => torrent.status, { is: 'downloading' })
  await until('another torrent is announced', () => ofAnother)
  await turns()
  assert.deepEqual(heard, ['started', 'stopped'])
  goodbye?.()
  await until('the tracker hears of it', () => heard.length, { is: (value) => value > 2 })
  assert.equal(heard[2], 'started')
})
