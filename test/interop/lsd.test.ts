// Local service discovery with each real program: two hosts on one network that know only the info hash.
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import test, { after, before } from 'node:test'
import { realPeers } from './peers/all.ts'
import { piecewise } from './peers/piecewise.ts'
import { firstByteWords, freePort } from './peers/real-peer.ts'
import { assertSameTree, infoHashOf, temporaryFolder, writeRandomFile } from './support/data.ts'
import { openLan } from './support/lan.ts'
import { mktorrent } from './support/make-torrent.ts'
import { needs } from './support/need.ts'
import { type Running, within } from './support/process.ts'

const finding = { lsd: true }
const { folder, remove } = temporaryFolder('lsd')
const data = path.join(folder, 'things')
const torrentPath = path.join(folder, 'things.torrent')

before(() => {
  if (needs(mktorrent.needed, 0).skip !== false) return
  writeRandomFile(data, 8 << 20, 'lsd')
  mktorrent.make(data, torrentPath, 16)
})
after(remove)

for (const { seeder, leecher, family } of [
  ...realPeers.flatMap((peer) => [
    { seeder: peer, leecher: piecewise, family: 4 as const },
    { seeder: piecewise, leecher: peer, family: 4 as const }
  ]),
  { seeder: piecewise, leecher: piecewise, family: 6 as const }
]) {
  const options = needs([...seeder.needed, ...leecher.needed, ...mktorrent.needed, 'namespaces'], 120_000)
  const where = `in the local network, over IPv${family}`
  test(`${leecher.name} finds ${seeder.name} ${where}`, options, async (t) => {
    const work = temporaryFolder('lsd-work')
    const lan = openLan(2, family)
    const programs: Running[] = []
    t.after(async () => {
      await Promise.all(programs.map((program) => program.stop()))
      lan.close()
      work.remove()
    })
    const [here, there] = lan.places
    assert.ok(here !== undefined && there !== undefined)
    const outFolder = path.join(work.folder, 'out')
    mkdirSync(outFolder)
    const common = { torrentPath, workFolder: work.folder, finding }
    programs.push(await seeder.seed({ ...common, dataFolder: folder, place: here, port: await freePort() }))
    const magnet = `magnet:?xt=urn:btih:${infoHashOf(torrentPath)}`
    const download = await leecher.leech({
      ...common,
      magnet,
      outFolder,
      place: there,
      port: await freePort()
    })
    programs.push(download)
    const began = performance.now()
    await within(`the download with ${leecher.name}`, download.done, { programs, timeoutMs: 100_000 })
    const complete = `complete after ${((performance.now() - began) / 1000).toFixed(1)} s`
    t.diagnostic(complete + firstByteWords(download.firstByteMs?.()))
    assertSameTree(path.join(outFolder, 'things'), data)
  })
}
