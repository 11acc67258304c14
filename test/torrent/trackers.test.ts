import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { test } from 'node:test'
import { encode } from '../../lib/bencode/encode.ts'
import type { Client } from '../../lib/client/client.ts'
import type { Torrent } from '../../lib/torrent/torrent.ts'
import { formatCompact } from '../../lib/util/address.ts'
import { addressOf, Bench, serve } from './bench.ts'

/** What a client has told its tracker. */
interface Announce {
  readonly port: number
  readonly event: string
  readonly uploaded: number
  readonly downloaded: number
  readonly left: number
}

/** A tracker that names the clients given, and keeps what it hears. */
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

  /** What a client has said, in order. */
  of({ port }: { readonly port: number }): Announce[] {
    return this.heard.filter((announce) => announce.port === port)
  }
}

test('a tracker hears of the start, the end and the goodbye, with what was moved', async (t) => {
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
  torrent.on('peer', ({ source: from }) => assert.equal(from, 'tracker'))
  await torrent.whenDone()
  while (tracker.of({ port }).length < 2) await once(tracker, 'announce')
  assert.equal(torrent.trackers[0]?.url, tracker.url)
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

test('a tracker of a magnet link is asked before the length is known', async (t) => {
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

test('dead trackers and those of other kinds are warnings, and hold nothing up', async (t) => {
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
  while (torrent.trackers.filter(({ status }) => status === 'failed').length < 2)
    await once(torrent, 'warning')
  await client.close()
  assert.ok(warnings.some(({ message }) => /500/.test(message)))
  assert.ok(warnings.some(({ message }) => /wss/.test(message)))
})

test('trackers of a torrent that closes at once are told nothing strange', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const tracker = await Tracker.start(bench, [])
  const client = bench.client()
  const torrent = await client.add(sample.bytes, { trackers: [tracker.url] })
  await torrent.close()
  torrent.addTrackers([tracker.url, 'http://127.0.0.1:1/'])
  assert.ok(tracker.heard.every(({ event }) => event === 'started' || event === 'stopped'))
})

test('a tracker that the torrent names reaches no other service here; one of the program does, also after a restart', async (t) => {
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
    while (failed() < count) await once(torrent, 'warning')
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
  while (heard.length < 2) await new Promise((resolve) => setImmediate(resolve))
  await first.close()

  heard.length = 0
  const second = bench.client({ state })
  const [restored] = await second.restored()
  assert.ok(restored !== undefined)
  // The torrent names the first one too, but the program has vouched for it.
  while (new Set(heard).size < 3) await new Promise((resolve) => setImmediate(resolve))
  await refusals(restored, 3)
  assert.deepEqual([...new Set(heard)].sort(), [
    '/apply.cgi?action=reboot&',
    '/apply.cgi?action=reboot&added&',
    '/apply.cgi?action=reboot&option&'
  ])
})

test('a tracker that seed is given may lead anywhere', async (t) => {
  const bench = new Bench(t)
  const web = await serve(bench, (_request, response) =>
    response.end(encode({ interval: 1800, complete: 7, peers: '' }))
  )
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const client = bench.client()
  const torrent = await client.seed(sample.root, { trackers: [`${web}/tracker?pass=1`] })
  while (torrent.trackers[0]?.status !== 'working') await new Promise((resolve) => setImmediate(resolve))
  assert.equal(torrent.trackers.length, 1)
})
