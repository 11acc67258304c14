// Torrents of other programs read by this library, and its own read by them.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test, { after, before } from 'node:test'
import { createTorrent, parseTorrent } from '../../lib/metainfo.ts'
import { libtorrent } from './peers/libtorrent.ts'
import { freePort } from './peers/real-peer.ts'
import { infoHashOf, temporaryFolder, writeManyFiles, writeRandomFile } from './support/data.ts'
import { libtorrentFiles, libtorrentMaker, makers, mktorrent, readers } from './support/make-torrent.ts'
import { needs } from './support/need.ts'
import { loopback } from './support/process.ts'

const { folder, remove } = temporaryFolder('metainfo')
const single = path.join(folder, 'one file.bin')
const many = path.join(folder, 'many files')

before(() => {
  writeRandomFile(single, 5_000_001, 'single')
  writeManyFiles(many, 'many', true)
})
after(remove)

const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('hex')

for (const maker of makers) {
  for (const data of [single, many]) {
    const label = path.basename(data)
    const needed = [...maker.needed, ...readers.flatMap((reader) => reader.needed)]
    test(`reads the torrent of ${label} made by ${maker.name}`, needs(needed, 30_000), () => {
      const torrentPath = path.join(folder, `${label}-${maker.name}.torrent`)
      maker.make(data, torrentPath, 15)
      const metainfo = parseTorrent(readFileSync(torrentPath))
      assert.equal(hex(metainfo.infoHashes.v1), infoHashOf(torrentPath))
      for (const reader of readers)
        assert.equal(reader.infoHash(torrentPath), hex(metainfo.infoHashes.v1), reader.name)
      assert.equal(metainfo.name, label)
      assert.equal(metainfo.pieceLength, 2 ** 15)
      // transmission-create omits hidden and empty files, so another reader gives the expected list.
      const files = metainfo.files.map((file) => ({ path: file.path, length: file.length }))
      assert.deepEqual(files, libtorrentFiles(torrentPath))
    })
  }
}

for (const data of [single, many]) {
  const label = path.basename(data)
  const needed = [...readers.flatMap((reader) => reader.needed), ...libtorrent.needed]
  test(
    `other programs read the torrent of ${label} made by this library`,
    needs(needed, 60_000),
    async () => {
      const torrentPath = path.join(folder, `${label}-own.torrent`)
      const bytes = await createTorrent(data, { pieceLength: 2 ** 15, ignore: () => false })
      writeFileSync(torrentPath, bytes)
      const metainfo = parseTorrent(bytes)
      for (const reader of readers)
        assert.equal(reader.infoHash(torrentPath), hex(metainfo.infoHashes.v1), reader.name)
      const files = metainfo.files.map((file) => ({ path: file.path, length: file.length }))
      assert.deepEqual(files, libtorrentFiles(torrentPath))
      assert.equal(files.length, data === single ? 1 : 500)
      // It seeds only if every hash matches.
      const task = {
        torrentPath,
        dataFolder: folder,
        workFolder: folder,
        place: loopback,
        port: await freePort()
      }
      await (await libtorrent.seed(task)).stop()
    }
  )
}

test(
  'the same file gives the same info hash in other programs',
  needs([...mktorrent.needed, ...libtorrentMaker.needed], 30_000),
  async () => {
    const own = parseTorrent(await createTorrent(single, { pieceLength: 2 ** 16 }))
    for (const maker of [mktorrent, libtorrentMaker]) {
      const torrentPath = path.join(folder, `same-${maker.name}.torrent`)
      maker.make(single, torrentPath, 16)
      assert.equal(infoHashOf(torrentPath), hex(own.infoHashes.v1), maker.name)
    }
  }
)
