// This library against each real program that is limited to one kind of encryption, in both directions. By default one cell
// for each program and kind; PIECEWISE_MATRIX=1 runs all of them.
import assert from 'node:assert/strict'
import path from 'node:path'
import test, { after, before } from 'node:test'
import { realPeers } from './peers/all.ts'
import { deluge } from './peers/deluge.ts'
import { type ClientProcess, piecewise } from './peers/piecewise.ts'
import type { Cipher } from './peers/real-peer.ts'
import { rtorrent } from './peers/rtorrent.ts'
import { temporaryFolder, writeRandomFile } from './support/data.ts'
import { mktorrent } from './support/make-torrent.ts'
import { needs } from './support/need.ts'
import { type Dataset, type Transferred, transfer, transferNeeds } from './support/transfer.ts'

const isWhole = process.env['PIECEWISE_MATRIX'] === '1'
const { folder, remove } = temporaryFolder('encryption')
const data: Dataset = {
  path: path.join(folder, 'data', 'film'),
  torrentPath: path.join(folder, 'film.torrent')
}

before(() => {
  if (needs(mktorrent.needed, 0).skip !== false) return
  writeRandomFile(data.path, 16 << 20, 'film')
  mktorrent.make(data.path, data.torrentPath, 18)
})
after(remove)

const all: readonly Cipher[] = ['none', 'handshake', 'rc4']
/** Odd at first, so that Transmission downloads: as a seeder it waits ten seconds until it unchokes. */
let cell = 1

for (const peer of [...realPeers, rtorrent, deluge]) {
  for (const cipher of all) {
    if (!peer.ciphers.includes(cipher)) continue
    const ways = [
      [peer, piecewise],
      [piecewise, peer]
    ] as const
    const smoke = cipher === 'none' ? undefined : ways[cell++ % 2]
    for (const [seeder, leecher] of ways) {
      if (!isWhole && smoke?.[0] !== seeder) continue
      const name = `${leecher.name} downloads from ${seeder.name}, encryption: ${cipher}`
      const onDone = (programs: Transferred): void => {
        const own = (seeder === piecewise ? programs.seeder : programs.leecher) as ClientProcess
        assert.deepEqual(own.report()?.kinds, [`tcp ${cipher}`])
      }
      test(name, transferNeeds({ seeder, leecher }), (t) =>
        transfer(t, data, { seeder, leecher, tracker: 'http', cipher, onDone })
      )
    }
  }
}
