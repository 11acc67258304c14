// Real programs with each other: a failure here is not the library's.
import path from 'node:path'
import test from 'node:test'
import { realPeers } from './peers/all.ts'
import { temporaryFolder, writeManyFiles, writeRandomFile } from './support/data.ts'
import { mktorrent } from './support/make-torrent.ts'
import { transfer, transferNeeds } from './support/transfer.ts'

realPeers.forEach((seeder, index) => {
  const leecher = realPeers[(index + 1) % realPeers.length]
  if (leecher === undefined) return
  test(`${leecher.name} downloads from ${seeder.name}`, transferNeeds({ seeder, leecher }), async (t) => {
    const { folder, remove } = temporaryFolder('harness')
    t.after(remove)
    const dataset = {
      path: path.join(folder, 'data', 'things'),
      torrentPath: path.join(folder, 'bare.torrent')
    }
    if (index % 2 === 0) writeManyFiles(dataset.path, 'many', seeder.keepsNames && leecher.keepsNames)
    else writeRandomFile(dataset.path, 20_000_001, 'one')
    mktorrent.make(dataset.path, dataset.torrentPath, 18)
    const tracker = index > 1 && seeder.speaksUdp && leecher.speaksUdp ? 'udp' : 'http'
    await transfer(t, dataset, { seeder, leecher, tracker })
  })
})
