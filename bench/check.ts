import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import type { BareHashTask } from './bare-hashing-process.ts'
import type { CheckReport, CheckTask } from './check-process.ts'
import { Helper } from './helper.ts'
import { Pattern } from './pattern.ts'
import type { ScaleBenchmark, ScaleTask } from './rounds.ts'

const pieceLength = 1 << 20
const name = 'check.bin'

/** Calls one function in a new process. */
async function once<T>(script: string, call: string, argument: unknown): Promise<T> {
  const helper = new Helper(script)
  try {
    return await helper.call<T>(call, argument)
  } finally {
    await helper.stop()
  }
}

/** Check of data in the page cache, next to workers that only read and hash; and a start with the resume record that it leaves. */
export const check: ScaleBenchmark = {
  name: 'check',
  async run({ folder, rounds, mebibytes = 8192, rounded }: ScaleTask): Promise<void> {
    const pattern = new Pattern({ pieceLength, length: mebibytes * 2 ** 20 })
    const torrent = path.join(folder, 'check.torrent')
    const data = path.join(folder, 'data')
    mkdirSync(data)
    writeFileSync(torrent, pattern.torrent(name).bytes)
    const file = path.join(data, name)
    pattern.write(file)
    const { length } = pattern
    const bare: BareHashTask = { file, pieceLength, length, threads: Math.min(2, availableParallelism()) }
    const task: CheckTask = { torrent, folder: data, verify: true }
    // Warms the page cache, so that all rounds are alike.
    await once<number>('bare-hashing-process', 'hash', bare)
    for (let round = 0; round < rounds; round++) {
      const bareMs = await once<number>('bare-hashing-process', 'hash', bare)
      const checked = await once<CheckReport>('check-process', 'check', task)
      const resumed = await once<CheckReport>('check-process', 'check', { ...task, verify: false })
      rounded.add('two bare workers', length / 1e3 / bareMs, 'MB/s')
      rounded.add('check', length / 1e3 / checked.doneMs, 'MB/s')
      rounded.add('check, event loop held, p99', checked.heldP99Ms, 'ms')
      rounded.add('check, event loop held at most', checked.heldMs, 'ms')
      rounded.add(
        'check, event loop held at most, but for the machine',
        checked.ownHeldMs ?? Number.NaN,
        'ms'
      )
      rounded.add('check, peak RSS', checked.peakRssBytes / 1e6, 'MB')
      rounded.add('resume with a record, add to done', resumed.doneMs, 'ms')
      rounded.add('resume with a record, CPU', resumed.cpuSeconds * 1000, 'ms')
      rmSync(path.join(data, '.piecewise'), { recursive: true, force: true })
    }
    rounded.ratio('check over two bare workers', 'check', 'two bare workers', 'at least 0.9')
  }
}
