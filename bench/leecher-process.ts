import { Client } from '../lib/index.ts'
import { answerCalls } from './helper.ts'

/** What a leecher is told. */
export interface LeechTask {
  /** Path of the .torrent. */
  readonly torrent: string
  readonly folder: string
  /** `host:port` of each. */
  readonly peers: readonly string[]
}

/** What a download cost. */
export interface LeechReport {
  readonly wallSeconds: number
  /** From `add` to the end. */
  readonly cpuSeconds: number
  /** Of the whole process. */
  readonly peakRssBytes: number
}

answerCalls({
  async download({ torrent, folder, peers }: LeechTask): Promise<LeechReport> {
    const start = performance.now()
    const before = process.cpuUsage()
    const client = new Client({ host: '127.0.0.1', lsd: false, pex: false })
    const added = await client.add(torrent, { path: folder, peers })
    await added.whenDone()
    await client.close()
    const { user, system } = process.cpuUsage(before)
    return {
      wallSeconds: (performance.now() - start) / 1000,
      cpuSeconds: (user + system) / 1e6,
      peakRssBytes: process.resourceUsage().maxRSS * 1024
    }
  }
})
