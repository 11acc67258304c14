import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { encode } from '../../lib/bencode/encode.ts'
import type { Client } from '../../lib/client/client.ts'
import { deferred } from '../../lib/util/concurrency.ts'
import { Bench } from './bench.ts'
import { listenAs } from './evil-peer.ts'

const fileCount = 40_000
const info = encode({
  files: Array.from({ length: fileCount }, (_, n) => ({
    length: 1,
    path: [`folder ${n % 99}`, `file ${n}`]
  })),
  name: 'many',
  'piece length': 65_536,
  pieces: new Uint8Array(20)
})
const infoHash = createHash('sha1').update(info).digest('hex')

/** A peer that sends the metadata. `onLast` is called when it has sent the last piece. */
async function listenWith(bench: Bench, onLast: () => void): Promise<string> {
  const sample = await bench.sample({ 'film.mkv': 1000 })
  const pieces = Math.ceil(info.length / 16384)
  let left = pieces
  const { address } = await listenAs(bench, sample, {
    infoHash: Buffer.from(infoHash, 'hex'),
    metadata: info,
    mute: true,
    answerMetadata: (extension, piece) => {
      extension.data(piece, info.length, info.subarray(piece * 16384, (piece + 1) * 16384))
      if (--left === 0) onLast()
    }
  })
  return address
}

test('other work runs while the metadata of many files is parsed', async (t) => {
  const bench = new Bench(t)
  let isSent = false
  const address = await listenWith(bench, () => {
    isSent = true
  })
  const client = bench.client()
  let isAdded = false
  const added = client.add(infoHash, { peers: [address], select: 'none' }).finally(() => {
    isAdded = true
  })
  let all = 0
  let longest = 0
  while (!isAdded) {
    const before = process.cpuUsage()
    await setImmediate()
    const { user, system } = process.cpuUsage(before)
    if (!isSent) continue
    all += user + system
    longest = Math.max(longest, user + system)
  }
  assert.equal((await added).files.length, fileCount)
  assert.ok(longest < all / 4, `${longest} of ${all} µs of CPU in one turn`)
})

const ends: Record<string, (client: Client) => Promise<void>> = {
  'the torrent is closed': async (client) => client.torrents[0]?.close(),
  'the torrent is removed': (client) => client.remove(infoHash),
  'the client is closed': (client) => client.close()
}

for (const [name, end] of Object.entries(ends)) {
  test(`parsing of metadata stops when ${name}`, async (t) => {
    // Once before parsing, otherwise during it.
    for (const turns of [1, 2, 4, 8]) {
      const bench = new Bench(t)
      const sent = deferred<void>()
      const address = await listenWith(bench, () => sent.resolve())
      const client = bench.client()
      const folder = bench.folder()
      const added = client.add(infoHash, { peers: [address], select: 'none', path: folder })
      const refused = assert.rejects(added, { code: 'ERR_TORRENT_CLOSED' })
      const [torrent] = await once(client, 'torrent')
      let isKnown = false
      torrent.on('metadata', () => {
        isKnown = true
      })
      await sent.promise
      for (let turn = 0; turn < turns; turn++) await setImmediate()
      await end(client)
      await refused
      assert.equal(isKnown, false)
      // As long as parsing would have taken.
      for (let turn = 0; turn < 100; turn++) await setImmediate()
      assert.equal(torrent.torrentFile, undefined)
      const kept = readdirSync(folder, { recursive: true, encoding: 'utf8' })
      assert.deepEqual(
        kept.filter((file) => file.endsWith('.torrent')),
        []
      )
    }
  })
}

test('metadata added while that of a peer is parsed is used once', async (t) => {
  for (const turns of [1, 2, 4, 8]) {
    const bench = new Bench(t)
    const sent = deferred<void>()
    const address = await listenWith(bench, () => sent.resolve())
    const client = bench.client()
    const added = client.add(infoHash, { peers: [address], select: 'none' })
    const [torrent] = await once(client, 'torrent')
    let count = 0
    torrent.on('metadata', () => count++)
    await sent.promise
    for (let turn = 0; turn < turns; turn++) await setImmediate()
    const again = client.add(Buffer.concat([Buffer.from('d4:info'), info, Buffer.from('e')]))
    assert.equal(await again, torrent)
    assert.equal(await added, torrent)
    assert.equal(torrent.files.length, fileCount)
    assert.equal(count, 1)
  }
})
