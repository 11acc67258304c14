import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { MemoryStorage } from '../../lib/storage/memory-storage.ts'
import type { Torrent } from '../../lib/torrent/torrent.ts'
import { collectUncaught } from '../support/uncaught.ts'
import { until } from '../support/until.ts'
import { addressOf, Bench, same } from './bench.ts'

/** Memory storage, one method of which a test may replace while it is used. */
class OddStorage extends MemoryStorage {
  readonly #real = new Map<string, unknown>()

  replace(name: keyof MemoryStorage, method: unknown): void {
    this.#real.set(name, this[name])
    Object.assign(this, { [name]: method })
  }

  repair(name: keyof MemoryStorage): void {
    Object.assign(this, { [name]: this.#real.get(name) })
  }
}

type Fault = () => unknown

const faults: Readonly<Record<string, Fault>> = {
  throws: () => {
    throw new Error('mine')
  },
  'rejects with a string': async () => Promise.reject('mine'),
  'rejects with nothing': async () => Promise.reject(undefined)
}

for (const [what, fault] of Object.entries(faults)) {
  test(`a storage whose write ${what} stops the torrent until it is resumed`, async (t) => {
    const bench = new Bench(t)
    const uncaught = collectUncaught(t)
    const sample = await bench.sample({ 'film.mkv': 300_000 })
    const { client: seed } = await bench.seeder(sample)
    const storage = new OddStorage()
    storage.replace('write', fault)
    const torrent = await bench.client().add(sample.bytes, { storage, peers: [addressOf(seed)] })
    const failed = new Promise((resolve) => torrent.on('error', resolve))
    await assert.rejects(torrent.whenDone(), { name: 'TorrentError', code: 'ERR_STORAGE_WRITE' })
    await failed
    assert.equal(torrent.status, 'error')
    storage.repair('write')
    torrent.resume()
    await torrent.whenDone()
    assert.ok(same(await torrent.files[0]?.arrayBuffer(), sample.data))
    await torrent.close()
    assert.deepEqual(uncaught, [])
  })

  test(`a storage whose open ${what} rejects add, and the client continues`, async (t) => {
    const bench = new Bench(t)
    const sample = await bench.sample({ 'film.mkv': 300_000 })
    const client = bench.client()
    const storage = new OddStorage()
    storage.replace('open', fault)
    await assert.rejects(client.add(sample.bytes, { storage }), { name: 'TorrentError' })
    assert.deepEqual(client.torrents, [])
  })

  test(`a storage whose end ${what} gives a warning, and close resolves`, async (t) => {
    const bench = new Bench(t)
    const sample = await bench.sample({ 'film.mkv': 300_000 })
    const client = bench.client()
    for (const [name, end] of [
      ['close', (torrent: Torrent) => torrent.close()],
      ['delete', (torrent: Torrent) => client.remove(torrent, { deleteFiles: true })]
    ] as const) {
      const storage = new OddStorage()
      const torrent = await client.add(sample.bytes, { storage })
      storage.replace(name, fault)
      const warned = new Promise((resolve) => torrent.once('warning', resolve))
      await end(torrent)
      assert.equal(((await warned) as { name: string }).name, 'TorrentError')
      assert.equal(torrent.status, 'closed')
    }
  })
}

for (const [what, answer] of Object.entries<Fault>({
  ...faults,
  'gives no number': async () => undefined,
  'gives more than was asked for': async () => 2 ** 40
})) {
  test(`a storage whose read ${what} fails the stream and serves no peer, and the torrent continues`, async (t) => {
    const bench = new Bench(t)
    const uncaught = collectUncaught(t)
    const sample = await bench.sample({ 'film.mkv': 300_000 })
    const { client: seed } = await bench.seeder(sample)
    const storage = new OddStorage()
    const client = bench.client()
    const torrent = await client.add(sample.bytes, { storage, peers: [addressOf(seed)] })
    await torrent.whenDone()
    storage.replace('read', answer)
    await assert.rejects(async () => torrent.files[0]?.arrayBuffer(), {
      name: 'TorrentError',
      code: 'ERR_STORAGE_READ'
    })
    const other = await bench.client().add(sample.bytes, { peers: [addressOf(client)] })
    // The peer requests too, and unreadable pieces are fetched again.
    await until('the lost piece to be noticed', () => torrent.downloaded !== torrent.length)
    storage.repair('read')
    await Promise.all([torrent.whenDone(), other.whenDone()])
    assert.ok(same(await torrent.files[0]?.arrayBuffer(), sample.data))
    await nextTurn()
    assert.deepEqual(uncaught, [])
  })
}

test('a storage that never opens blocks neither add with a signal nor close', {
  timeout: 20_000
}, async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 300_000 })
  const client = bench.client()
  const storage = new OddStorage()
  storage.replace('open', () => new Promise(() => {}))
  const controller = new AbortController()
  const added = client.add(sample.bytes, { storage, signal: controller.signal })
  await until('the torrent to be added', () => client.torrents.length)
  controller.abort()
  await assert.rejects(added)
  await client.close()
})
