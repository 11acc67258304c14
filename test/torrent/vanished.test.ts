import assert from 'node:assert/strict'
import { once } from 'node:events'
import { rmSync, truncateSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import type { TorrentError } from '../../lib/util/errors.ts'
import { addressOf, assertSame, Bench, same } from './bench.ts'

for (const [what, spoil] of [
  ['deleted', (file: string) => rmSync(file)],
  ['cut short', (file: string) => truncateSync(file, 10)]
] as const) {
  test(`a file that is ${what} under a seed is a warning at the first read of a stream, and is fetched again`, async (t) => {
    const bench = new Bench(t)
    const sample = await bench.sample({ 'set/a.bin': 300_000, 'set/b.bin': 300_000 })
    const { client: seed } = await bench.seeder(sample)
    const client = bench.client()
    const first = await client.add(sample.bytes, { peers: [addressOf(seed)] })
    await first.whenDone()
    await first.close()
    const torrent = await client.add(sample.bytes)
    await torrent.whenDone()
    const warnings: Error[] = []
    torrent.on('warning', (warning) => warnings.push(warning))
    const warned = once(torrent, 'warning')
    spoil(path.join(torrent.path, 'set/b.bin'))
    const reading = torrent.files[1]?.arrayBuffer()
    const [warning] = (await warned) as [TorrentError]
    assert.equal(warning.code, 'ERR_STORAGE_READ')
    assert.match(warning.message, /'set\/b\.bin': deleted or cut short/)
    assert.deepEqual(warning.details['files'], ['set/b.bin'])
    assert.equal(torrent.done, false)
    torrent.addPeer(addressOf(seed))
    assert.ok(same(await reading, sample.data.subarray(300_000)))
    assert.equal(warnings.length, 1)
    await torrent.recheck()
    await torrent.whenDone()
    assertSame(torrent, sample)
    assert.equal(warnings.length, 1)
    // An open file that was deleted can still be read.
    if (what === 'deleted') return
    const again = once(torrent, 'warning')
    spoil(path.join(torrent.path, 'set/a.bin'))
    assert.ok(same(await torrent.files[0]?.arrayBuffer(), sample.data.subarray(0, 300_000)))
    assert.deepEqual(((await again)[0] as TorrentError).details['files'], ['set/a.bin'])
  })
}

test('it is also a warning when a peer requests first', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 300_000 })
  const client = bench.client({ path: sample.folder })
  const torrent = await client.add(sample.bytes)
  await torrent.whenDone()
  const warned = once(torrent, 'warning')
  rmSync(path.join(sample.folder, 'film.mkv'))
  await bench.client().add(sample.bytes, { peers: [addressOf(client)] })
  assert.deepEqual(((await warned)[0] as TorrentError).details['files'], ['film.mkv'])
})
