import { Client, MemoryStorage, type Torrent } from '../lib/index.ts'
import { answerCalls } from './helper.ts'

const client = new Client({ host: '127.0.0.1', dht: false, lsd: false, pex: false, maxConnections: 1000 })
const torrents: Torrent[] = []

answerCalls({
  /** Adds torrents that have no peers, and returns the port. */
  async add(sources: readonly string[]): Promise<number> {
    for (const source of sources) {
      torrents.push(await client.add(Buffer.from(source, 'base64'), { storage: new MemoryStorage() }))
    }
    return client.port
  },
  /** Opens streams of the first torrent, which wait for their first byte. */
  open(count: number): void {
    const file = torrents[0]?.files[0]
    if (file === undefined) throw new Error('there is no torrent')
    for (let n = 0; n < count; n++) file.createReadStream({ start: n * 1_000_000 }).resume()
  },
  /** Number of peers of the first torrent. */
  peers: (): number => torrents[0]?.peers.length ?? 0,
  /** Bytes in use after a full garbage collection. */
  async used(): Promise<number> {
    for (let n = 0; n < 3; n++) {
      globalThis.gc?.()
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  }
})
