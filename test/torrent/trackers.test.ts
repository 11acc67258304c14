import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { encode } from '../../lib/bencode/encode.ts'
import type { Client } from '../../lib/client/client.ts'
import type { ClientOptions } from '../../lib/client/options.ts'
import { parseMagnet } from '../../lib/metainfo/magnet.ts'
import { parseTorrent } from '../../lib/metainfo/parse-torrent.ts'
import type { Torrent } from '../../lib/torrent/torrent.ts'
import type { AddOptions } from '../../lib/torrent/torrent-options.ts'
import { formatCompact } from '../../lib/util/address.ts'
import type { TorrentError } from '../../lib/util/errors.ts'
import { turns } from '../support/turns.ts'
import { until } from '../support/until.ts'
import { addressOf, Bench, serve } from './bench.ts'

/** An announce of a client to its tracker. */
interface Announce {
  readonly port: number
  readonly event: string
  readonly uploaded: number
  readonly downloaded: number
  readonly left: number
}

/** A tracker that names the given clients and records their announces. */
class Tracker extends EventEmitter<{ announce: [Announce] }> {
  readonly heard: Announce[] = []
  url = ''

  static async start(bench: Bench, clients: readonly Client[]): Promise<Tracker> {
    const tracker = new Tracker()
    const web = await serve(bench, (request, response) => {
      const query = new URL(request.url ?? '', 'http://localhost').searchParams
      const number = (name: string): number => Number(query.get(name))
      const announce: Announce = {
        port: number('port'),
        event: query.get('event') ?? '',
        uploaded: number('uploaded'),
        downloaded: number('downloaded'),
        left: number('left')
      }
      tracker.heard.push(announce)
      const peers = clients.map(({ port }) => formatCompact({ host: '127.0.0.1', port }) ?? new Uint8Array())
      response.end(encode({ interval: 1800, peers: Buffer.concat(peers) }), () =>
        tracker.emit('announce', announce)
      )
    })
    tracker.url = `${web}/announce`
    return tracker
  }

  /** Returns the announces of a client in order. */
  of({ port }: { readonly port: number }): Announce[] {
    return this.heard.filter((announce) => announce.port === port)
  }
}

test('a tracker hears of start, completion and stop, with the transferred bytes', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 300_000 })
  const { client: seed, torrent: source } = await bench.seeder(sample)
  const tracker = await Tracker.start(bench, [seed])
  source.addTrackers([tracker.url])
  await once(tracker, 'announce')
  const client = bench.client()
  const torrent = await client.add(sample.bytes, { trackers: [[tracker.url]] })
  const port = client.port
  const seedPort = seed.port
  const sources = new Set<string>()
  torrent.on('peer', ({ source: from }) => sources.add(from))
  await torrent.whenDone()
  await until('the second announce', () => tracker.of({ port }).length, { is: (value) => value >= 2 })
  assert.equal(torrent.trackers[0]?.url, tracker.url)
  assert.deepEqual([...sources], ['tracker'])
  await Promise.all([client.close(), seed.close()])
  const told = tracker.of({ port })
  assert.deepEqual(told, [
    { port, event: 'started', uploaded: 0, downloaded: 0, left: 300_000 },
    { port, event: 'completed', uploaded: 0, downloaded: 300_000, left: 0 },
    { port, event: 'stopped', uploaded: 0, downloaded: 300_000, left: 0 }
  ])
  assert.deepEqual(tracker.of({ port: seedPort }), [
    { port: seedPort, event: 'started', uploaded: 0, downloaded: 0, left: 0 },
    { port: seedPort, event: 'stopped', uploaded: 300_000, downloaded: 0, left: 0 }
  ])
})

test('a tracker of a magnet link is announced to before the length is known', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 }, { private: true })
  const { client: seed, torrent: source } = await bench.seeder(sample)
  const tracker = await Tracker.start(bench, [seed])
  const client = bench.client()
  const uri = `${source.magnetURI}&tr=${encodeURIComponent(tracker.url)}`
  const torrent = await client.add(uri)
  assert.ok((tracker.heard[0]?.left ?? 0) > 0)
  await torrent.whenDone()
})

test('dead and unsupported trackers give warnings and delay nothing', async (t) => {
  const bench = new Bench(t)
  const web = await serve(bench, (_request, response) => response.writeHead(500).end('broken'))
  const sample = await bench.sample(
    { 'film.mkv': 50_000 },
    { trackers: ['http://127.0.0.1:1/a', 'wss://127.0.0.1:1'] }
  )
  const { client: seed } = await bench.seeder(sample)
  const client = bench.client()
  const warnings: Error[] = []
  client.on('torrent', (torrent) => torrent.on('warning', (warning) => warnings.push(warning)))
  const torrent = await client.add(sample.bytes, {
    trackers: [`${web}/announce`, 'udp://127.0.0.1:1', 'nonsense'],
    peers: [addressOf(seed)]
  })
  await torrent.whenDone()
  await until(
    'two failed trackers',
    () => torrent.trackers.filter(({ status }) => status === 'failed').length,
    { is: (value) => value >= 2 }
  )
  await client.close()
  assert.ok(warnings.some(({ message }) => /500/.test(message)))
  assert.ok(warnings.some(({ message }) => /wss/.test(message)))
})

/** Returns the announces of a client to a tracker as `event left`, in order. */
function saidTo(tracker: Tracker, port?: number): string[] {
  const heard = port === undefined ? tracker.heard : tracker.of({ port })
  return heard.map(({ event, left }) => `${event || 'again'} ${left}`)
}

const size = 65_536
const pair = { 'pack/a.bin': size, 'pack/b.bin': size }

/**
 * A way to complete a torrent, and the announces that follow. `act` begins with nothing on disk unless `here`
 * says otherwise.
 */
interface End {
  readonly title: string
  readonly options?: AddOptions
  readonly client?: ClientOptions
  /** Files on disk beforehand, without a record. */
  readonly here?: readonly string[]
  act(torrent: Torrent, client: Client): unknown
  readonly said: readonly string[]
}

const all = 2 * size
const ends: readonly End[] = [
  {
    title: 'a check that finds everything is no download, and announced at once',
    here: ['a.bin', 'b.bin'],
    act: (torrent) => torrent.whenDone(),
    said: [`started ${all}`, 'again 0', 'stopped 0']
  },
  {
    title: 'a check that finds all but a part, which is downloaded',
    here: ['a.bin'],
    act: (torrent) => torrent.whenDone(),
    said: [`started ${all}`, 'completed 0', 'stopped 0']
  },
  {
    title: 'close in the turn in which whenDone resolves',
    act: async (torrent, client) => {
      await torrent.whenDone()
      await client.close()
    },
    said: [`started ${all}`, 'completed 0', 'stopped 0']
  },
  {
    title: 'close in a listener of done',
    act: (torrent, client) =>
      new Promise<void>((resolve) => torrent.on('done', () => void client.close().then(resolve))),
    said: [`started ${all}`, 'completed 0', 'stopped 0']
  },
  {
    title: 'remove in the turn in which whenDone resolves',
    act: async (torrent, client) => {
      await torrent.whenDone()
      await client.remove(torrent)
    },
    said: [`started ${all}`, 'completed 0', 'stopped 0']
  },
  {
    title: 'close upon the last byte of a stream, which may not be written yet',
    options: { select: 'none' },
    act: async (torrent, client) => {
      await Promise.all(torrent.files.map((file) => file.arrayBuffer()))
      await client.close()
    },
    said: [`started ${all}`, 'completed 0', 'stopped 0']
  },
  {
    title: 'streams that read unselected files',
    options: { select: [0] },
    act: async (torrent) => {
      await torrent.whenDone()
      await torrent.files[1]?.arrayBuffer()
    },
    said: [`started ${all}`, 'completed 0', 'stopped 0']
  },
  {
    title: 'a stream that reads one file of an idle torrent',
    options: { select: 'none' },
    act: (torrent) => torrent.files[1]?.arrayBuffer(),
    said: [`started ${all}`, `stopped ${size}`]
  },
  {
    title: 'a selection that is already done is no completion',
    options: { select: [0] },
    act: (torrent) => torrent.whenDone(),
    said: [`started ${all}`, `stopped ${size}`]
  },
  {
    title: 'one file after the other, and a done one again',
    options: { select: [0] },
    act: async (torrent) => {
      await torrent.whenDone()
      torrent.select(1)
      await torrent.whenDone()
      torrent.deselect([0, 1])
      torrent.select(0)
      await torrent.whenDone()
      torrent.pause()
      torrent.resume()
      await torrent.recheck()
    },
    said: [`started ${all}`, 'completed 0', 'stopped 0']
  },
  {
    title: 'a goal that is reached by completion',
    client: { seedTime: 0 },
    act: async (torrent) => {
      await torrent.whenDone()
      await until('it to be finished', () => torrent.status, { is: 'finished' })
    },
    said: [`started ${all}`, 'completed 0', 'stopped 0']
  },
  {
    title: 'a lost piece fetched again is no second completion',
    act: async (torrent) => {
      await torrent.whenDone()
      writeFileSync(path.join(torrent.path, 'pack/a.bin'), new Uint8Array(size))
      await torrent.recheck()
      await torrent.whenDone()
    },
    said: [`started ${all}`, 'completed 0', 'stopped 0']
  }
]

for (const { title, options = {}, client: more = {}, here = [], act, said } of ends) {
  test(`announces at the end: ${title}`, async (t) => {
    const bench = new Bench(t)
    const sample = await bench.sample(pair)
    const { client: seed } = await bench.seeder(sample)
    const folder = bench.folder()
    mkdirSync(path.join(folder, 'pack'))
    for (const name of here)
      copyFileSync(path.join(sample.folder, 'pack', name), path.join(folder, 'pack', name))
    // The peer is dialled only after the tracker's answer, so the download cannot end before.
    const tracker = await Tracker.start(bench, here.length === 2 ? [] : [seed])
    const client = bench.client({ path: folder, ...more })
    const torrent = await client.add(sample.bytes, { trackers: [tracker.url], ...options })
    await act(torrent, client)
    const { length } = said
    if (torrent.status !== 'closed')
      await until('the tracker to hear it', () => tracker.heard.length, {
        is: (value) => value >= length - 1
      })
    await client.close()
    assert.deepEqual(saidTo(tracker), said)
  })
}

test('a completed download is announced once over all runs', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample(pair)
  const { client: seed } = await bench.seeder(sample)
  const tracker = await Tracker.start(bench, [seed])
  const options = { path: bench.folder(), state: bench.folder() }
  const first = bench.client(options)
  await (await first.add(sample.bytes, { trackers: [tracker.url] })).whenDone()
  await first.close()
  assert.deepEqual(saidTo(tracker), [`started ${all}`, 'completed 0', 'stopped 0'])
  tracker.heard.length = 0
  // Complete when started.
  const second = bench.client(options)
  const [seeding] = await second.restored()
  await seeding?.whenDone()
  await until('the tracker to answer', () => seeding?.trackers[0]?.status, { is: 'working' })
  await second.close()
  assert.deepEqual(saidTo(tracker), ['started 0', 'stopped 0'])
  tracker.heard.length = 0
  // A file was damaged meanwhile: its pieces are fetched again.
  writeFileSync(path.join(options.path, 'pack/a.bin'), new Uint8Array(size))
  const third = bench.client(options)
  const [repaired] = await third.restored()
  await repaired?.whenDone()
  await until('the tracker to hear it', () => tracker.heard.some(({ left }) => left === 0))
  await third.close()
  assert.ok((repaired?.received ?? 0) > 0)
  assert.ok(!tracker.heard.some(({ event }) => event === 'completed'), saidTo(tracker).join())
})

test('close does not wait long for a silent tracker at the end of a download', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample(pair)
  const { client: seed } = await bench.seeder(sample)
  let requests = 0
  const url = await serve(bench, (_request, response) => {
    if (++requests === 1) response.end(encode({ interval: 1800, peers: '' }))
  })
  const client = bench.client()
  const torrent = await client.add(sample.bytes, { trackers: [`${url}/announce`] })
  await until('the tracker to answer', () => torrent.trackers[0]?.status, { is: 'working' })
  torrent.addPeer(addressOf(seed))
  await torrent.whenDone()
  const before = performance.now()
  await client.close()
  assert.ok(performance.now() - before < 5000)
  assert.equal(requests, 3, 'started, completed, stopped')
})

test('trackers beyond the limit are stored and not announced to', async (t) => {
  const bench = new Bench(t)
  const urls = Array.from({ length: 150 }, (_, n) => `udp://127.0.0.1:1/${n}`)
  const sample = await bench.sample({ 'film.mkv': 50_000 }, { trackers: urls })
  const client = bench.client({ state: bench.folder() })
  const warnings: unknown[] = []
  client.on('torrent', (torrent) => torrent.on('warning', (warning) => warnings.push(warning)))
  const torrent = await client.add(sample.bytes)
  assert.equal(torrent.trackers.length, 100)
  assert.equal((warnings[0] as TorrentError).code, 'ERR_TRACKER_LIMIT')
  assert.deepEqual(parseMagnet(torrent.magnetURI).trackers, urls)
  assert.deepEqual(parseTorrent(torrent.torrentFile ?? new Uint8Array()).announce.flat(), urls)
  torrent.addTrackers(['udp://127.0.0.1:1/more'])
  assert.equal(torrent.trackers.length, 101)
})

test('trackers of a torrent that closes at once get no odd announces', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const tracker = await Tracker.start(bench, [])
  for (const isAnswered of [false, true]) {
    tracker.heard.length = 0
    const torrent = await bench.client().add(sample.bytes, { trackers: [tracker.url] })
    if (isAnswered) await until('the tracker to answer', () => torrent.trackers[0]?.status, { is: 'working' })
    await torrent.close()
    torrent.addTrackers([tracker.url, 'http://127.0.0.1:1/'])
    await turns()
    const events = tracker.heard.map(({ event }) => event)
    // An aborted announce may have been heard; it needs no `stopped`.
    if (isAnswered || events.length > 1) assert.deepEqual(events, ['started', 'stopped'])
    else assert.ok(events.length === 0 || events[0] === 'started', String(events))
  }
})

test('a tracker of the torrent reaches no other local service; one of the program does, also after a restart', async (t) => {
  const bench = new Bench(t)
  const heard: string[] = []
  const web = await serve(bench, (request, response) => {
    heard.push(request.url?.split('info_hash')[0] ?? '')
    response.end(encode({ interval: 1800, peers: '' }))
  })
  const odd = `${web}/apply.cgi?action=reboot`
  const sample = await bench.sample({ 'film.mkv': 50_000 }, { trackers: [odd, `${odd}&x`] })
  const state = bench.folder()
  const refusals = async (torrent: Torrent, count: number): Promise<void> => {
    const failed = (): number => torrent.trackers.filter(({ status }) => status === 'failed').length
    await until('the failures', () => failed(), { is: (value) => value >= count })
    for (const { error } of torrent.trackers) {
      if (error !== undefined) assert.match(error.message, /^http:\/\/127\.0\.0\.1:\d+ is refused: /)
    }
  }
  const first = bench.client({ state })
  const torrent = await first.add(sample.bytes)
  await refusals(torrent, 2)
  const hash = torrent.infoHash
  await first.add(`magnet:?xt=urn:btih:${hash}&tr=${encodeURIComponent(`${odd}&magnet`)}`)
  await refusals(torrent, 3)
  assert.deepEqual(heard, [])
  await first.add(hash, { trackers: [`${odd}&remote`], trust: 'remote' })
  await refusals(torrent, 4)
  assert.deepEqual(heard, [])
  torrent.addTrackers([`${odd}&added`])
  await first.add(hash, { trackers: [odd, `${odd}&option`] })
  await until('two announces', () => heard.length, { is: (value) => value >= 2 })
  await first.close()

  heard.length = 0
  const second = bench.client({ state })
  const [restored] = await second.restored()
  assert.ok(restored !== undefined)
  // The torrent names the first one too, but the program has added it as well.
  await until('announces of three kinds', () => new Set(heard).size, { is: (value) => value >= 3 })
  await refusals(restored, 3)
  assert.deepEqual([...new Set(heard)].sort(), [
    '/apply.cgi?action=reboot&',
    '/apply.cgi?action=reboot&added&',
    '/apply.cgi?action=reboot&option&'
  ])
})

test('a tracker passed to seed() may lead anywhere', async (t) => {
  const bench = new Bench(t)
  const web = await serve(bench, (_request, response) =>
    response.end(encode({ interval: 1800, complete: 7, peers: '' }))
  )
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const client = bench.client()
  const torrent = await client.seed(sample.root, { trackers: [`${web}/tracker?pass=1`] })
  await until('the tracker to answer', () => torrent.trackers[0]?.status, { is: 'working' })
  assert.equal(torrent.trackers.length, 1)
})
