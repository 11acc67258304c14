import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { encode } from '../lib/bencode/encode.ts'
import { Client } from '../lib/index.ts'
import { createServer } from '../lib/server.ts'
import type { Torrent } from '../lib/torrent/torrent.ts'
import { until } from '../test/support/until.ts'
import { answerCalls } from './helper.ts'
import { type TurnReport, TurnWatch } from './turn-watch.ts'

/** The steps to measure with one torrent. */
export interface TurnsTask {
  /** Path of the .torrent. */
  readonly torrent: string
  readonly folder: string
  readonly state?: string
  /** `host:port` of each peer. */
  readonly peers?: readonly string[]
  readonly select?: readonly number[]
  readonly culprits: boolean
}

/** The steps to measure with many torrents. */
export interface ManyTask {
  readonly count: number
  readonly folder: string
  readonly state: string
  readonly culprits: boolean
}

/** The turns of each step. */
export type Steps = Readonly<Record<string, TurnReport>>

const alone = { host: '127.0.0.1', dht: false, lsd: false, pex: false } as const

/** Runs steps one after another and measures each by itself. */
class StepList {
  readonly reports: Record<string, TurnReport> = {}
  readonly #culprits: boolean

  constructor(culprits: boolean) {
    this.#culprits = culprits
  }

  async run<T>(name: string, task: () => T | Promise<T>): Promise<T> {
    const results: T[] = []
    this.reports[name] = await TurnWatch.during(async () => results.push(await task()), this.#culprits)
    const [result] = results
    return result as T
  }
}

function clientOf({ folder, state }: TurnsTask): Client {
  return new Client({ ...alone, path: folder, ...(state === undefined ? {} : { state }) })
}

function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 100))
}

answerCalls({
  /** Measures everything that is done with a list of files, then close. */
  async handle(task: TurnsTask): Promise<Steps> {
    const steps = new StepList(task.culprits)
    const bytes = readFileSync(task.torrent)
    const client = clientOf(task)
    const torrent = await steps.run('add', () => client.add(bytes))
    await settled()
    await steps.run('look at all files', () => torrent.files.reduce((sum, file) => sum + file.progress, 0))
    await steps.run('look at all pieces', () => torrent.pieces.length)
    const all = torrent.files.map((_, index) => index)
    const select = async (what: () => void): Promise<void> => {
      what()
      await settled()
    }
    await steps.run('deselect all files', () => select(() => torrent.deselect(all)))
    await steps.run('select all files', () => select(() => torrent.select(all)))
    const some = torrent.files.slice(0, 1000)
    await steps.run('deselect 1,000 files, each', () =>
      select(() => {
        for (const file of some) file.deselect()
      })
    )
    await steps.run('select 1,000 files, each', () =>
      select(() => {
        for (const file of some) file.select()
      })
    )
    const server = createServer(client)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0
    const get = async (path: string): Promise<void> => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`)
      if (!response.ok) throw new Error(`${path}: ${response.status}`)
      await response.arrayBuffer()
    }
    await get('/')
    for (const path of ['/api/torrents', `/api/torrents/${torrent.infoHash}`, `/${torrent.infoHash}/`]) {
      await steps.run(`server: ${path.replace(torrent.infoHash, 'HASH')}`, () => get(path))
    }
    await new Promise((resolve) => server.close(resolve))
    await steps.run('close', () => client.close())
    return steps.reports
  },
  /** Adds a torrent and waits until it is complete. */
  async complete(task: TurnsTask): Promise<Steps> {
    const steps = new StepList(task.culprits)
    const bytes = readFileSync(task.torrent)
    const client = clientOf(task)
    await steps.run('until done', async () => {
      const options = {
        ...(task.peers === undefined ? {} : { peers: task.peers }),
        ...(task.select === undefined ? {} : { select: task.select })
      }
      await (await client.add(bytes, options)).whenDone()
    })
    await steps.run('close', () => client.close())
    return steps.reports
  },
  /** Downloads one wrong piece, until it has failed and is requested again. */
  async fail(task: TurnsTask): Promise<Steps> {
    const steps = new StepList(task.culprits)
    const bytes = readFileSync(task.torrent)
    const client = clientOf(task)
    await steps.run('a piece fails', async () => {
      const torrent: Torrent = await client.add(bytes, { peers: task.peers ?? [] })
      const enough = 1.2 * torrent.pieceLength
      await until('the piece to be fetched again', () => torrent.received, {
        is: (received) => received >= enough,
        everyMs: 5,
        timeoutMs: 600_000
      })
    })
    await client.close()
    return steps.reports
  },
  /** Adds many torrents, closes, restores them, and closes. */
  async many({ count, folder, state, culprits }: ManyTask): Promise<Steps> {
    const steps = new StepList(culprits)
    const all = Array.from({ length: count }, (_, n) =>
      encode({
        info: {
          length: 1000 * 1_048_576,
          name: `torrent ${n}`,
          'piece length': 1_048_576,
          pieces: Buffer.concat([createHash('sha1').update(`${n}`).digest(), randomBytes(20 * 999)])
        }
      })
    )
    const options = { host: '127.0.0.1', path: folder, state }
    const first = new Client(options)
    await steps.run('add all', () => Promise.all(all.map((bytes) => first.add(bytes))))
    await steps.run('two seconds', () => new Promise((resolve) => setTimeout(resolve, 2000)))
    await steps.run('close all', () => first.close())
    const second = await steps.run('bring all back', async () => {
      const client = new Client(options)
      await client.restored()
      return client
    })
    await steps.run('close all again', () => second.close())
    return steps.reports
  }
})
