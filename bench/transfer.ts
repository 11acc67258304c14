import { rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { createTorrent } from '../lib/metainfo/create-torrent.ts'
import type { Benchmark, Measurement } from './benchmark.ts'
import { Helper } from './helper.ts'
import type { LeechReport, LeechTask } from './leecher-process.ts'
import { requireSame, writeSample } from './sample.ts'
import type { SeedTask } from './seeder-process.ts'

const pieceLength = 1 << 20
const fileLength = 512 << 20

async function measure(folder: string, seeders: number, label: string): Promise<Measurement[]> {
  const file = path.join(folder, 'transfer.bin')
  const torrent = path.join(folder, 'transfer.torrent')
  const out = path.join(folder, 'out')
  writeSample(file, fileLength)
  writeFileSync(torrent, await createTorrent(file, { pieceLength, creationDate: false }))
  const source = new Helper('seeder-process')
  const target = new Helper('leecher-process')
  try {
    const uploadLimits: null[] = Array(seeders).fill(null)
    const task: SeedTask = { file, pieceLength, uploadLimits }
    const ports = await source.call<number[]>('seed', task)
    const before = await source.call<number>('cpuSeconds')
    const peers = ports.map((port) => `127.0.0.1:${port}`)
    const leech: LeechTask = { torrent, folder: out, peers, watch: true }
    const report = await target.call<LeechReport>('download', leech)
    const uploadSeconds = (await source.call<number>('cpuSeconds')) - before
    requireSame(path.join(out, 'transfer.bin'), file)
    return [
      { name: `${label}, wall`, value: report.wallSeconds, unit: 's' },
      { name: `${label}, rate`, value: fileLength / 1e6 / report.wallSeconds, unit: 'MB/s' },
      { name: `${label}, leecher CPU`, value: report.cpuSeconds, unit: 's' },
      { name: `${label}, leecher peak RSS`, value: report.peakRssBytes / 1e6, unit: 'MB' },
      { name: `${label}, event loop held at most`, value: report.heldMs ?? Number.NaN, unit: 'ms' },
      {
        name: `${label}, event loop held at most, but for the machine`,
        value: report.ownHeldMs ?? Number.NaN,
        unit: 'ms'
      },
      { name: `${label}, upload CPU`, value: uploadSeconds, unit: 's' }
    ]
  } finally {
    await Promise.all([source.stop(), target.stop()])
    rmSync(out, { recursive: true, force: true })
  }
}

/** A download over loopback from one seeder, in two processes, compared byte for byte. */
export const transfer: Benchmark = {
  name: 'transfer',
  run: (folder) => measure(folder, 1, '512 MiB from 1 peer')
}

/** The same from 20 seeders in one process. */
export const crowd: Benchmark = {
  name: 'crowd',
  run: (folder) => measure(folder, 20, '512 MiB from 20 peers')
}
