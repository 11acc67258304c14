// Peer exchange with each real program: only a peer in the middle leads to the seed.
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import test, { after, before, type TestContext } from 'node:test'
import { until } from '../support/until.ts'
import { realPeers } from './peers/all.ts'
import { piecewise, startClient } from './peers/piecewise.ts'
import { firstByteWords, freePort, type LeechTask, type SeedTask } from './peers/real-peer.ts'
import { assertSameTree, infoHashOf, temporaryFolder, writeRandomFile } from './support/data.ts'
import { openLan } from './support/lan.ts'
import { mktorrent } from './support/make-torrent.ts'
import { needs } from './support/need.ts'
import { type Running, within } from './support/process.ts'

const finding = { pex: true }
const { folder, remove } = temporaryFolder('pex')
const data = path.join(folder, 'things')
const torrentPath = path.join(folder, 'things.torrent')
// aria2 sends each minute, Transmission each minute and a half.
const timeoutMs = 200_000

before(() => {
  if (needs(mktorrent.needed, 0).skip !== false) return
  writeRandomFile(data, 16 << 20, 'pex')
  mktorrent.make(data, torrentPath, 16)
})
after(remove)

interface Stage {
  readonly programs: Running[]
  readonly magnet: string
  /** Tasks for three places. */
  readonly seed: SeedTask
  readonly middle: LeechTask
  readonly last: LeechTask
}

async function stage(t: TestContext): Promise<Stage> {
  const work = temporaryFolder('pex-work')
  const lan = openLan(3)
  const programs: Running[] = []
  t.after(async () => {
    await Promise.all(programs.map((program) => program.stop()))
    lan.close()
    work.remove()
  })
  const magnet = `magnet:?xt=urn:btih:${infoHashOf(torrentPath)}`
  const tasks = await Promise.all(
    lan.places.map(async (place, n) => {
      const workFolder = path.join(work.folder, `place${n}`)
      const outFolder = path.join(workFolder, 'out')
      mkdirSync(outFolder, { recursive: true })
      const port = await freePort()
      return { torrentPath, dataFolder: folder, outFolder, workFolder, place, port, finding }
    })
  )
  const [seed, middle, last] = tasks
  assert.ok(seed !== undefined && middle !== undefined && last !== undefined)
  return { programs, magnet, seed, middle, last: { ...last, magnet } }
}

const addressOf = ({ place, port }: SeedTask | LeechTask): string => `${place.host}:${port}`

/** Our task in the middle, where nothing is downloaded. */
const idle = ({ place, port, outFolder }: LeechTask, peers: readonly string[]) => ({
  ...{ torrent: torrentPath, folder: outFolder, host: place.host, port, pex: true, idle: true },
  peers
})

/** Our task at the end, which knows only the peer in the middle. */
const reading = ({ place, port, outFolder }: LeechTask, magnet: string, peers: readonly string[]) => ({
  ...{ torrent: magnet, folder: outFolder, host: place.host, port, pex: true, stream: true },
  peers
})

for (const peer of realPeers) {
  const options = needs([...peer.needed, ...mktorrent.needed, 'namespaces'], timeoutMs + 20_000)

  test(`piecewise finds the seed through ${peer.name}`, options, async (t) => {
    const { programs, magnet, seed, middle, last } = await stage(t)
    // It must stay a downloader until it has told us of the seed.
    const starves = peer.starvesUnderLimit === true
    const between = await peer.leech(starves ? middle : { ...middle, downloadLimit: 60_000 })
    // It is stopped before it is complete.
    between.done.catch(() => {})
    programs.push(between)
    const { place, port, dataFolder } = seed
    const seeding = startClient('piecewise seeder', place, {
      ...{ torrent: torrentPath, folder: dataFolder, host: place.host, port },
      ...(starves ? { uploadLimit: 1_000_000 } : {}),
      peers: [addressOf(middle)]
    })
    programs.push(seeding)
    await until('the seed to be found', () => (seeding.report()?.peers.length ?? 0) > 0, { programs })
    const leecher = startClient(
      'piecewise leecher',
      last.place,
      reading(last, magnet, [addressOf(middle)]),
      timeoutMs
    )
    programs.push(leecher)
    await until(
      'the seed to be heard of',
      () => leecher.report()?.peers.includes(`pex ${addressOf(seed)}`) === true,
      { programs, timeoutMs }
    )
    await within('the download', leecher.done, { programs, timeoutMs })
    t.diagnostic(`complete${firstByteWords(leecher.report()?.firstByteMs)}`)
    assertSameTree(path.join(last.outFolder, 'things'), data)
  })

  test(`${peer.name} finds the seed through piecewise`, options, async (t) => {
    const { programs, seed, middle, last } = await stage(t)
    programs.push(await piecewise.seed(seed))
    const download = await peer.leech(last)
    programs.push(download)
    programs.push(
      startClient('piecewise middle', middle.place, idle(middle, [addressOf(seed), addressOf(last)]))
    )
    await within(`the download with ${peer.name}`, download.done, { programs, timeoutMs })
    assertSameTree(path.join(last.outFolder, 'things'), data)
  })

  test(`piecewise finds ${peer.name} through piecewise`, options, async (t) => {
    const { programs, magnet, seed, middle, last } = await stage(t)
    programs.push(await peer.seed(seed))
    const between = startClient('piecewise middle', middle.place, idle(middle, [addressOf(seed)]))
    programs.push(between)
    await until('the seed to be found', () => (between.report()?.peers.length ?? 0) > 0, { programs })
    const leecher = startClient('piecewise leecher', last.place, reading(last, magnet, [addressOf(middle)]))
    programs.push(leecher)
    await within('the download', leecher.done, { programs })
    t.diagnostic(`complete${firstByteWords(leecher.report()?.firstByteMs)}`)
    assert.ok(leecher.report()?.peers.includes(`pex ${addressOf(seed)}`))
    assertSameTree(path.join(last.outFolder, 'things'), data)
  })
}
