import { mkdirSync } from 'node:fs'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { startTracker } from '../peers/opentracker.ts'
import { type Cipher, firstByteWords, freePort, type RealPeer } from '../peers/real-peer.ts'
import { assertSameTree, infoHashOf, temporaryFolder, writeWithTracker } from './data.ts'
import { openPlaces } from './namespaces.ts'
import { needs } from './need.ts'
import { type Running, within } from './process.ts'

/** Data and its torrent. */
export interface Dataset {
  /** The torrent's file or folder. */
  readonly path: string
  /** A torrent without a tracker. */
  readonly torrentPath: string
}

/** The programs of a transfer; they run until the test ends. */
export interface Transferred {
  readonly seeder: Running
  readonly leecher: Running
}

/** A transfer from one program, or this library, to another. */
export interface Transfer {
  readonly seeder: RealPeer
  readonly leecher: RealPeer
  readonly tracker: 'http' | 'udp'
  /** The leecher gets a magnet link that names only the tracker, and no .torrent. */
  readonly magnet?: boolean
  /** Expected data of the leecher, if not the seeder's. */
  readonly expected?: string
  readonly timeoutMs?: number
  /** Encryption of the program that is not this library. */
  readonly cipher?: Cipher
  /** Called when everything has arrived and is right. */
  onDone?(programs: Transferred): void
}

/** Requirements of a transfer, as options for `test()`. */
export function transferNeeds({
  seeder,
  leecher
}: Pick<Transfer, 'seeder' | 'leecher'>): ReturnType<typeof needs> {
  const namespaces = seeder.needsNamespaces || leecher.needsNamespaces ? ['namespaces'] : []
  return needs([...seeder.needed, ...leecher.needed, ...namespaces, 'opentracker', 'mktorrent'], 120_000)
}

/** Lets one program fetch everything from the other, found through the tracker, and compares every byte. */
export async function transfer(t: TestContext, dataset: Dataset, plan: Transfer): Promise<void> {
  const { seeder, leecher } = plan
  const { folder, remove } = temporaryFolder('transfer')
  const places = openPlaces()
  const programs: Running[] = []
  t.after(async () => {
    await Promise.all(programs.map((program) => program.stop()))
    places.close()
    remove()
  })
  const infoHash = infoHashOf(dataset.torrentPath)
  const tracker = await startTracker(places.a, folder, [infoHash])
  programs.push(tracker)
  const torrentPath = path.join(folder, 'announced.torrent')
  const announce = plan.tracker === 'udp' ? tracker.udpUrl : tracker.httpUrl
  writeWithTracker(dataset.torrentPath, announce, torrentPath)
  const magnet = `magnet:?xt=urn:btih:${infoHash}&tr=${encodeURIComponent(announce)}`
  const outFolder = path.join(folder, 'out')
  mkdirSync(outFolder)
  const started = performance.now()
  const dataFolder = path.dirname(dataset.path)
  const source = await seeder.seed({
    torrentPath,
    dataFolder,
    workFolder: folder,
    place: places.a,
    port: await freePort(),
    cipher: plan.cipher
  })
  programs.push(source)
  const seeding = performance.now()
  const download = await leecher.leech({
    torrentPath,
    ...(plan.magnet === true ? { magnet } : {}),
    outFolder,
    workFolder: folder,
    place: places.b,
    port: await freePort(),
    cipher: plan.cipher
  })
  programs.push(download)
  await within(`the download with ${leecher.name}`, download.done, {
    timeoutMs: plan.timeoutMs ?? 90_000,
    programs
  })
  const seconds = (from: number, to: number) => ((to - from) / 1000).toFixed(1)
  const times = `seeding after ${seconds(started, seeding)} s, complete ${seconds(seeding, performance.now())} s later`
  t.diagnostic(times + firstByteWords(download.firstByteMs?.()))
  const expected = plan.expected ?? dataset.path
  assertSameTree(path.join(outFolder, path.basename(dataset.path)), expected, leecher.createsEmptyFiles)
  plan.onDone?.({ seeder: source, leecher: download })
}
