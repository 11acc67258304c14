// A program with hostile torrents, which a test starts, kills and starts again.
import { Client } from '../../lib/client/client.ts'
import type { ClientOptions } from '../../lib/client/options.ts'
import type { Torrent } from '../../lib/torrent/torrent.ts'

/** The input of the program. */
export interface VictimTask {
  readonly options: ClientOptions
  /** .torrent files in base64. */
  readonly torrents: readonly string[]
  /** Indices of torrents without a seed. */
  readonly unseeded: readonly number[]
  /** Indices of torrents that are removed with their files at the end. */
  readonly removed: readonly number[]
  readonly peer: string
  /** Whether the program ends by itself. */
  readonly ends: boolean
}

/** A report on one torrent: its verified bytes, or an error code. */
export interface VictimNote {
  readonly index: number
  readonly code?: string | undefined
  readonly message?: string
  readonly verified?: number
  readonly received?: number
  readonly status?: string
  readonly removed?: true
}

const patienceMs = 90_000
let client: Client

async function run({ options, torrents, unseeded, removed, peer, ends }: VictimTask): Promise<void> {
  client = new Client(options)
  client.on('warning', () => {})
  await client.restored()
  const added = new Map<number, Torrent>()
  const work = async (index: number): Promise<boolean> => {
    const isSeeded = !unseeded.includes(index)
    try {
      const bytes = Buffer.from(torrents[index] ?? '', 'base64')
      const torrent = await client.add(bytes, isSeeded ? { peers: [peer] } : {})
      added.set(index, torrent)
      torrent.on('error', () => {})
      await (isSeeded ? finished(torrent) : torrent.recheck())
      tell({ index, verified: torrent.downloaded, received: torrent.received, status: torrent.status })
      return true
    } catch (error) {
      const { code, message } = error as { code?: string; message: string }
      tell({ index, code: code ?? 'none', message })
      return code !== 'ERR_STORAGE_IN_USE'
    }
  }
  const remove = async (index: number): Promise<void> => {
    const torrent = added.get(index)
    if (torrent === undefined) return
    added.delete(index)
    await client.remove(torrent, { deleteFiles: true })
    tell({ index, removed: true })
  }
  let rest = torrents.map((_, index) => index)
  // Several torrents want the same names: one that is refused gets them in the next pass.
  for (let pass = 0; pass < 3; pass++) {
    const isSettled = new Map(
      await Promise.all(rest.map(async (index) => [index, await work(index)] as const))
    )
    if (!ends) return
    await Promise.all(removed.map(remove))
    rest = rest.filter((index) => isSettled.get(index) === false)
  }
  await client.close()
  process.disconnect()
}

async function finished(torrent: Torrent): Promise<void> {
  // Without a listener, the time limit below would end the process.
  if (torrent.error !== undefined) throw torrent.error
  const failed = new Promise<never>((_, reject) => {
    torrent.once('error', reject)
    setTimeout(() => reject(new Error(`${torrent.name} is ${torrent.status}`)), patienceMs).unref()
  })
  await Promise.race([torrent.whenDone(), failed])
}

function tell(note: VictimNote): void {
  process.send?.(note)
}

process.once('message', (task: VictimTask) => {
  run(task).catch((error: unknown) => {
    console.error(error)
    process.exit(1)
  })
})
