import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import type { Torrent } from '../../lib/torrent/torrent.ts'
import type { TorrentInspection } from '../../lib/torrent/torrent-inspection.ts'
import { deferred } from '../../lib/util/concurrency.ts'
import { until } from '../support/until.ts'
import { addressOf, Bench, serve } from './bench.ts'
import { listenAs } from './evil-peer.ts'
import { FaultyStorage } from './faulty-storage.ts'

/** Storage whose reads or writes wait until it is closed. */
class SlowStorage extends FaultyStorage {
  readonly #end = deferred<void>()
  readonly #slow: 'read' | 'write'

  constructor(slow: 'read' | 'write') {
    super()
    this.#slow = slow
  }

  override async write(byteOffset: number, chunks: readonly Uint8Array[]): Promise<void> {
    if (this.#slow === 'write') await this.#end.promise
    await super.write(byteOffset, chunks)
  }

  override async read(byteOffset: number, target: Uint8Array): Promise<number> {
    if (this.#slow === 'read') await this.#end.promise
    return super.read(byteOffset, target)
  }

  /** Releases everything that waits. */
  end(): void {
    this.#end.resolve()
  }
}

/** Waits for a reason, and asserts that the snapshot is plain data. */
async function reason(torrent: Torrent, expected: RegExp): Promise<TorrentInspection> {
  const picture = await until(String(expected), () => torrent.inspect(), {
    is: ({ notRequesting }) => notRequesting.some((sentence) => expected.test(sentence))
  })
  assert.deepEqual(JSON.parse(JSON.stringify(picture)), picture)
  return picture
}

const film = { 'film.mkv': 100_000 }

const rows: Readonly<Record<string, (bench: Bench) => Promise<void>>> = {
  paused: async (bench) => {
    const sample = await bench.sample(film)
    const torrent = await bench.client().add(sample.bytes, { paused: true })
    const { status } = await reason(torrent, /is paused/)
    assert.equal(status, 'paused')
  },
  queued: async (bench) => {
    const sample = await bench.sample(film)
    const torrent = await bench.client({ maxActiveDownloads: 0 }).add(sample.bytes)
    await reason(torrent, /waits in the queue/)
  },
  'no metadata': async (bench) => {
    const client = bench.client()
    client.add('1'.repeat(40)).catch(() => {})
    const [torrent] = (await once(client, 'torrent')) as [Torrent]
    const { metadata, pieces } = await reason(torrent, /metadata is unknown; 0 connected peers offer it/)
    assert.deepEqual(metadata, { known: false, sources: 0 })
    assert.equal(pieces.missing, 0)
  },
  closed: async (bench) => {
    const sample = await bench.sample(film)
    const torrent = await bench.client().add(sample.bytes)
    await torrent.close()
    await reason(torrent, /is closed/)
  },
  'storage failed': async (bench) => {
    const sample = await bench.sample(film)
    const storage = new FaultyStorage()
    storage.writeFault = new Error('no space left')
    const host = await listenAs(bench, sample)
    const torrent = await bench.client().add(sample.bytes, { storage, peers: [host.address] })
    torrent.on('error', () => {})
    const picture = await reason(torrent, /has failed \(.*no space left.*\); resume/)
    assert.match(picture.storage.failure ?? '', /no space left/)
  },
  'no peer': async (bench) => {
    const sample = await bench.sample(film)
    const torrent = await bench.client().add(sample.bytes)
    const { pieces } = await reason(torrent, /No peer is connected; no address is known/)
    assert.deepEqual([pieces.missing, pieces.wanted], [4, 4])
  },
  'a peer that cannot be reached': async (bench) => {
    const sample = await bench.sample(film)
    const torrent = await bench.client().add(sample.bytes, { peers: ['127.0.0.1:1'] })
    await until('the dial to fail', () => torrent.inspect().candidates.next[0]?.why, { is: 'failed' })
    const { candidates } = await reason(torrent, /No peer is connected; 1 address to dial/)
    const [next] = candidates.next
    assert.deepEqual([next?.address, next?.source, next?.failures], ['127.0.0.1:1', 'manual', 1])
    assert.ok(next?.inMs !== null)
  },
  'the only peer chokes us': async (bench) => {
    const sample = await bench.sample(film)
    const host = await listenAs(bench, sample, { mute: true, onWire: ({ wire }) => wire.haveAll() })
    const torrent = await bench.client().add(sample.bytes, { peers: [host.address] })
    const { peers } = await reason(torrent, /only connected peer chokes us/)
    assert.deepEqual([peers[0]?.peerChoking, peers[0]?.amInterested, peers[0]?.requests], [true, true, 0])
  },
  'no peer has anything': async (bench) => {
    const sample = await bench.sample(film)
    const host = await listenAs(bench, sample, { mute: true, onWire: ({ wire }) => wire.haveNone() })
    const torrent = await bench.client().add(sample.bytes, { peers: [host.address] })
    await reason(torrent, /No connected peer has a piece that is wanted/)
  },
  'nothing is selected': async (bench) => {
    const sample = await bench.sample(film)
    const torrent = await bench.client().add(sample.bytes, { select: 'none' })
    await reason(torrent, /Nothing is selected/)
  },
  'everything is here': async (bench) => {
    const { torrent } = await bench.seeder(await bench.sample(film))
    const { pieces, why } = await reason(torrent, /Nothing selected is missing/)
    assert.deepEqual([pieces.stored, pieces.missing, why], [4, 0, 'Every byte is stored.'])
  },
  'the limit is 0': async (bench) => {
    const sample = await bench.sample(film)
    const { client } = await bench.seeder(sample)
    const torrent = await bench.client({ downloadLimit: 0 }).add(sample.bytes, { peers: [addressOf(client)] })
    const { limits } = await reason(torrent, /download limit is 0/)
    assert.deepEqual(limits, { download: 0, upload: null })
  },
  checking: async (bench) => {
    const sample = await bench.sample(film)
    const storage = new SlowStorage('read')
    bench.after(() => storage.end())
    const torrent = await bench.client().add(sample.bytes, { storage, verify: true })
    const { pieces } = await reason(torrent, /checked first: 4 pieces to go/)
    assert.equal(pieces.unchecked, 4)
    storage.end()
  },
  'storage is behind': async (bench) => {
    const sample = await bench.sample({ 'film.mkv': 3 << 20 })
    const storage = new SlowStorage('write')
    bench.after(() => storage.end())
    const { client } = await bench.seeder(sample)
    const download = bench.client({ memoryLimit: 1 << 20 })
    const torrent = await download.add(sample.bytes, { storage, peers: [addressOf(client)] })
    const {
      memory,
      pieces,
      storage: behind
    } = await reason(torrent, /Storage is behind: \d+ pieces to write/)
    assert.equal(behind.queuedWrites, pieces.verified)
    assert.ok(memory.own > 0 && memory.own <= memory.used && memory.used <= memory.limit)
    storage.end()
    await torrent.whenDone()
    assert.deepEqual(torrent.inspect().pieces.stored, 96)
  }
}

for (const [name, run] of Object.entries(rows)) {
  test(`inspect tells why nothing is requested: ${name}`, async (t) => {
    await run(new Bench(t))
  })
}

test('inspect shows requests, peers and the pieces that streams wait for', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 4 * 32768 })
  const host = await listenAs(bench, sample, { answer: () => {} })
  const torrent = await bench.client().add(sample.bytes, { select: 'none', peers: [host.address] })
  const stream = torrent.files[0]?.createReadStream({ start: 40_000 }) ?? assert.fail()
  stream.on('error', () => {})
  stream.resume()
  const picture = await until('requests', () => torrent.inspect(), { is: ({ requests }) => requests > 0 })
  assert.deepEqual(JSON.parse(JSON.stringify(picture)), picture)
  assert.deepEqual(picture.notRequesting, [])
  const [peer] = picture.peers
  assert.equal(peer?.address, host.address)
  assert.equal(peer?.requests, picture.requests)
  assert.ok(peer !== undefined && peer.oldestRequestMs !== null && peer.depth > 0)
  assert.deepEqual([peer.snubbed, peer.suspect, peer.late], [false, false, 0])
  assert.deepEqual([picture.candidates.known, picture.candidates.connected], [1, 1])
  const [reading] = picture.streams
  assert.ok(reading !== undefined && reading.deadlineMs !== null)
  assert.deepEqual([reading.file, reading.position, reading.waitsFor], ['film.mkv', 40_000, 'piece'])
  assert.deepEqual([reading.window?.start, reading.firstMissing], [1, 1])
  assert.ok(picture.pieces.partial > 0)
  stream.destroy()
  await until('the stream to end', () => torrent.inspect().streams.length === 0)
})

test('inspect shows trackers and addresses without their secrets', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample(film)
  const url = await serve(bench, (_request, response) => response.end('d14:failure reason2:noe'))
  const torrent = await bench.client().add(sample.bytes, { trackers: [`${url}/announce?passkey=secret`] })
  const picture = await until('the tracker to fail', () => torrent.inspect(), {
    is: ({ trackers }) => trackers[0]?.status === 'failed'
  })
  assert.deepEqual(JSON.parse(JSON.stringify(picture)), picture)
  assert.ok(!JSON.stringify(picture).includes('secret'))
  assert.match(picture.trackers[0]?.error ?? '', /no/)
  assert.equal(picture.dht, 'off')
})
