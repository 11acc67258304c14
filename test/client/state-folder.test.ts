import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { decodeSavedTorrents } from '../../lib/client/saved-torrents.ts'
import { TorrentError } from '../../lib/util/errors.ts'
import { Bench } from '../torrent/bench.ts'

test('a client that is closed at any moment of its start keeps the saved torrents', async (t) => {
  const bench = new Bench(t)
  const state = bench.folder()
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const first = bench.client({ state })
  const { infoHash } = await first.add(sample.bytes, { path: bench.folder(), paused: true })
  await first.close()
  for (let turns = 0; turns < 12; turns++) {
    const client = bench.client({ state })
    for (let turn = 0; turn < turns; turn++) await setImmediate()
    await client.close()
    assert.deepEqual(await client.restored(), [])
    const { savedTorrents } = decodeSavedTorrents(readFileSync(path.join(state, 'client.session')))
    assert.deepEqual(
      savedTorrents.map((saved) => saved.infoHash),
      [infoHash],
      `after ${turns} turns`
    )
  }
  const last = bench.client({ state })
  assert.equal((await last.restored())[0]?.infoHash, infoHash)
})

test('a torrent added while saved ones load is added once, and refused when the client closes', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const client = bench.client()
  const path = bench.folder()
  const [one, two] = await Promise.all([
    client.add(sample.bytes, { path }),
    client.add(sample.bytes, { path })
  ])
  assert.equal(one, two)
  assert.equal(client.torrents.length, 1)
  const other = bench.client()
  const refused = assert.rejects(other.add(sample.bytes, { path: bench.folder() }), (error) => {
    return error instanceof TorrentError && error.code === 'ERR_CLIENT_CLOSED'
  })
  await other.close()
  await refused
  assert.deepEqual(other.torrents, [])
})
