import { rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { toHex } from '../lib/util/bytes.ts'
import type { CrowdPeer, CrowdTask } from './crowd-process.ts'
import { Helper } from './helper.ts'
import { infoHashOf, Pattern } from './pattern.ts'
import type { ScaleBenchmark, ScaleTask } from './rounds.ts'
import type { SlowReport, SlowTask } from './slow-process.ts'

const pieceLength = 16 << 20
const name = 'slow.bin'
const bytesPerSecond = 20e6
const patienceMs = 120_000
const fast: CrowdPeer = { bytesPerSecond: 4e6, part: 1 }

const swarms: readonly { readonly label: string; readonly peers: readonly CrowdPeer[] }[] = [
  { label: '50 peers', peers: Array.from({ length: 50 }, () => fast) },
  {
    label: '50 peers, 25 of which keep a block of each piece back',
    peers: Array.from({ length: 50 }, (_, n) => ({ ...fast, holdsOne: n % 2 === 0 }))
  }
]

/** Large pieces from many fast peers to a disk of 20 MB/s: the bytes waiting in memory, whether it completes, and how many bytes are repeated. */
export const slowDisk: ScaleBenchmark = {
  name: 'slow-disk',
  async run({ folder, rounds, mebibytes = 512, rounded }: ScaleTask): Promise<void> {
    const pattern = new Pattern({ pieceLength, length: mebibytes * 2 ** 20 })
    const { bytes, metainfo } = pattern.torrent(name)
    const torrent = path.join(folder, 'slow.torrent')
    writeFileSync(torrent, bytes)
    const infoHash = toHex(infoHashOf(metainfo))
    const { length } = pattern
    const out = path.join(folder, 'out')
    for (let round = 0; round < rounds; round++) {
      for (const { label, peers } of swarms) {
        const source = new Helper('crowd-process')
        const target = new Helper('slow-process')
        try {
          const crowd: CrowdTask = { pieceLength, length, infoHash, peers }
          const ports = await source.call<number[]>('start', crowd)
          const addresses = ports.map((port) => `127.0.0.1:${port}`)
          const task: SlowTask = { torrent, folder: out, peers: addresses, bytesPerSecond, patienceMs }
          const report = await target.call<SlowReport>('download', task)
          if (report.done) pattern.require(path.join(out, name))
          else console.error(`${label}: stuck at ${(100 * report.progress).toFixed(1)} %`)
          const add = (what: string, value: number, unit: string): void =>
            rounded.add(`${label}, ${what}`, value, unit)
          add('peak RSS', report.peakRssBytes / 1e6, 'MB')
          add('received and not on the disk yet, at most', report.mostBehind / 1e6, 'MB')
          add('disk in use', (100 * report.written) / bytesPerSecond / report.wallSeconds, '%')
          add('received twice', (100 * (report.received - length)) / length, '%')
          add('blocks kept back', await source.call<number>('heldRequests'), '')
          add('event loop held at most', report.heldMs, 'ms')
          add('event loop held at most, but for the machine', report.ownHeldMs ?? Number.NaN, 'ms')
          add('complete and right', report.done ? 1 : 0, 'of 1')
        } finally {
          await Promise.all([source.stop(), target.stop()])
          rmSync(out, { recursive: true, force: true })
        }
      }
    }
  }
}
