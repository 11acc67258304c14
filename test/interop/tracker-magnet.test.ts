// A magnet link that names one tracker and no other source of peers: this library against each real program,
// both ways.
import path from 'node:path'
import test, { after, before, describe } from 'node:test'
import { realPeers } from './peers/all.ts'
import { piecewise } from './peers/piecewise.ts'
import { temporaryFolder, writeRandomFile } from './support/data.ts'
import { libtorrentMaker } from './support/make-torrent.ts'
import { needs } from './support/need.ts'
import { type Dataset, transfer, transferNeeds } from './support/transfer.ts'

const { folder, remove } = temporaryFolder('magnet')
const film: Dataset = {
  path: path.join(folder, 'data', 'film'),
  torrentPath: path.join(folder, 'film.torrent')
}

before(() => {
  if (needs(libtorrentMaker.needed, 0).skip !== false) return
  writeRandomFile(film.path, 16 << 20, 'magnet')
  // Pieces of 16 KiB: the metadata is 20 KB, two messages.
  libtorrentMaker.make(film.path, film.torrentPath, 14)
})
after(remove)

// Transmission mostly waits: 10 s until it unchokes, and as long to redial once it has the metadata.
describe('a magnet link of one tracker', { concurrency: 4 }, () => {
  for (const peer of realPeers) {
    for (const [seeder, leecher] of [
      [peer, piecewise],
      [piecewise, peer]
    ] as const) {
      for (const tracker of peer.speaksUdp ? (['http', 'udp'] as const) : (['http'] as const)) {
        test(
          `${leecher.name} downloads from ${seeder.name}, found over ${tracker}`,
          transferNeeds({ seeder, leecher }),
          (t) => transfer(t, film, { seeder, leecher, tracker, magnet: true })
        )
      }
    }
  }
})
