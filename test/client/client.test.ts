import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import path from 'node:path'
import { test } from 'node:test'
import { Client } from '../../lib/client/client.ts'
import { MemoryStorage } from '../../lib/storage/memory-storage.ts'
import type { TorrentError } from '../../lib/util/errors.ts'
import { addressOf, assertSame, Bench } from '../torrent/bench.ts'

test('adding the same torrent twice gives one, with the peers and trackers of both', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const { client: seed } = await bench.seeder(sample)
  const client = bench.client()
  let emitted = 0
  client.on('torrent', () => emitted++)
  const [one, two] = await Promise.all([client.add(sample.bytes), client.add(sample.metainfo)])
  assert.equal(one, two)
  assert.equal(emitted, 1)
  assert.deepEqual(client.torrents, [one])
  assert.equal(client.get(one.infoHash.toUpperCase()), one)
  assert.equal(client.get(sample.metainfo.infoHashes.v1 ?? new Uint8Array()), one)
  assert.equal(client.get('00'), undefined)
  const tracker = 'http://127.0.0.1:1/announce'
  assert.equal(await client.add(sample.bytes, { peers: [addressOf(seed)], trackers: [tracker] }), one)
  assert.deepEqual(
    one.trackers.map(({ url }) => url),
    [tracker]
  )
  assert.ok(one.magnetURI.includes(encodeURIComponent(tracker)), one.magnetURI)
  await one.whenDone()
})

test('adding a torrent again with another path is a warning, and its path stays', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const client = bench.client()
  const [here, elsewhere] = [bench.folder(), bench.folder()]
  const warnings: Error[] = []
  client.on('warning', (warning) => warnings.push(warning))
  const torrent = await client.add(sample.bytes, { path: here })
  assert.equal(await client.add(sample.bytes), torrent)
  assert.equal(await client.add(sample.bytes, { path: `${here}/../${path.basename(here)}` }), torrent)
  assert.equal(warnings.length, 0)
  assert.equal(await client.add(sample.bytes, { path: elsewhere }), torrent)
  assert.equal(torrent.path, here)
  const [warning] = warnings.splice(0) as TorrentError[]
  assert.equal(warning?.code, 'ERR_CLIENT_OPTION')
  assert.ok(warning?.message.includes(here), warning?.message)
  assert.equal(await client.add(sample.bytes, { storage: new MemoryStorage() }), torrent)
  assert.equal(warnings.length, 1)
})

test('a .torrent gives its metadata to a magnet link that waits for it', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const client = bench.client()
  const added = client.add(sample.metainfo.infoHashes.v1 ?? '')
  const [torrent] = await once(client, 'torrent')
  assert.equal(torrent.status, 'metadata')
  assert.deepEqual(torrent.files, [])
  assert.equal(torrent.name, torrent.infoHash)
  assert.equal(torrent.progress, 0)
  assert.equal(torrent.timeRemaining, Number.POSITIVE_INFINITY)
  assert.deepEqual(torrent.pieces, [])
  assert.deepEqual(torrent.streams, [])
  assert.equal(torrent.torrentFile, undefined)
  assert.throws(() => torrent.select(0), { code: 'ERR_TORRENT_METADATA' })
  await assert.rejects(torrent.recheck(), { code: 'ERR_TORRENT_METADATA' })
  assert.equal(await client.add(sample.bytes), await added)
  assert.equal(torrent.status, 'downloading')
  assert.equal(torrent.name, 'film.mkv')
})

test('invalid options are refused at once', async (t) => {
  const bench = new Bench(t)
  for (const name of ['utp']) {
    assert.throws(() => new Client({ [name]: true }), {
      code: 'ERR_CLIENT_UNSUPPORTED',
      message: new RegExp(name)
    })
  }
  for (const [name, value] of [
    ['port', -1],
    ['port', 1.5],
    ['port', 65536],
    ['downloadLimit', -1],
    ['downloadLimit', Number.NaN],
    ['uploadLimit', -1],
    ['maxConnections', 0],
    ['memoryLimit', 0],
    ['lsd', 'yes'],
    ['dht', 'yes'],
    ['dht', { bootstrap: ['nowhere'] }],
    ['proxy', 'ftp://127.0.0.1'],
    ['proxy', true],
    ['dht', { bootstrap: 'a:1' }],
    ['dht', { nodes: 5 }],
    ['dht', { port: 5 }],
    ['pex', 1],
    ['encryption', true],
    ['encryption', 'always'],
    ['colour', 'red']
  ] as const) {
    assert.throws(() => new Client({ [name]: value }), {
      code: 'ERR_CLIENT_OPTION',
      message: new RegExp(name)
    })
  }
  const off = {
    dht: false,
    lsd: false,
    pex: false,
    utp: false,
    natTraversal: false,
    encryption: false
  } as const
  const client = bench.client({ ...off, proxy: false, maxConnections: 5, memoryLimit: 1 })
  for (const select of ['some', 5, [-1], [0.5], {}]) {
    await assert.rejects(client.add('ab'.repeat(20), { select: select as 'all' }), {
      code: 'ERR_CLIENT_OPTION',
      message: /select/
    })
  }
  await assert.rejects(client.add('ab'.repeat(20), { peers: ['nonsense'] }), { code: 'ERR_UTIL_ADDRESS' })
  const sample = await bench.sample({ 'film.mkv': 1000 })
  await assert.rejects(client.add(sample.bytes, { select: [1] }), { code: 'ERR_TORRENT_SELECT' })
  assert.deepEqual(client.torrents, [])
  assert.throws(() => (client.downloadLimit = -1), { code: 'ERR_CLIENT_OPTION' })
  assert.throws(() => (client.uploadLimit = Number.NaN), { code: 'ERR_CLIENT_OPTION' })
})

test('a taken port is replaced by another, with a warning', async (t) => {
  const bench = new Bench(t)
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  bench.after(() => server.close())
  const { port } = server.address() as AddressInfo
  const client = bench.client({ port })
  const [warning] = await once(client, 'warning')
  assert.equal(warning.code, 'ERR_TRANSPORT_LISTEN')
  assert.notEqual(client.port, port)
  assert.ok(client.port > 0)
})

test('a client that cannot listen still downloads', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const { client: seed } = await bench.seeder(sample)
  // An address of another machine.
  const deaf = new Client({ host: '192.0.2.1', lsd: false, path: bench.folder() })
  bench.after(() => deaf.close())
  const [warning] = await once(deaf, 'warning')
  assert.equal(warning.code, 'ERR_TRANSPORT_LISTEN')
  assert.equal(deaf.port, 0)
  const torrent = await deaf.add(sample.bytes, { peers: [addressOf(seed)] })
  assert.equal(torrent.status, 'downloading')
})

test('files and folders are seeded from their paths, and never deleted', async (t) => {
  const bench = new Bench(t)
  const one = path.join(bench.folder(), 'one.bin')
  const more = path.join(bench.folder(), 'more')
  mkdirSync(more)
  writeFileSync(one, Buffer.alloc(100_000, 1))
  writeFileSync(path.join(more, 'two.bin'), Buffer.alloc(50_000, 2))
  const seed = bench.client()
  const progress: number[] = []
  const torrent = await seed.seed([one, more], {
    name: 'both',
    pieceLength: 16384,
    comment: 'hello',
    trackers: ['http://127.0.0.1:1/announce'],
    onProgress: ({ hashedBytes }) => progress.push(hashedBytes)
  })
  assert.equal(torrent.name, 'both')
  assert.equal(torrent.status, 'seeding')
  assert.equal(torrent.progress, 1)
  assert.equal(torrent.ratio, 0)
  assert.deepEqual(torrent.files.map((file) => file.path).sort(), ['both/more/two.bin', 'both/one.bin'])
  assert.equal(progress.at(-1), 150_000)
  const client = bench.client()
  const copy = await client.add(torrent.magnetURI, { peers: [addressOf(seed)] })
  await copy.whenDone()
  assert.ok(readFileSync(path.join(copy.path, 'both/one.bin')).equals(readFileSync(one)))
  assert.deepEqual(copy.torrentFile && copy.torrentFile.length > 0, true)
  await seed.remove(torrent.infoHash, { deleteFiles: true })
  assert.equal(torrent.status, 'closed')
  assert.deepEqual(seed.torrents, [])
  assert.ok(existsSync(one) && existsSync(path.join(more, 'two.bin')))
  assert.deepEqual(readdirSync(path.dirname(one)), ['one.bin'])
  await assert.rejects(seed.seed(path.join(more, 'missing')), { code: 'ERR_METAINFO_CREATE' })
  await assert.rejects(seed.seed(one, { signal: AbortSignal.abort(new Error('enough')) }), /enough/)
})

test('files are seeded under names that must be sanitized elsewhere', async (t) => {
  const bench = new Bench(t)
  const root = path.join(bench.folder(), 'odd')
  mkdirSync(root)
  const names = ['case.bin', 'CASE.bin', 'x'.repeat(250), 'a:b?', 'dot.', 'con']
  for (const name of names) writeFileSync(path.join(root, name), randomBytes(20_000))
  const seed = bench.client()
  const torrent = await seed.seed(root)
  const copy = await bench.client().add(torrent.magnetURI, { peers: [addressOf(seed)] })
  await copy.whenDone()
  const sizes = await Promise.all(copy.files.map(async (file) => (await file.arrayBuffer()).byteLength))
  assert.deepEqual(
    sizes,
    names.map(() => 20_000)
  )
})

test('remove deletes the record, and on request the files, but only those that the torrent wrote', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'album/one.bin': 50_000, 'album/two.bin': 50_000 })
  const { client: seed } = await bench.seeder(sample)
  const client = bench.client()
  const folder = path.join(bench.folder(), 'down')
  const torrent = await client.add(sample.bytes, { path: folder, peers: [addressOf(seed)] })
  await torrent.whenDone()
  await client.remove(torrent)
  assert.equal(client.torrents.length, 0)
  assert.deepEqual(readdirSync(path.join(folder, 'album')).sort(), ['one.bin', 'two.bin'])
  assert.ok(!existsSync(path.join(folder, '.piecewise', `${torrent.infoHash}.resume`)))
  // Found again, the files were not written by this torrent.
  const found = await client.add(sample.bytes, { path: folder })
  await found.whenDone()
  await client.remove(found, { deleteFiles: true })
  assert.deepEqual(readdirSync(path.join(folder, 'album')).sort(), ['one.bin', 'two.bin'])
  // Written by this torrent, beside a file of the user.
  const other = path.join(bench.folder(), 'down')
  const mine = await client.add(sample.bytes, { path: other, peers: [addressOf(seed)] })
  await mine.whenDone()
  writeFileSync(path.join(other, 'album', 'note.txt'), 'mine')
  await client.remove(mine, { deleteFiles: true })
  assert.deepEqual(readdirSync(other, { recursive: true }).sort(), ['album', 'album/note.txt'])
  await client.remove(mine)
  await client.remove('ab'.repeat(20))
  // The folder holds nothing else and is deleted.
  const third = path.join(bench.folder(), 'down')
  const gone = await client.add(sample.bytes, { path: third, peers: [addressOf(seed)] })
  await gone.whenDone()
  await client.remove(gone.infoHash, { deleteFiles: true })
  assert.equal(existsSync(third), false)
})

test('remove deletes files of an earlier run too', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const { client: seed } = await bench.seeder(sample)
  const folder = path.join(bench.folder(), 'down')
  const first = bench.client({ path: folder })
  await (await first.add(sample.bytes, { peers: [addressOf(seed)] })).whenDone()
  await first.close()
  const second = bench.client({ path: folder })
  const torrent = await second.add(sample.bytes)
  assert.equal(torrent.done, true)
  await second.remove(torrent, { deleteFiles: true })
  assert.equal(existsSync(folder), false)
})

test('a torrent may be added again while it closes', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const client = bench.client({ path: sample.folder })
  const first = await client.add(sample.bytes)
  await first.whenDone()
  const closed = first.close()
  const second = await client.add(sample.bytes)
  await closed
  assert.notEqual(first, second)
  assert.equal(second.status, 'seeding')
  assert.deepEqual(client.torrents, [second])
})

test('the second of two torrents that write to one file is refused', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const other = await bench.sample({ 'film.mkv': 60_000 })
  const client = bench.client()
  const torrent = await client.add(sample.bytes)
  await assert.rejects(client.add(other.bytes), { code: 'ERR_STORAGE_IN_USE' })
  assert.deepEqual(client.torrents, [torrent])
  await client.remove(torrent)
  await client.add(other.bytes)
})

test('a closed client stays closed, whatever it was doing', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const client = bench.client()
  const torrent = await client.add(sample.bytes)
  const waiting = torrent.whenDone()
  const reading = torrent.files[0]?.text()
  const metadata = client.add('ab'.repeat(20))
  await new Promise((resolve) => setImmediate(resolve))
  const opening = client.add((await bench.sample({ 'other.mkv': 50_000 })).bytes)
  const closes = [client.close(), client.close()]
  // All at once: any of them may reject first.
  await Promise.all([
    assert.rejects(waiting, { code: 'ERR_TORRENT_CLOSED' }),
    assert.rejects(async () => reading, { code: 'ERR_TORRENT_CLOSED' }),
    assert.rejects(metadata, { code: 'ERR_TORRENT_CLOSED' }),
    assert.rejects(opening, { code: /ERR_(CLIENT|TORRENT|STORAGE)_CLOSED/ })
  ])
  await Promise.all(closes)
  await client[Symbol.asyncDispose]()
  assert.equal(torrent.status, 'closed')
  assert.deepEqual(client.torrents, [])
  await assert.rejects(client.add(sample.bytes), { code: 'ERR_CLIENT_CLOSED' })
  await assert.rejects(client.seed(sample.root), { code: 'ERR_CLIENT_CLOSED' })
  await assert.rejects(torrent.whenDone(), { code: 'ERR_TORRENT_CLOSED' })
  assert.throws(() => torrent.select(0), { code: 'ERR_TORRENT_CLOSED' })
  torrent.pause()
  torrent.resume()
  torrent.addPeer('127.0.0.1:1')
  const stream = torrent.files[0]?.createReadStream()
  await assert.rejects(async () => stream && once(stream, 'data'), { code: 'ERR_TORRENT_CLOSED' })
})

test('a process ends by itself once its clients are closed', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 500_000 })
  const entry = new URL('../../lib/client/client.js', import.meta.url).href
  const program = `
    import { Client } from ${JSON.stringify(entry)}
    import { readFileSync } from 'node:fs'
    const seed = new Client({ host: '127.0.0.1' })
    const shared = await seed.seed(${JSON.stringify(sample.root)}, { pieceLength: 32768, trackers: ['http://127.0.0.1:1/a', 'udp://127.0.0.1:1'] })
    const client = new Client({ host: '127.0.0.1', path: ${JSON.stringify(bench.folder())} })
    const torrent = await client.add(shared.magnetURI, { peers: ['127.0.0.1:' + seed.port, '127.0.0.1:1'] })
    await torrent.files[0].text()
    await torrent.whenDone()
    await Promise.all([client.close(), seed.close()])
    // Closed sockets leave the list in the next turns of the event loop.
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
    process.stdout.write(process.getActiveResourcesInfo().filter((name) => !/Pipe|TTY/.test(name)).join())
  `
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'pipe']
  })
  let out = ''
  child.stdout.on('data', (chunk) => (out += chunk))
  child.stderr.on('data', (chunk) => (out += chunk))
  assert.deepEqual(await once(child, 'exit'), [0, null], out)
  assert.equal(out, '')
})

test('connections stay within their limit', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 400_000 })
  const { client: seed, torrent: source } = await bench.seeder(sample, { maxConnections: 2 })
  let most = 0
  source.on('peer', () => {
    most = Math.max(most, source.peers.length)
  })
  const first = bench.client()
  const clients = [first, bench.client(), bench.client(), bench.client()]
  const torrents = await Promise.all(clients.map((client) => client.add(sample.bytes)))
  // Torrents that get no connection to the seed download from each other.
  for (const one of torrents) {
    for (const client of [seed, ...clients]) one.addPeer(addressOf(client))
  }
  await Promise.all(torrents.map((torrent) => torrent.whenDone()))
  for (const torrent of torrents) assertSame(torrent, sample)
  assert.ok(most >= 1 && most <= 2, `${most} connections`)
})

test('statePath is the absolute path of the state folder, even after a change of the working directory', async (t) => {
  const bench = new Bench(t)
  assert.equal(bench.client().statePath, undefined)
  const folder = bench.folder()
  const client = bench.client({ state: path.relative(process.cwd(), path.join(folder, 'state')) })
  assert.equal(client.statePath, path.join(folder, 'state'))
  const before = process.cwd()
  bench.after(() => process.chdir(before))
  process.chdir(bench.folder())
  const { bytes } = await bench.sample({ 'film.mkv': 1000 })
  await client.add(bytes)
  await client.close()
  assert.equal(client.statePath, path.join(folder, 'state'))
  assert.ok(existsSync(path.join(folder, 'state', 'client.session')))
})
