// The client of the run with many torrents, and its readers.
import path from 'node:path'
import type { Client } from '../lib/index.ts'
import type { MemoryBudget } from '../lib/util/memory-budget.ts'
import { seededRandom } from './benchmark.ts'
import { answerCalls } from './helper.ts'
import { importFrom } from './other-library.ts'
import { Pattern } from './pattern.ts'
import { streamOf } from './play-engines.ts'
import { Player } from './player.ts'
import type { Subject } from './soak-plan.ts'
import { SoakedTorrent, type TorrentReport } from './soaked-torrent.ts'

/** Options of the process. */
export interface SoakTask {
  /** Folder of the compiled library. */
  readonly library: string
  readonly folder: string
  readonly subjects: readonly SoakedSubject[]
  /** A torrent that has a seed and receives no block for longer than this is reported. */
  readonly patienceMs: number
}

/** A torrent of the client. */
export interface SoakedSubject extends Subject {
  /** Path of the .torrent. */
  readonly torrent: string
  /** Seed of the random offsets of its reader. */
  readonly seed: number
}

/** A seed that comes or goes. */
export interface SeedEvent {
  /** Index of the torrent. */
  readonly index: number
  /** `host:port`. */
  readonly address: string
}

/** Memory of the process in bytes, before the first torrent and at most. */
export interface MemoryReport {
  readonly limit: number
  /** Peak of the reserved bytes. */
  readonly mostReserved: number
  readonly external: number
  readonly mostExternal: number
  readonly rss: number
  readonly mostRss: number
}

/** How long a reader waited in each of its parts: for the first MiB, and later in stalls. */
export interface ReaderReport {
  readonly name: string
  readonly waitsMs: readonly number[]
}

/** Result of the run. */
export interface SoakReport {
  readonly torrents: readonly TorrentReport[]
  readonly readers: readonly ReaderReport[]
  readonly memory: MemoryReport
  readonly faults: readonly string[]
  readonly cpuSeconds: number
}

const watchEveryMs = 100
/** Duration of each part of a reader; after all parts it starts again with a new download. */
const partSeconds = 15
const partsOfEpisode = 3
/** Counted for a part whose first MiB never came. */
const forgottenMs = 60_000
/** Parts begin within this fraction of the file, so that none reaches its end. */
const beginWithin = 0.9

const budgets = new Set<MemoryBudget>()
let mostReserved = 0

const torrents: SoakedTorrent[] = []
const readers: { name: string; waitsMs: number[] }[] = []
const faults: string[] = []
const atFirst = { external: 0, rss: 0 }
const most = { external: 0, rss: 0 }

process.on('unhandledRejection', (reason) => faults.push(`unhandled rejection: ${String(reason)}`))

/** Records the peak reservations in the memory budgets of a copy of the library. */
function noteReservations({ prototype }: typeof MemoryBudget): void {
  const { reserve } = prototype
  prototype.reserve = function (this: MemoryBudget, ...options): boolean {
    const reserved = reserve.apply(this, options)
    budgets.add(this)
    mostReserved = Math.max(mostReserved, this.used)
    return reserved
  }
}

function watch(): void {
  for (const torrent of torrents) torrent.watch()
  for (const { used } of budgets) mostReserved = Math.max(mostReserved, used)
  const { external, rss } = process.memoryUsage()
  most.external = Math.max(most.external, external)
  most.rss = Math.max(most.rss, rss)
}

/** Plays from offsets that are the same in every run, until the process ends. */
async function read(
  torrent: SoakedTorrent,
  { name, seed, bitRate = 0, length }: SoakedSubject,
  pattern: Pattern
): Promise<void> {
  const random = seededRandom(seed)
  const waitsMs: number[] = []
  readers.push({ name, waitsMs })
  const comparer = {
    compare(byteOffset: number, chunk: Uint8Array): void {
      try {
        pattern.compare(byteOffset, chunk)
      } catch (thrown) {
        faults.push(`${name}: ${String(thrown)}`)
      }
    }
  }
  for (;;) {
    const [file] = (await torrent.renew()).files
    if (file === undefined) throw new Error(`${name} has no file`)
    const player = new Player(bitRate, comparer)
    const stream = file.createReadStream()
    for (let part = 0; part < partsOfEpisode; part++) {
      const offset = Math.floor(random() * beginWithin * length)
      const clicked = performance.now()
      stream.seek(offset)
      player.jump(offset, clicked, part === 0 ? streamOf(stream) : undefined)
      const { firstMebibyteMs, stallMs } = await player.play(partSeconds)
      waitsMs.push((firstMebibyteMs ?? forgottenMs) + stallMs)
    }
    player.stop()
    stream.destroy()
  }
}

answerCalls({
  /** Adds all torrents and starts their readers. */
  async open({ library, folder, subjects, patienceMs }: SoakTask): Promise<void> {
    const { Client: Soaked } = await importFrom<{ Client: typeof Client }>(library, 'index.js')
    const budget = await importFrom<{ MemoryBudget: typeof MemoryBudget }>(library, 'util/memory-budget.js')
    noteReservations(budget.MemoryBudget)
    const client = new Soaked({ host: '127.0.0.1', dht: false, lsd: false, pex: false, path: folder })
    client.on('warning', ({ message }) => faults.push(message))
    client.on('error', ({ message }) => faults.push(message))
    const patterns = subjects.map((subject) =>
      subject.bitRate === undefined ? undefined : new Pattern(subject)
    )
    Object.assign(atFirst, process.memoryUsage())
    for (const [n, { name, torrent }] of subjects.entries())
      torrents.push(new SoakedTorrent(client, name, torrent, path.join(folder, `${n}`), patienceMs))
    for (const [n, torrent] of torrents.entries()) {
      const subject = subjects[n]
      const pattern = patterns[n]
      if (subject === undefined || pattern === undefined) await torrent.renew()
      else read(torrent, subject, pattern).catch((error) => faults.push(`${subject.name}: ${String(error)}`))
    }
    setInterval(watch, watchEveryMs)
  },
  come({ index, address }: SeedEvent): void {
    torrents[index]?.come(address)
  },
  go({ index, address }: SeedEvent): void {
    torrents[index]?.go(address)
  },
  report(): SoakReport {
    const [budget] = budgets
    const { user, system } = process.cpuUsage()
    return {
      torrents: torrents.map((torrent) => torrent.report()),
      readers,
      memory: {
        limit: budget?.limit ?? 0,
        mostReserved,
        external: atFirst.external,
        mostExternal: most.external,
        rss: atFirst.rss,
        mostRss: most.rss
      },
      faults,
      cpuSeconds: (user + system) / 1e6
    }
  }
})
