import { Client } from '../lib/index.ts'
import { answerCalls } from './helper.ts'
import { LoopDelay } from './loop-delay.ts'
import { ownPeakRss } from './process-stat.ts'

/** What is to be checked, or resumed. */
export interface CheckTask {
  /** Path of the .torrent. */
  readonly torrent: string
  readonly folder: string
  /** Hash everything, whatever the record says. */
  readonly verify: boolean
  /** Only adds: nothing is there. */
  readonly addOnly?: boolean
}

/** What it took. */
export interface CheckReport {
  /** Until `add` gave the torrent. */
  readonly addMs: number
  /** From `add` until all was there. */
  readonly doneMs: number
  readonly cpuSeconds: number
  readonly peakRssBytes: number
  /** How long the event loop was held meanwhile. */
  readonly heldP99Ms: number
  readonly heldMs: number
  /** The same but for the time in which the machine ran others. */
  readonly ownHeldMs?: number | undefined
  /** Until the client was closed, and the record saved. */
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
