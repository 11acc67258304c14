import { Client } from '../lib/index.ts'
import { answerCalls } from './helper.ts'
import { LoopDelay } from './loop-delay.ts'
import { ownPeakRss } from './process-stat.ts'

/** The torrent to check or resume. */
export interface CheckTask {
  /** Path of the .torrent. */
  readonly torrent: string
  readonly folder: string
  /** Whether to hash everything regardless of the record. */
  readonly verify: boolean
  /** Only adds a torrent without data. */
  readonly addOnly?: boolean
}

/** Times of a check. */
export interface CheckReport {
  /** Milliseconds until `add` resolved. */
  readonly addMs: number
  /** Milliseconds from `add` until the torrent was complete. */
  readonly doneMs: number
  readonly cpuSeconds: number
  readonly peakRssBytes: number
  /** How long the event loop was blocked meanwhile. */
  readonly heldP99Ms: number
  readonly heldMs: number
  /** The same, without time in which the machine ran other processes. */
  readonly ownHeldMs?: number | undefined
  /** Milliseconds to close the client, which saves the record. */
  readonly closeMs: number
}

answerCalls({
  async check({ torrent, folder, verify, addOnly = false }: CheckTask): Promise<CheckReport> {
    const client = new Client({ host: '127.0.0.1', dht: false, lsd: false, pex: false })
    const delay = new LoopDelay()
    const before = process.cpuUsage()
    const start = performance.now()
    const added = await client.add(torrent, { path: folder, verify })
    const addMs = performance.now() - start
    if (!addOnly) await added.whenDone()
    const doneMs = performance.now() - start
    const { user, system } = process.cpuUsage(before)
    const { p99Ms, maxMs, ownMaxMs } = delay.stop()
    const end = performance.now()
    await client.close()
    return {
      addMs,
      doneMs,
      cpuSeconds: (user + system) / 1e6,
      peakRssBytes: ownPeakRss(),
      heldP99Ms: p99Ms,
      heldMs: maxMs,
      ownHeldMs: ownMaxMs,
      closeMs: performance.now() - end
    }
  }
})
