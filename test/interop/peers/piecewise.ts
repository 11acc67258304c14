import { fileURLToPath } from 'node:url'
import { until } from '../../support/until.ts'
import { type Place, type Running, start, within } from '../support/process.ts'
import type { Leeching, LeechTask, RealPeer, SeedTask } from './real-peer.ts'

/** What the child program is told; see `run-client.ts`. */
export interface ClientTask {
  readonly torrent: string
  /** Others that it has besides, complete when they are there. */
  readonly others?: readonly { readonly torrent: string; readonly folder: string }[]
  /** Adds nothing: the torrents are those that an earlier run has left in `state`, the first of them `torrent`. */
  readonly restored?: boolean
  /** The folder in which the torrent's file or folder stands or is to appear. */
  readonly folder: string
  readonly host: string
  readonly port: number
  readonly peers?: readonly string[]
  readonly state?: string
  /** Bytes per second. */
  readonly uploadLimit?: number
  /** All sources of peers that are on by default, and not those alone that the task names; `dht` says where that begins. */
  readonly discovery?: boolean
  readonly lsd?: boolean
  readonly pex?: boolean
  /** `host:port` of a DHT node to start from. */
  readonly dht?: string
  /** Bytes per second. */
  readonly downloadLimit?: number
  /** Downloads nothing, and is only there. */
  readonly idle?: boolean
  /** Reads the first file as a stream, to its first byte. */
  readonly stream?: boolean
}

/** What the child program last said of the torrent. */
export interface ClientReport {
  /** `done` when all torrents are. */
  readonly event: 'progress' | 'done' | 'closed'
  /** Payload bytes that came in. */
  readonly received: number
  /** Payload bytes that went out. */
  readonly uploaded: number
  readonly progress: number
  /** All peers that were connected so far: `source host:port`. */
  readonly peers: readonly string[]
  /** Milliseconds from `add` to the first byte of the stream, if there was one. */
  readonly firstByteMs?: number
}

/** The library at work in a process of its own. */
export interface ClientProcess extends Running {
  /** What it reported last, if it did. */
  report(): ClientReport | undefined
  readonly done: Promise<unknown>
}

const program = fileURLToPath(new URL('../run-client.js', import.meta.url))

/** Starts the library in a process inside `place`. */
export function startClient(
  name: string,
  place: Place,
  task: ClientTask,
  timeoutMs = 140_000
): ClientProcess {
  let report: ClientReport | undefined
  const running = start(name, [process.execPath, program, JSON.stringify(task)], {
    place,
    onLine: (line) => {
      if (line.startsWith('{"event":')) report = JSON.parse(line) as ClientReport
    }
  })
  let done: Promise<unknown> | undefined
  return {
    ...running,
    report: () => report,
    // made when asked for, so that a process that is to be killed leaves no rejection behind
    get done(): Promise<unknown> {
      done ??= until(`${name} to finish`, () => report?.event === 'done', {
        timeoutMs,
        everyMs: 50,
        programs: [running]
      })
      return done
    }
  }
}

/** This library, in the same shape as the others. */
export const piecewise: RealPeer = {
  name: 'piecewise',
  needed: [],
  needsNamespaces: false,
  speaksUdp: true,
  keepsNames: true,
  createsEmptyFiles: true,

  async seed({ torrentPath, dataFolder, place, port, finding }: SeedTask): Promise<Running> {
    const task = { torrent: torrentPath, folder: dataFolder, host: place.host, port, ...finding }
    const client = startClient('piecewise seeder', place, task)
    await within('checking the data', client.done, { programs: [client] })
    return client
  },

  async leech({ torrentPath, magnet, outFolder, place, port, finding }: LeechTask): Promise<Leeching> {
    const client = startClient('piecewise leecher', place, {
      torrent: magnet ?? torrentPath,
      folder: outFolder,
      host: place.host,
      port,
      stream: true,
      ...finding
    })
    const firstByteMs = (): number | undefined => client.report()?.firstByteMs
    // a spread would ask for `done`, and begin the wait
    return Object.assign(client, { firstByteMs })
  }
}
