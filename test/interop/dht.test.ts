// A magnet link with only the DHT: this library against each real program, in both directions.
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import test, { after, before, type TestContext } from 'node:test'
import { realPeers } from './peers/all.ts'
import { startDht } from './peers/dht-nodes.ts'
import { piecewise } from './peers/piecewise.ts'
import { firstByteWords, freePort, type RealPeer } from './peers/real-peer.ts'
import {
  assertSameTree,
  infoHashOf,
  temporaryFolder,
  writeRandomFile,
  writeWithNode
} from './support/data.ts'
import { mktorrent } from './support/make-torrent.ts'
import { openPlaces } from './support/namespaces.ts'
import { needs } from './support/need.ts'
import { type Running, within } from './support/process.ts'

const { folder: dataFolder, remove } = temporaryFolder('dht-data')
const file = path.join(dataFolder, 'film')
const plain = path.join(dataFolder, 'film.torrent')
/** Nodes besides those of the two programs. Transmission needs more than 8 before it begins. */
const nodeCount = 16

before(() => {
  if (needs(mktorrent.needed, 0).skip !== false) return
  writeRandomFile(file, 8 << 20, 'dht')
  mktorrent.make(file, plain, 16)
})
after(remove)

async function meet(t: TestContext, seeder: RealPeer, leecher: RealPeer): Promise<void> {
  const { folder, remove: removeFolder } = temporaryFolder('dht')
  const places = openPlaces()
  const programs: Running[] = []
  t.after(async () => {
    await Promise.all(programs.map((program) => program.stop()))
    places.close()
    removeFolder()
  })
  const nodes = await startDht(places.a, places.spread(nodeCount))
  programs.push(nodes)
  const [dht = ''] = nodes.addresses
  const torrentPath = path.join(folder, 'film.torrent')
  // The node is named in every way that some program reads: an option, the .torrent, or the magnet link.
  writeWithNode(plain, dht, torrentPath)
  const magnet = `magnet:?xt=urn:btih:${infoHashOf(plain)}&dht=${dht}`
  const outFolder = path.join(folder, 'out')
  mkdirSync(outFolder)
  const common = { workFolder: folder, torrentPath, finding: { dht, dhtNodes: nodes.addresses } }
  const started = performance.now()
  const seed = { ...common, dataFolder, place: places.a, port: await freePort() }
  programs.push(await seeder.seed(seed))
  const leech = { ...common, magnet, outFolder, place: places.b, port: await freePort() }
  const download = await leecher.leech(leech)
  programs.push(download)
  await within(`the download with ${leecher.name}`, download.done, { timeoutMs: 150_000, programs })
  const complete = `complete ${((performance.now() - started) / 1000).toFixed(1)} s after the seeder began`
  t.diagnostic(complete + firstByteWords(download.firstByteMs?.()))
  assertSameTree(path.join(outFolder, 'film'), file)
}

for (const peer of realPeers) {
  for (const [seeder, leecher] of [
    [peer, piecewise],
    [piecewise, peer]
  ] as const) {
    const needed = [...peer.needed, 'namespaces', 'mktorrent']
    test(
      `${leecher.name} downloads from ${seeder.name} with a magnet link and the DHT alone`,
      needs(needed, 200_000),
      (t) => meet(t, seeder, leecher)
    )
  }
}
