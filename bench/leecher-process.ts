import { Client } from '../lib/index.ts'
import { answerCalls } from './helper.ts'
import { LoopDelay } from './loop-delay.ts'
import { ownPeakRss } from './process-stat.ts'

/** What a leecher is told. */
export interface LeechTask {
  /** Path of the .torrent. */
  readonly torrent: string
  readonly folder: string
  /** `host:port` of each. */
  readonly peers: readonly string[]
  /** Indices of the files to download; all by default. */
  readonly select?: readonly number[]
  /** Whether to watch how long the event loop is held, which costs a little. */
  readonly watch?: boolean
}

/** What a download cost. */
export interface LeechReport {
  readonly wallSeconds: number
  /** From `add` to the end. */
  readonly cpuSeconds: number
  /** Of the whole process. */
  readonly peakRssBytes: number
  /** Longest that the event loop was held, if that was watched. */
  readonly heldMs?: number
  /** The same but for the time in which the machine ran others. */
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
