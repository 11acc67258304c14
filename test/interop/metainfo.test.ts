// Torrents of other programs read by this library.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import test, { after, before } from 'node:test'
import { parseTorrent } from '../../lib/metainfo.ts'
import { infoHashOf, temporaryFolder, writeManyFiles, writeRandomFile } from './support/data.ts'
import { libtorrentFiles, makers, readers } from './support/make-torrent.ts'
import { needs } from './support/need.ts'

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
      // transmission-create leaves out hidden and empty files, so another reader says what is right
      const files = metainfo.files.map((file) => ({ path: file.path, length: file.length }))
      assert.deepEqual(files, libtorrentFiles(torrentPath))
    })
  }
}
