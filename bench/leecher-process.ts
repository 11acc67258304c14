import { Client } from '../lib/index.ts'
import { answerCalls } from './helper.ts'
import { LoopDelay } from './loop-delay.ts'
import { ownPeakRss } from './process-stat.ts'

/** The torrent to download. */
export interface LeechTask {
  /** Path of the .torrent. */
  readonly torrent: string
  readonly folder: string
  /** `host:port` of each peer. */
  readonly peers: readonly string[]
  /** Indices of the files to download; default all. */
  readonly select?: readonly number[]
  /** Whether to measure how long the event loop is blocked, which costs a little. */
  readonly watch?: boolean
}

/** The cost of a download. */
export interface LeechReport {
  readonly wallSeconds: number
  /** From `add` until the download is complete. */
  readonly cpuSeconds: number
  /** Peak of the whole process. */
  readonly peakRssBytes: number
  /** Longest time that the event loop was blocked, if that was measured. */
  readonly heldMs?: number
  /** The same, without time in which the machine ran other processes. */
  readonly ownHeldMs?: number | undefined
}

answerCalls({
  async download({ torrent, folder, peers, select, watch = false }: LeechTask): Promise<LeechReport> {
    const start = performance.now()
    const before = process.cpuUsage()
    const client = new Client({ host: '127.0.0.1', dht: false, lsd: false, pex: false })
    const delay = watch ? new LoopDelay() : undefined
    const added = await client.add(torrent, { path: folder, peers, select })
    await added.whenDone()
    const held = delay?.stop()
    await client.close()
    const { user, system } = process.cpuUsage(before)
    return {
      wallSeconds: (performance.now() - start) / 1000,
      cpuSeconds: (user + system) / 1e6,
      peakRssBytes: ownPeakRss(),
      ...(held === undefined ? {} : { heldMs: held.maxMs, ownHeldMs: held.ownMaxMs })
    }
  }
})
