import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { decodeSavedTorrents, type SavedTorrents } from '../../lib/client/saved-torrents.ts'
import { deferred } from '../../lib/util/concurrency.ts'
import { turns } from '../support/turns.ts'
import { until } from '../support/until.ts'
import { addressOf, Bench } from '../torrent/bench.ts'
import { listenAs } from '../torrent/evil-peer.ts'
import { FaultyStorage } from '../torrent/faulty-storage.ts'

function sessionOf(state: string): SavedTorrents {
  return decodeSavedTorrents(readFileSync(path.join(state, 'client.session')))
}

for (const why of ['is paused', 'waits in the queue'] as const) {
  test(`a torrent that ${why} dials no peer when it is restored`, async (t) => {
    const bench = new Bench(t)
    const state = bench.folder()
    const sample = await bench.sample({ 'film.mkv': 100_000 })
    const host = await listenAs(bench, sample, { answer: () => {} })
    const first = bench.client({ state })
    const torrent = await first.add(sample.bytes, { peers: [host.address] })
    await until('the first connection', () => torrent.peers.length)
    if (why === 'is paused') torrent.pause()
    await first.close()
    assert.equal(host.sockets.length, 1)
    const second = bench.client({ state, ...(why === 'is paused' ? {} : { maxActiveDownloads: 0 }) })
    const [again] = await second.restored()
    assert.equal(again?.status, why === 'is paused' ? 'paused' : 'queued')
    await turns()
    assert.equal(host.sockets.length, 1)
    // It dials as soon as it runs.
    if (why === 'is paused') again?.resume()
    else second.maxActiveDownloads = 1
    await until('the second dial', () => host.sockets.length, { is: (value) => value >= 2 })
  })
}

test('close during a second add of a saved torrent keeps it once', async (t) => {
  const bench = new Bench(t)
  const state = bench.folder()
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const first = bench.client({ state })
  await first.add(sample.bytes, { path: bench.folder() })
  await first.close()
  for (let turns = 0; turns < 30; turns++) {
    const client = bench.client({ state })
    await client.restored()
    const adding = client.add(sample.bytes, { verify: true })
    adding.catch(() => {})
    for (let turned = 0; turned < turns; turned++) await turn()
    await client.close()
    await adding.catch(() => {})
    const { savedTorrents, damaged } = sessionOf(state)
    assert.deepEqual([savedTorrents.length, damaged], [1, 0], `after ${turns} turns`)
  }
})

test('a saved magnet link whose files cannot be opened stays for the next run', async (t) => {
  const bench = new Bench(t)
  const state = bench.folder()
  const folder = path.join(bench.folder(), 'disk')
  const sample = await bench.sample({ 'pack/a': 50_000, 'pack/b': 50_000 })
  const { client: seed, torrent: source } = await bench.seeder(sample)
  const first = bench.client({ state })
  first.add(source.infoHash, { path: folder }).catch(() => {})
  await once(first, 'torrent')
  await first.close()
  writeFileSync(folder, 'taken')
  const second = bench.client({ state })
  const warned = once(second, 'warning')
  const [torrent] = await second.restored()
  assert.equal(torrent?.status, 'metadata')
  torrent?.addPeer(addressOf(seed))
  const [warning] = await warned
  assert.match(warning.message, /cannot be restored in this run/)
  await second.close()
  rmSync(folder)
  mkdirSync(folder)
  const third = bench.client({ state })
  assert.deepEqual(
    (await third.restored()).map(({ infoHash }) => infoHash),
    [source.infoHash]
  )
})

test('a torrent added while it is being removed is added anew', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  for (const options of [{}, { state: bench.folder() }]) {
    const client = bench.client(options)
    const torrent = await client.add(sample.bytes)
    const removed = client.remove(torrent)
    const again = await client.add(sample.bytes)
    await removed
    await turn()
    assert.notEqual(again, torrent)
    assert.equal(again.status, 'downloading')
    assert.deepEqual(client.torrents, [again])
    await client.close()
    if (options.state !== undefined) assert.equal(sessionOf(options.state).savedTorrents.length, 1)
  }
})

test('a torrent removed while the client closes stays removed', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const other = await bench.sample({ 'other.mkv': 50_000 })
  for (let turns = 0; turns < 20; turns++) {
    const state = bench.folder()
    const client = bench.client({ state })
    const warnings: Error[] = []
    client.on('warning', (warning) => warnings.push(warning))
    const torrent = await client.add(sample.bytes)
    const kept = await client.add(other.bytes)
    const removed = client.remove(torrent)
    for (let turned = 0; turned < turns; turned++) await turn()
    await client.close()
    await removed
    const { savedTorrents, damaged } = sessionOf(state)
    assert.deepEqual([savedTorrents.map(({ infoHash }) => infoHash), damaged], [[kept.infoHash], 0])
    assert.deepEqual(warnings, [])
  }
})

test('an aborted add does not take an opening torrent from other callers', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const storage = new FaultyStorage()
  const opening = deferred<void>()
  storage.gate = opening.promise
  const client = bench.client()
  const adding = client.add(sample.bytes, { storage })
  await once(client, 'torrent')
  const given = new AbortController()
  const other = client.add(sample.bytes, { signal: given.signal })
  await turn()
  given.abort()
  await assert.rejects(other, { name: 'AbortError' })
  opening.resolve()
  const torrent = await adding
  assert.equal(torrent.status, 'downloading')
  // Nor from the next run.
  const state = bench.folder()
  const first = bench.client({ state })
  await first.add(sample.bytes, { path: bench.folder() })
  await first.close()
  for (let turns = 0; turns < 15; turns++) {
    const next = bench.client({ state })
    const signal = new AbortController()
    const again = next.add(sample.bytes, { signal: signal.signal })
    again.catch(() => {})
    for (let turned = 0; turned < turns; turned++) await turn()
    signal.abort()
    await again.catch(() => {})
    await next.restored()
    assert.equal(next.torrents[0]?.status, 'downloading', `after ${turns} turns`)
    await next.close()
  }
})

test('peers that sent the metadata stay when the queue lets the torrent continue', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const host = await listenAs(bench, sample)
  const client = bench.client({ maxActiveDownloads: 1 })
  const infoHash = Buffer.from(sample.metainfo.infoHashes.v1 ?? []).toString('hex')
  const torrent = await client.add(infoHash, { peers: [host.address] })
  await torrent.whenDone()
  assert.equal(host.sockets.length, 1)
})
