import { createServer } from 'node:net'
import type { Need } from '../support/need.ts'
import type { Place, Running } from '../support/process.ts'

/** How a program finds peers besides trackers; everything is off by default. */
export interface Finding {
  readonly pex?: boolean
  readonly lsd?: boolean
  /** `host:port` of a DHT node to start from. */
  readonly dht?: string
  /** Several of them, for programs that take long to get from one node to the next. */
  readonly dhtNodes?: readonly string[]
}

/** What a real program is asked to seed. */
export interface SeedTask {
  readonly torrentPath: string
  /** The folder in which the torrent's file or folder stands. */
  readonly dataFolder: string
  readonly place: Place
  readonly port: number
  /** A folder of its own for configuration and logs. */
  readonly workFolder: string
  /** Bytes per second; only libtorrent keeps to it. */
  readonly uploadLimit?: number
  readonly finding?: Finding
}

/** What a real program is asked to download. */
export interface LeechTask {
  readonly torrentPath: string
  /** Where the torrent's file or folder is to appear. */
  readonly outFolder: string
  readonly place: Place
  readonly port: number
  readonly workFolder: string
  /** Taken instead of the .torrent. */
  readonly magnet?: string
  /** Bytes per second. */
  readonly downloadLimit?: number
  readonly finding?: Finding
}

/** A program that downloads. */
export interface Leeching extends Running {
  /** Resolves when it says that everything is there. */
  readonly done: Promise<unknown>
  /** Milliseconds until the first byte of a stream came, from those that stream. */
  firstByteMs?(): number | undefined
}

/** A real BitTorrent program that the tests drive. */
export interface RealPeer {
  /** With a download limit it reads nothing at all of a peer while another sends, not even what is no payload. */
  readonly starvesUnderLimit?: boolean
  readonly name: string
  readonly needed: readonly Need[]
  /** Whether it refuses to dial loopback addresses. */
  readonly needsNamespaces: boolean
  /** Whether it announces to UDP trackers without a DHT. */
  readonly speaksUdp: boolean
  /** Whether files get the names that the torrent says, whatever Windows thinks of them. */
  readonly keepsNames: boolean
  /** Whether files without bytes appear. */
  readonly createsEmptyFiles: boolean
  /** Resolves when the data was checked and the program serves it. */
  seed(task: SeedTask): Promise<Running>
  leech(task: LeechTask): Promise<Leeching>
}

/** What to tell of the first byte of a stream, if there was one. */
export function firstByteWords(firstByteMs: number | undefined): string {
  return firstByteMs === undefined
    ? ''
    : `, a stream's first byte ${(firstByteMs / 1000).toFixed(2)} s after add`
}

/** A port that nobody listens on just now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}
