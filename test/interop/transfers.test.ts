// This library against each real program, in both directions, found through a real tracker.
import path from 'node:path'
import test, { after, before } from 'node:test'
import { realPeers } from './peers/all.ts'
import { piecewise } from './peers/piecewise.ts'
import { temporaryFolder, writeManyFiles, writeRandomFile } from './support/data.ts'
import { libtorrentMaker, mktorrent, transmissionMaker } from './support/make-torrent.ts'
import { needs } from './support/need.ts'
import { type Dataset, transfer, transferNeeds } from './support/transfer.ts'

const { folder, remove } = temporaryFolder('data')
const dataset = (name: string): Dataset => ({
  path: path.join(folder, name, 'things'),
  torrentPath: path.join(folder, `${name}.torrent`)
})
const single = dataset('single')
const harsh = dataset('harsh')
const tame = dataset('tame')

before(() => {
  if (needs([...mktorrent.needed, ...libtorrentMaker.needed, ...transmissionMaker.needed], 0).skip !== false)
    return
  writeRandomFile(single.path, 256 << 20, 'single')
  transmissionMaker.make(single.path, single.torrentPath, 20)
  writeManyFiles(harsh.path, 'many', true)
  libtorrentMaker.make(harsh.path, harsh.torrentPath, 18)
  writeManyFiles(tame.path, 'many', false)
  mktorrent.make(tame.path, tame.torrentPath, 16)
})
after(remove)

for (const peer of realPeers) {
  for (const [seeder, leecher] of [
    [peer, piecewise],
    [piecewise, peer]
  ] as const) {
    const options = transferNeeds({ seeder, leecher })
    test(`${leecher.name} downloads 256 MiB from ${seeder.name}`, options, (t) =>
      transfer(t, single, { seeder, leecher, tracker: 'http' })
    )
    test(`${leecher.name} downloads 500 files from ${seeder.name}`, options, (t) =>
      transfer(t, peer.keepsNames ? harsh : tame, {
        seeder,
        leecher,
        tracker: peer.speaksUdp ? 'udp' : 'http'
      })
    )
  }
}
