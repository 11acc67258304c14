import { fileURLToPath } from 'node:url'
import type { Encryption } from '../../../lib/transport/mse/encryption.ts'
import { until } from '../../support/until.ts'
import { type Place, type Running, start, within } from '../support/process.ts'
import type { Cipher, Leeching, LeechTask, RealPeer, SeedTask } from './real-peer.ts'

/** Input of the child program; see `run-client.ts`. */
export interface ClientTask {
  readonly torrent: string
  /** Further torrents, complete on disk. */
  readonly others?: readonly { readonly torrent: string; readonly folder: string }[]
  /** Adds nothing: an earlier run has left the torrents in `state`; the first of them is `torrent`. */
  readonly restored?: boolean
  /** The folder of the torrent's file or folder. */
  readonly folder: string
  readonly host: string
  readonly port: number
  readonly peers?: readonly string[]
  readonly state?: string
  /** Bytes per second. */
  readonly uploadLimit?: number
  /**
   * Uses all sources of peers that are on by default, besides the peers of the task; `dht` is the bootstrap
   * node.
   */
  readonly discovery?: boolean
  readonly lsd?: boolean
  readonly pex?: boolean
  readonly encryption?: Encryption
  /** `host:port` of a DHT bootstrap node. */
  readonly dht?: string
  /** Bytes per second. */
  readonly downloadLimit?: number
  /** The client's option of this name; `port` is then left out. */
  readonly proxy?: string
  /** Adds the torrent without downloading. */
  readonly idle?: boolean
  /** Reads the first file as a stream, up to its first byte. */
  readonly stream?: boolean
}

/** The latest report of the child program on the torrent. */
export interface ClientReport {
  /** `done` once all torrents are. */
  readonly event: 'progress' | 'done' | 'closed'
  /** Payload bytes downloaded. */
  readonly received: number
  /** Payload bytes uploaded. */
  readonly uploaded: number
  readonly progress: number
  /** All peers connected so far: `source host:port`. */
  readonly peers: readonly string[]
  /** Transport and encryption of all connections so far. */
  readonly kinds: readonly string[]
  /** Milliseconds from `add` to the first byte of the stream, if any. */
  readonly firstByteMs?: number
}

/** The library in a process of its own. */
export interface ClientProcess extends Running {
  /** Returns the latest report, if any. */
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
    // Made on demand, so that a process to be killed leaves no rejection behind.
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

/** Returns the option for a program of one cipher: the default, except that some programs cannot switch encryption off. */
function encryptionFor(cipher: Cipher | undefined): Encryption {
  return cipher === 'none' ? false : 'allow'
}

/** This library, in the same form as the others. */
export const piecewise: RealPeer = {
  name: 'piecewise',
  needed: [],
  needsNamespaces: false,
  speaksUdp: true,
  keepsNames: true,
  createsEmptyFiles: true,
  ciphers: ['none', 'rc4'],

  async seed({ torrentPath, dataFolder, place, port, finding, cipher }: SeedTask): Promise<Running> {
    const task = {
      torrent: torrentPath,
      folder: dataFolder,
      host: place.host,
      port,
      encryption: encryptionFor(cipher),
      ...finding
    }
    const client = startClient('piecewise seeder', place, task)
    await within('checking the data', client.done, { programs: [client] })
    return client
  },

  async leech({
    torrentPath,
    magnet,
    outFolder,
    place,
    port,
    finding,
    cipher
  }: LeechTask): Promise<Leeching> {
    const client = startClient('piecewise leecher', place, {
      torrent: magnet ?? torrentPath,
      folder: outFolder,
      host: place.host,
      port,
      stream: true,
      encryption: encryptionFor(cipher),
      ...finding
    })
    const firstByteMs = (): number | undefined => client.report()?.firstByteMs
    // A spread would read `done`, and begin the wait.
    return Object.assign(client, { firstByteMs })
  }
}
