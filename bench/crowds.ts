import { rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { toHex } from '../lib/util/bytes.ts'
import type { CrowdPeer, CrowdTask } from './crowd-process.ts'
import { Helper } from './helper.ts'
import type { LeechReport, LeechTask } from './leecher-process.ts'
import { infoHashOf, Pattern } from './pattern.ts'
import type { ReceiveTask } from './receiver-process.ts'
import type { ScaleBenchmark, ScaleTask } from './rounds.ts'

const pieceLength = 1 << 20
const name = 'crowds.bin'

const swarms: readonly { readonly label: string; readonly count: number; readonly peer: CrowdPeer }[] = [
  { label: '50 seeders of 4 MB/s', count: 50, peer: { bytesPerSecond: 4e6, part: 1 } },
  { label: '100 peers of 2 MB/s with half each', count: 100, peer: { bytesPerSecond: 2e6, part: 0.5 } }
]

const engines = ['bare receiver', 'piecewise'] as const

/** A download from many limited peers, by this library and by a bare receiver that neither selects nor verifies pieces. */
export const crowds: ScaleBenchmark = {
  name: 'crowds',
  async run({ folder, rounds, mebibytes = 1024, rounded }: ScaleTask): Promise<void> {
    const pattern = new Pattern({ pieceLength, length: mebibytes * 2 ** 20 })
    const { bytes, metainfo } = pattern.torrent(name)
    const torrent = path.join(folder, 'crowds.torrent')
    writeFileSync(torrent, bytes)
    const infoHash = toHex(infoHashOf(metainfo))
    const { length } = pattern
    const out = path.join(folder, 'out')
    for (let round = 0; round < rounds; round++) {
      for (const { label, count, peer } of swarms) {
        for (const engine of engines) {
          const source = new Helper('crowd-process')
          const target = new Helper(engine === 'piecewise' ? 'leecher-process' : 'receiver-process')
          try {
            const peers = Array.from({ length: count }, () => peer)
            const crowd: CrowdTask = { pieceLength, length, infoHash, peers }
            const ports = await source.call<number[]>('start', crowd)
            const report = await target.call<LeechReport>(
              'download',
              engine === 'piecewise'
                ? ({
                    torrent,
                    folder: out,
                    peers: ports.map((port) => `127.0.0.1:${port}`)
                  } satisfies LeechTask)
                : ({
                    infoHash,
                    pieceLength,
                    length,
                    ports,
                    file: path.join(folder, name)
                  } satisfies ReceiveTask)
            )
            pattern.require(path.join(engine === 'piecewise' ? out : folder, name))
            const gibibytes = length / 2 ** 30
            rounded.add(`${label}, ${engine}, CPU`, report.cpuSeconds / gibibytes, 's/GiB')
            rounded.add(`${label}, ${engine}, wall`, report.wallSeconds / gibibytes, 's/GiB')
            rounded.add(`${label}, ${engine}, peak RSS`, report.peakRssBytes / 1e6, 'MB')
          } finally {
            await Promise.all([source.stop(), target.stop()])
            rmSync(out, { recursive: true, force: true })
            rmSync(path.join(folder, name), { force: true })
          }
        }
      }
    }
    for (const { label } of swarms) {
      rounded.ratio(
        `${label}, CPU over that of the bare receiver`,
        `${label}, piecewise, CPU`,
        `${label}, bare receiver, CPU`,
        'at most 1.4'
      )
    }
  }
}
