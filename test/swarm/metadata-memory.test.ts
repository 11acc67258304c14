import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { ClientHost } from '../../lib/client/client-host.ts'
import { SharedServices } from '../../lib/client/shared-services.ts'
import { type MetadataHolder, MetadataMemory } from '../../lib/swarm/metadata-memory.ts'
import { TorrentSession } from '../../lib/torrent/torrent-session.ts'
import { until } from '../support/until.ts'
import { Bench } from '../torrent/bench.ts'
import { listenAs } from '../torrent/evil-peer.ts'

/** A holder with this much cost, which releases everything on request. */
class Holder implements MetadataHolder {
  held = 0
  readonly #memory: MetadataMemory
  readonly #cost: number

  constructor(memory: MetadataMemory, cost: number) {
    this.#memory = memory
    this.#cost = cost
  }

  take(bytes: number): void {
    this.held += bytes
    this.#memory.take(this, bytes)
  }

  cost(): number {
    return this.#cost
  }

  dropCostliest(): void {
    this.#memory.give(this, this.held)
    this.held = 0
  }
}

test('one torrent alone may hold all, and no more', () => {
  const memory = new MetadataMemory(100)
  const one = new Holder(memory, 1)
  one.take(100)
  assert.equal(one.held, 100)
  one.take(1)
  assert.deepEqual([one.held, memory.used], [0, 0])
})

test('a torrent at or below its equal share releases nothing, whatever its worth', () => {
  const memory = new MetadataMemory(100)
  const [small, large, other] = [9, 1, 2].map((cost) => new Holder(memory, cost))
  assert.ok(small !== undefined && large !== undefined && other !== undefined)
  small.take(33)
  other.take(10)
  large.take(57)
  other.take(5)
  assert.deepEqual([small.held, large.held, other.held], [33, 0, 15])
})

test('among torrents above their equal share the one with the most cost releases', () => {
  const memory = new MetadataMemory(100)
  const [quick, slow, other] = [1, Number.POSITIVE_INFINITY, 5].map((cost) => new Holder(memory, cost))
  assert.ok(quick !== undefined && slow !== undefined && other !== undefined)
  quick.take(45)
  slow.take(40)
  other.take(15)
  other.take(1)
  assert.deepEqual([quick.held, slow.held, other.held], [45, 0, 16])
})

test('torrents of a client share the memory, and release it when they close', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 1000 })
  const services = new SharedServices({ host: '127.0.0.1', dht: false, lsd: false }, assert.fail)
  bench.after(() => services.close(services.unlisten()))
  await services.listening
  const memory = services.metadataMemory
  const torrents: TorrentSession[] = []
  for (let n = 1; n <= 2; n++) {
    const infoHash = new Uint8Array(randomBytes(20))
    const liar = await listenAs(bench, sample, {
      infoHash,
      mute: true,
      metadataSize: 5 * 16384,
      answerMetadata: (extension, piece) => {
        if (piece === 0) extension.data(piece, 5 * 16384, new Uint8Array(16384))
      }
    })
    const init = {
      infoHashes: { v1: infoHash },
      name: undefined,
      state: undefined,
      announce: [],
      path: bench.folder(),
      peers: [liar.address]
    }
    const torrent = new TorrentSession(new ClientHost(services), init, {
      failed: assert.ifError,
      closed: () => {}
    })
    torrent.ready().catch(() => {})
    torrents.push(torrent)
    await torrent.start(undefined)
    await until('the parts of the metadata', () => memory.used, { is: (value) => value >= n * 16384 })
  }
  assert.equal(memory.limit, 48 << 20)
  assert.equal(memory.used, 2 * 16384)
  await torrents[0]?.close()
  assert.equal(memory.used, 16384)
  await torrents[1]?.close()
  assert.equal(memory.used, 0)
})
