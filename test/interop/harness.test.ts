// The real programs among themselves: when this fails, the fault is not the library's.

import { mkdirSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { realPeers } from './peers/all.ts'
import { startTracker, trackerNeeds } from './peers/opentracker.ts'
import { freePort } from './peers/real-peer.ts'
import {
  assertSameTree,
  infoHashOf,
  temporaryFolder,
  writeManyFiles,
  writeRandomFile,
  writeWithTracker
} from './support/data.ts'
import { namespacesPossible, openPlaces } from './support/namespaces.ts'
import { needs } from './support/need.ts'
import { type Running, run, within } from './support/process.ts'

realPeers.forEach((seeder, index) => {
  const leecher = realPeers[(index + 1) % realPeers.length]
  if (leecher === undefined) return
  const options = needs([...seeder.needed, ...leecher.needed, ...trackerNeeds, 'mktorrent'], 60_000)
  const apart = seeder.needsNamespaces || leecher.needsNamespaces
  if (apart && !namespacesPossible()) options.skip = 'network namespaces cannot be made'
  test(`${leecher.name} downloads from ${seeder.name}`, options, async (t) => {
    const { folder, remove } = temporaryFolder('harness')
    const places = openPlaces()
    const programs: Running[] = []
    t.after(async () => {
      await Promise.all(programs.map((program) => program.stop()))
      places.close()
      remove()
    })
    const data = path.join(folder, 'data', 'things')
    if (index % 2 === 0) writeManyFiles(data, 'many', seeder.keepsNames && leecher.keepsNames)
    else writeRandomFile(data, 20_000_001, 'one')
    const bare = path.join(folder, 'bare.torrent')
    run(['mktorrent', '-d', '-l', '18', '-o', bare, data])
    const tracker = await startTracker(places.a, folder, [infoHashOf(bare)])
    programs.push(tracker)
    const torrentPath = path.join(folder, 'things.torrent')
    writeWithTracker(
      bare,
      index > 1 && seeder.speaksUdp && leecher.speaksUdp ? tracker.udpUrl : tracker.httpUrl,
      torrentPath
    )
    const outFolder = path.join(folder, 'out')
    mkdirSync(outFolder)
    const task = { torrentPath, workFolder: folder }
    programs.push(
      await seeder.seed({ ...task, dataFolder: path.dirname(data), place: places.a, port: await freePort() })
    )
    const download = await leecher.leech({ ...task, outFolder, place: places.b, port: await freePort() })
    programs.push(download)
    await within(`${leecher.name}'s download`, download.done, { timeoutMs: 45_000, programs })
    assertSameTree(path.join(outFolder, 'things'), data, leecher.createsEmptyFiles)
  })
})
