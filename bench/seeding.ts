import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { BareSeedTask } from './bare-seeder-process.ts'
import { type Child, startChild } from './child.ts'
import { Helper } from './helper.ts'
import { findLibtorrent, libtorrentFullSeeder, libtorrentLeechers } from './libtorrent.ts'
import { Pattern } from './pattern.ts'
import { cpuSecondsOf, peakRssOf } from './process-stat.ts'
import { nodeFor } from './rivals.ts'
import type { ScaleBenchmark, ScaleTask } from './rounds.ts'
import type { SeedTask } from './seeder-process.ts'

const pieceLength = 1 << 20
const name = 'seeding.bin'
/** A seeder that takes longer counts as broken. */
const patienceMs = 600_000

interface Seeder {
  readonly pid: number
  readonly port: number
  stop(): Promise<void>
}

async function childSeeder(child: Child): Promise<Seeder> {
  const [port = 0] = await child.line<number[]>()
  return { pid: child.pid, port, stop: () => child.stop() }
}

async function ownSeeder(file: string): Promise<Seeder> {
  const helper = new Helper('seeder-process')
  const task: SeedTask = { file, pieceLength, uploadLimits: [null] }
  const [port = 0] = await helper.call<number[]>('seed', task)
  return { pid: helper.pid, port, stop: () => helper.stop() }
}

/** Uploads to libtorrent's leechers, one and many at the same time, by this library and by others. */
export const seeding: ScaleBenchmark = {
  name: 'seeding',
  async run({ folder, rounds, mebibytes = 2048, cache, rounded }: ScaleTask): Promise<void> {
    const python = findLibtorrent()
    if (python === undefined) {
      console.error('libtorrent (python3-libtorrent) is not installed: seeding is left out')
      return
    }
    const webtorrentNode = nodeFor('webtorrent', cache)
    if (webtorrentNode === undefined) console.error('webtorrent is not installed and is left out')
    const loads = [
      { count: 1, mebibytes },
      { count: 20, mebibytes: Math.ceil(mebibytes / 16) }
    ]
    const data = path.join(folder, 'data')
    const out = path.join(folder, 'out')
    const labels: string[] = []
    for (const load of loads) {
      const label = `${load.mebibytes} MiB to ${load.count}`
      labels.push(label)
      const pattern = new Pattern({ pieceLength, length: load.mebibytes * 2 ** 20 })
      const file = path.join(data, name)
      const torrent = path.join(folder, 'seeding.torrent')
      mkdirSync(data)
      pattern.write(file)
      writeFileSync(torrent, pattern.torrent(name).bytes)
      const script = fileURLToPath(new URL('./webtorrent-seeder.js', import.meta.url))
      const task = JSON.stringify({ torrent, folder: data, cache })
      const bareScript = fileURLToPath(new URL('./bare-seeder-process.js', import.meta.url))
      const infoHash = Buffer.from(pattern.torrent(name).metainfo.infoHashes.v1 ?? []).toString('hex')
      const bareTask: BareSeedTask = { file, infoHash, pieceLength, length: pattern.length }
      const seeders: Record<string, () => Promise<Seeder>> = {
        bare: () => childSeeder(startChild(process.execPath, [bareScript, JSON.stringify(bareTask)])),
        piecewise: () => ownSeeder(file),
        libtorrent: () => childSeeder(startChild(python, ['-c', libtorrentFullSeeder, task])),
        ...(webtorrentNode === undefined
          ? {}
          : { webtorrent: () => childSeeder(startChild(webtorrentNode, [script, task])) })
      }
      for (let round = 0; round < rounds; round++) {
        for (const [engine, start] of Object.entries(seeders)) {
          const seeder = await start()
          const leechTask = { torrent, folder: out, count: load.count, port: seeder.port }
          const leechers = startChild(python, ['-c', libtorrentLeechers, JSON.stringify(leechTask)])
          const timer = setTimeout(() => void leechers.stop(), patienceMs)
          try {
            await leechers.line<true>()
            const before = cpuSecondsOf(seeder.pid)
            leechers.say('\n')
            const wallSeconds = await leechers.line<number>()
            const cpuSeconds = cpuSecondsOf(seeder.pid) - before
            const gibibytes = (load.count * pattern.length) / 2 ** 30
            rounded.add(`${label}, ${engine}, wall`, wallSeconds, 's')
            rounded.add(`${label}, ${engine}, CPU`, cpuSeconds / gibibytes, 's/GiB')
            rounded.add(`${label}, ${engine}, peak RSS`, peakRssOf(seeder.pid) / 1e6, 'MB')
          } finally {
            clearTimeout(timer)
            await Promise.all([seeder.stop(), leechers.stop()])
            rmSync(out, { recursive: true, force: true })
          }
        }
      }
      rmSync(data, { recursive: true, force: true })
    }
    for (const label of labels) {
      const [wall, cpu] = [`${label}, piecewise, wall`, `${label}, piecewise, CPU`]
      rounded.ratio(`${label}, wall over libtorrent's`, wall, `${label}, libtorrent, wall`, 'at most 1')
      rounded.ratio(`${label}, CPU over a bare seeder's`, cpu, `${label}, bare, CPU`, '')
      rounded.ratio(`${label}, CPU over webtorrent's`, cpu, `${label}, webtorrent, CPU`, 'at most 0.35')
    }
  }
}
