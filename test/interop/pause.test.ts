// Pauses either side of a transfer between this library and libtorrent.
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client, type Torrent } from '../../lib/index.ts'
import { createTorrent } from '../../lib/metainfo.ts'
import { until } from '../support/until.ts'
import { libtorrent } from './peers/libtorrent.ts'
import { freePort } from './peers/real-peer.ts'
import { temporaryFolder, writeRandomFile } from './support/data.ts'
import { needs } from './support/need.ts'
import { loopback } from './support/process.ts'

/** Pauses and resumes: payload stops within a second, the peer stays, and payload resumes at once. */
async function pauses(torrent: Torrent, moved: () => number): Promise<void> {
  await until('some payload', () => moved() > 1 << 20)
  torrent.pause()
  await sleep(1000)
  const before = moved()
  await sleep(2000)
  assert.equal(moved(), before, 'payload was moved more than a second after the pause')
  assert.equal(torrent.peers.length, 1)
  torrent.resume()
  await until('payload after the pause', () => moved() > before, { timeoutMs: 15_000 })
}

for (const role of ['leecher', 'seeder'] as const) {
  test(`a ${role} pauses and resumes with libtorrent`, needs(libtorrent.needed, 60_000), async (t) => {
    const { folder, remove } = temporaryFolder('pause')
    const dataFolder = path.join(folder, 'data')
    const outFolder = path.join(folder, 'out')
    mkdirSync(dataFolder)
    mkdirSync(outFolder)
    const data = path.join(dataFolder, 'film.bin')
    writeRandomFile(data, 48 << 20, 'pause')
    const torrentPath = path.join(folder, 'film.torrent')
    writeFileSync(torrentPath, await createTorrent(data, { pieceLength: 65536, creationDate: false }))
    const client = new Client({ host: '127.0.0.1', dht: false, path: outFolder, uploadLimit: 4_000_000 })
    const port = await freePort()
    const place = { place: loopback, port, torrentPath, dataFolder, outFolder, workFolder: folder }
    const program =
      role === 'leecher'
        ? await libtorrent.seed({ ...place, uploadLimit: 4_000_000 })
        : await libtorrent.leech(place)
    t.after(async () => {
      await client.close()
      await program.stop()
      remove()
    })
    const peers = [`127.0.0.1:${port}`]
    if (role === 'leecher') {
      const torrent = await client.add(torrentPath, { peers })
      await pauses(torrent, () => torrent.received)
    } else {
      const torrent = await client.seed(data, { pieceLength: 65536, creationDate: false, peers })
      if ('done' in program) program.done.catch(() => {})
      await pauses(torrent, () => torrent.uploaded)
    }
  })
}
