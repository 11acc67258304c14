import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { encode } from '../../lib/bencode/encode.ts'
import { run } from '../../lib/cli/run.ts'
import { decodeSavedTorrents } from '../../lib/client/saved-torrents.ts'
import { AddressBook } from '../../lib/discovery/address-book.ts'
import { Discovery } from '../../lib/discovery/discovery.ts'
import type { PeerSource } from '../../lib/discovery/peer-source.ts'
import { type Client, MemoryStorage, type Torrent } from '../../lib/index.ts'
import { announce } from '../../lib/tracker.ts'
import { runCommand, temporaryFolder } from '../cli/run-command.ts'
import { ask, serve as serveTorrents } from '../server/support.ts'
import { whenClosed } from '../support/closed.ts'
import { until } from '../support/until.ts'
import { addressOf, Bench, serve } from '../torrent/bench.ts'
import { hash } from './support.ts'
import { cell } from './table.ts'

const intent = { 'x-piecewise': '1', 'content-type': 'application/json' }
const info = { 'piece length': 16384, pieces: new Uint8Array(20) }

/** Returns all files and folders below a folder as paths. */
function tree(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()
}

/** Adds a torrent without waiting for its metadata. */
async function begin(client: Client, source: string): Promise<Torrent> {
  client.add(source).catch(() => {})
  const [torrent] = await once(client, 'torrent')
  return torrent
}

/**
 * Returns the address to which a program that dials this client can have itself dialled back, by its extended
 * handshake.
 */
async function dialledBack(
  t: TestContext,
  more: object
): Promise<{ back: boolean; known: readonly string[] }> {
  const bench = new Bench(t)
  const state = bench.folder()
  const client = bench.client({ state })
  const torrent = await begin(client, hash)
  await until('the port', () => client.port)
  const own = net.createServer((socket) => socket.destroy())
  await once(own.listen(0, '127.0.0.1'), 'listening')
  t.after(() => own.close())
  const { port } = own.address() as AddressInfo
  const socket = net.connect(client.port, '127.0.0.1')
  socket.on('error', () => {})
  const reserved = Buffer.alloc(8)
  reserved[5] = 0x10
  const extended = Buffer.concat([Buffer.from([20, 0]), encode({ m: {}, p: port, v: 'caller', ...more })])
  const length = Buffer.alloc(4)
  length.writeUInt32BE(extended.length)
  const hello = [
    Buffer.from('\x13BitTorrent protocol', 'latin1'),
    reserved,
    Buffer.from(hash, 'hex'),
    Buffer.alloc(20, 65)
  ]
  socket.write(Buffer.concat([...hello, length, extended]))
  const address = `127.0.0.1:${port}`
  await until('its extended handshake', () => torrent.peers[0]?.client === 'caller')
  // Any change saves the list, which names the peers of a torrent without metadata.
  torrent.seedRatio = 2
  const known = await until('the address of the peer', () => {
    const file = path.join(state, 'client.session')
    const [saved] = existsSync(file) ? decodeSavedTorrents(readFileSync(file)).savedTorrents : []
    return saved?.seedRatio === 2 ? saved.peers : undefined
  })
  socket.destroy()
  return { back: known.includes(address), known }
}

/** Tests the cells of paths and other effects, and of another user of this machine. */
export function effectCells(): void {
  pathCells()
  actionCells()
  for (const column of ['loopback', 'neighbour', 'private', 'public', 'name', 'ports'] as const) {
    cell('local user', column, async (t) => {
      const elsewhere = {
        ipv4: Uint8Array.of(192, 168, 7, 9),
        ipv6: Buffer.alloc(16, 0xfd),
        yourip: Uint8Array.of(9, 9, 9, 9),
        host: 'peer.example'
      }
      const { back, known } = await dialledBack(t, column === 'loopback' ? {} : elsewhere)
      assert.equal(back, true)
      assert.equal(known.length, 1, `only its own: ${known}`)
    })
  }
  for (const column of ['tracker URL', 'source URL'] as const) {
    cell('local user', column, async (t) => {
      const bench = new Bench(t)
      let asked = 0
      const web = await serve(bench, (_request, response) => response.end(String(++asked)))
      const client = bench.client()
      await begin(client, hash)
      await until('the port', () => client.port)
      const socket = net.connect(client.port, '127.0.0.1')
      socket.on('error', () => {})
      socket.resume()
      socket.end(`GET ${web}/announce HTTP/1.1\r\nHost: localhost\r\n\r\n${'x'.repeat(100)}`)
      await whenClosed(socket)
      assert.equal(asked, 0)
    })
  }
}

function pathCells(): void {
  cell('program', 'paths', async (t) => {
    const bench = new Bench(t)
    const sample = await bench.sample({ 'film.mkv': 20_000 })
    const { client: seed } = await bench.seeder(sample)
    const folder = bench.folder()
    const torrent = await bench.client().add(sample.bytes, { path: folder, peers: [addressOf(seed)] })
    await torrent.whenDone()
    assert.ok(tree(folder).includes('film.mkv'))
  })
  cell('command line', 'paths', async (t) => {
    const bench = new Bench(t)
    const sample = await bench.sample({ 'film.mkv': 20_000 })
    const { client: seed } = await bench.seeder(sample)
    const folder = temporaryFolder(t)
    mkdirSync(path.join(folder, 'here'))
    writeFileSync(path.join(folder, 'film.torrent'), sample.bytes)
    const before = tree(folder)
    assert.equal((await runCommand(t, folder, ['info', 'film.torrent'])).code, 0)
    assert.deepEqual(tree(folder), before)
    const own = ['--host', '127.0.0.1', '--port', '0', '--no-dht', '--peer', addressOf(seed)]
    const { code, stderr } = await runCommand(t, folder, [
      'download',
      'film.torrent',
      '--dir',
      'here',
      ...own
    ])
    assert.equal(code, 0, stderr)
    const outside = tree(folder).filter((one) => !/^(?:here|state)\b/.test(one))
    assert.deepEqual(
      outside,
      before.filter((one) => one !== 'here')
    )
    assert.ok(tree(folder).includes(path.join('here', 'film.mkv')))
  })
  cell('page with token', 'paths', async (t) => {
    const bench = new Bench(t)
    const elsewhere = bench.folder()
    const file = path.join(elsewhere, 'a.torrent')
    const sample = await bench.sample({ 'film.mkv': 20_000 })
    writeFileSync(file, sample.bytes)
    const folder = bench.folder()
    const client = bench.client({ path: folder })
    const { port } = await serveTorrents(t, client, { privateSources: true })
    const add = async (source: string, more: object = {}): Promise<number> => {
      const body = JSON.stringify({ source, ...more })
      return (await ask(port, '/api/torrents', { method: 'POST', headers: intent, body })).status
    }
    for (const source of [file, `file://${file}`, `"${file}"`, '/etc/passwd', '../a'])
      assert.equal(await add(source), 400)
    assert.deepEqual(client.torrents, [])
    assert.equal(await add(hash, { path: elsewhere, state: elsewhere, storage: elsewhere }), 201)
    assert.equal(client.get(hash)?.path, folder)
    assert.deepEqual(tree(elsewhere), ['a.torrent'])
  })
  cell('page without token', 'paths', async (t) => {
    const bench = new Bench(t)
    const client = bench.client()
    const { bytes } = await bench.sample({ 'film.mkv': 20_000 })
    const { port } = await serveTorrents(t, client, { token: 'abc' })
    assert.equal(
      (await ask(port, '/api/torrents', { method: 'POST', headers: intent, body: bytes })).status,
      401
    )
    assert.deepEqual(client.torrents, [])
  })
  cell('magnet', 'paths', async (t) => {
    const bench = new Bench(t)
    const folder = bench.folder()
    mkdirSync(path.join(folder, 'data'))
    const client = bench.client({ path: path.join(folder, 'data') })
    const torrent = await begin(client, `magnet:?xt=urn:btih:${hash}&dn=..%2F..%2Fevil&path=%2Ftmp`)
    assert.equal(torrent.path, path.join(folder, 'data'))
    await client.remove(torrent)
    assert.deepEqual(tree(folder), ['data'])
  })
  cell('torrent', 'paths', async (t) => {
    const bench = new Bench(t)
    const folder = bench.folder()
    mkdirSync(path.join(folder, 'data'))
    const paths = [
      ['..', '..', 'evil'],
      ['/etc', 'evil'],
      ['a', '..', '..', 'evil'],
      ['C:\\evil'],
      ['\0evil'],
      ['.piecewise', 'evil']
    ]
    // Empty files exist as soon as the torrent does.
    const files = [...paths.map((one) => ({ length: 0, path: one })), { length: 5, path: ['film.mkv'] }]
    for (const name of ['../evil', '/evil', '..', '.piecewise']) {
      const client = bench.client({ path: path.join(folder, 'data'), state: path.join(folder, 'state') })
      const torrent = await client.add(encode({ info: { ...info, name, files } }))
      assert.equal(torrent.files.length, files.length)
      await client.close()
    }
    const outside = tree(folder).filter(
      (one) => !one.startsWith(`data${path.sep}`) && !one.startsWith('state')
    )
    assert.deepEqual(outside, ['data'])
    assert.deepEqual(
      tree(path.join(folder, 'state')).filter((one) => /evil/.test(one)),
      []
    )
  })
  // These sources can send only addresses, none of which is a path.
  for (const source of ['tracker', 'dht', 'pex', 'lsd'] as const) {
    cell(source, 'paths', () => {
      const book = new AddressBook({ random: () => 0 })
      for (const host of ['/etc/passwd', '../x', '\\\\host\\x', 'file:///x'])
        assert.equal(book.add({ host, port: 80 }, source, 0, '127.0.0.1', 'loopback'), false)
    })
  }
  cell('local user', 'paths', async (t) => {
    const bench = new Bench(t)
    const before = process.env['TMPDIR']
    process.env['TMPDIR'] = bench.folder()
    t.after(() => {
      if (before === undefined) delete process.env['TMPDIR']
      else process.env['TMPDIR'] = before
    })
    if (tmpdir() !== process.env['TMPDIR'])
      return t.skip('folders for temporary files are the user’s own here')
    const { bytes } = await bench.sample({ 'film.mkv': 20_000 })
    const torrent = await bench.client({ path: undefined }).add(bytes)
    const parent = statSync(path.dirname(torrent.path))
    assert.deepEqual([parent.mode & 0o777, parent.uid], [0o700, process.getuid?.()])
  })
}

function actionCells(): void {
  cell('program', 'actions', async (t) => {
    const bench = new Bench(t)
    const client = bench.client()
    const { bytes } = await bench.sample({ 'film.mkv': 20_000 })
    const torrent = await client.add(bytes, { storage: new MemoryStorage() })
    torrent.pause()
    torrent.resume()
    torrent.deselect(0)
    await client.remove(torrent, { deleteFiles: true })
    assert.deepEqual(client.torrents, [])
  })
  cell('command line', 'actions', async (t) => {
    const folder = temporaryFolder(t)
    for (const command of ['remove', 'delete', 'rm', 'exec']) {
      const { code, stderr } = await runCommand(t, folder, [command, hash])
      assert.equal(code, 2, stderr)
    }
    assert.deepEqual(tree(folder), [])
    assert.equal(typeof run, 'function')
  })
  cell('page with token', 'actions', async (t) => {
    const bench = new Bench(t)
    const { bytes } = await bench.sample({ 'film.mkv': 20_000 })
    const change = async (
      options: object,
      headers: object
    ): Promise<{ statuses: number[]; left: number }> => {
      const client = bench.client()
      const torrent = await client.add(bytes)
      const { port } = await serveTorrents(t, client, { token: 'abc', ...options })
      const at = `/api/torrents/${torrent.infoHash}`
      const statuses: number[] = []
      for (const [method, url, body] of [
        ['POST', '/api/torrents', JSON.stringify({ source: hash })],
        ['POST', `${at}/pause`, ''],
        ['POST', `${at}/resume`, ''],
        ['POST', `${at}/select`, '{"files":[0]}'],
        ['DELETE', `${at}`, '']
      ] as const) {
        const reply = await ask(port, `${url}?token=abc`, {
          method,
          headers: { ...intent, ...headers },
          body
        })
        statuses.push(reply.status)
      }
      return { statuses, left: client.torrents.length }
    }
    assert.deepEqual(await change({}, {}), { statuses: [201, 200, 200, 200, 200], left: 1 })
    assert.deepEqual(await change({ readOnly: true }, {}), { statuses: [403, 403, 403, 403, 403], left: 1 })
    const foreign = { origin: 'http://evil.example' }
    assert.deepEqual(await change({}, foreign), { statuses: [403, 403, 403, 403, 403], left: 1 })
  })
  cell('page without token', 'actions', async (t) => {
    const bench = new Bench(t)
    const client = bench.client()
    const { bytes } = await bench.sample({ 'film.mkv': 20_000 })
    const { infoHash } = await client.add(bytes)
    const { port } = await serveTorrents(t, client, { token: 'abc' })
    const at = `/api/torrents/${infoHash}`
    for (const [method, url] of [
      ['GET', '/'],
      ['GET', '/api/torrents'],
      ['GET', '/api/events'],
      ['GET', at],
      ['GET', `/${infoHash}/film.mkv`],
      ['GET', `/${infoHash}.m3u`],
      ['POST', `${at}/pause`],
      ['DELETE', at]
    ] as const)
      assert.equal((await ask(port, url, { method, headers: intent })).status, 401, url)
    assert.equal(client.torrents[0]?.status, 'downloading')
  })
  cell('magnet', 'actions', async (t) => {
    const bench = new Bench(t)
    const { client: seed } = await bench.seeder(await bench.sample({ 'set/a': 20_000, 'set/b': 20_000 }))
    const [source] = seed.torrents
    assert.ok(source !== undefined)
    const more = '&so=1&select=none&paused=true&path=%2Ftmp&seedRatio=9&trust=program&verify=true'
    const torrent = await bench.client().add(`${source.magnetURI}&x.pe=${addressOf(seed)}${more}`)
    assert.deepEqual(
      torrent.files.map(({ selected }) => selected),
      [false, true]
    )
    assert.notEqual(torrent.status, 'paused')
    assert.equal(torrent.seedRatio, undefined)
  })
  cell('torrent', 'actions', async (t) => {
    const bench = new Bench(t)
    const more = { path: '/tmp', paused: 1, select: 'none', trust: 'program' }
    const file = { ...info, name: 'a', length: 5 }
    const client = bench.client()
    const torrent = await client.add(encode({ ...more, info: { ...file, ...more, private: 1 } }))
    assert.deepEqual(
      [torrent.private, torrent.status, torrent.files[0]?.selected],
      [true, 'downloading', true]
    )
    const open = await client.add(encode({ info: { ...file, name: 'b', private: 0 } }))
    assert.equal(open.private, false)
  })
  cell('tracker', 'actions', async (t) => {
    const bench = new Bench(t)
    for (const [interval, least, most] of [
      [1, 60_000, 60_000],
      [10 ** 9, 7_200_000, 7_200_000],
      [1800, 1_800_000, 1_800_000]
    ] as const) {
      const web = await serve(bench, (_request, response) =>
        response.end(encode({ interval, 'min interval': interval, peers: '' }))
      )
      const announcement = announce(`${web}/announce`, {
        infoHash: Buffer.from(hash, 'hex'),
        peerId: new Uint8Array(20),
        port: 1
      })
      const [tracker] = announcement.trackers
      const nextAnnounceAt = await until('the answer of the tracker', () => tracker?.nextAnnounceAt)
      const waitMs = nextAnnounceAt - Date.now()
      assert.ok(waitMs > least - 5_000 && waitMs <= most, `${interval} s: ${waitMs} ms`)
      await announcement.close()
    }
  })
  for (const source of ['dht', 'pex', 'lsd'] as const satisfies PeerSource[]) {
    cell(source, 'actions', () => {
      const book = new AddressBook({ random: () => 0 })
      const discovery = new Discovery({
        book,
        private: true,
        now: () => 0,
        onPeers: assert.fail,
        onWarning: assert.fail
      })
      const add = (): void => discovery.add(source, [{ host: '9.9.9.9', port: 1 }])
      assert.throws(add, { code: 'ERR_DISCOVERY_PRIVATE' })
      assert.equal(book.size, 0)
    })
  }
  cell('local user', 'actions', async (t) => {
    const client = new Bench(t).client()
    const status = async (token?: string): Promise<number> => {
      const { port } = await serveTorrents(t, client, token === undefined ? {} : { token })
      const body = JSON.stringify({ source: hash })
      return (await ask(port, '/api/torrents', { method: 'POST', headers: intent, body })).status
    }
    assert.deepEqual([await status('abc'), client.torrents.length], [401, 0])
    assert.deepEqual([await status(), client.torrents.length], [201, 1])
  })
}
