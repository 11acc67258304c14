import { Client } from '../lib/index.ts'
import { answerCalls } from './helper.ts'

/** The file and its seeders. */
export interface SeedTask {
  /** The file to share. */
  readonly file: string
  readonly pieceLength: number
  /** The upload limit of each seeder in bytes per second; null for none. */
  readonly uploadLimits: readonly (number | null)[]
}

/** Returns the CPU seconds of this process so far. */
function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

answerCalls({
  /** Starts the seeders and returns their ports. */
  async seed({ file, pieceLength, uploadLimits }: SeedTask): Promise<number[]> {
    return Promise.all(
      uploadLimits.map(async (limit) => {
        const uploadLimit = limit ?? Number.POSITIVE_INFINITY
        const client = new Client({ host: '127.0.0.1', dht: false, lsd: false, pex: false, uploadLimit })
        await client.seed(file, { pieceLength, creationDate: false })
        return client.port
      })
    )
  },
  cpuSeconds
})
