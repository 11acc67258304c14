import { createServer } from 'node:net'
import type { Need } from '../support/need.ts'
import type { Place, Running } from '../support/process.ts'

/** Sources of peers besides trackers; everything is off by default. */
export interface Finding {
  readonly pex?: boolean
  readonly lsd?: boolean
  /** `host:port` of a DHT bootstrap node. */
  readonly dht?: string
  /** Several of them, for programs that are slow from one node to the next. */
  readonly dhtNodes?: readonly string[]
}

/** The only encryption that a program uses: none, of the handshake alone, or RC4 (MSE). */
export type Cipher = 'none' | 'handshake' | 'rc4'

/** A seeding task for a real program. */
export interface SeedTask {
  readonly torrentPath: string
  /** The folder that contains the torrent's file or folder. */
  readonly dataFolder: string
  readonly place: Place
  readonly port: number
  /** A folder of its own for configuration and logs. */
  readonly workFolder: string
  /** Bytes per second; only libtorrent obeys it. */
  readonly uploadLimit?: number
  readonly finding?: Finding
  /** Default: no encryption where the program can be told, as for most tests it does not matter. */
  readonly cipher?: Cipher | undefined
}

/** A download task for a real program. */
export interface LeechTask {
  readonly torrentPath: string
  /** The folder for the torrent's file or folder. */
  readonly outFolder: string
  readonly place: Place
  readonly port: number
  readonly workFolder: string
  /** Used instead of the .torrent. */
  readonly magnet?: string
  /** Bytes per second. */
  readonly downloadLimit?: number
  readonly finding?: Finding
  readonly cipher?: Cipher | undefined
}

/** A downloading program. */
export interface Leeching extends Running {
  /** Resolves when the program reports completion. */
  readonly done: Promise<unknown>
  /** Returns milliseconds until the first byte of a stream; only for programs that stream. */
  firstByteMs?(): number | undefined
}

/** A real BitTorrent program that the tests drive. */
export interface RealPeer {
  /**
   * Whether, with a download limit, it reads nothing from a peer while another sends, not even protocol
   * messages.
   */
  readonly starvesUnderLimit?: boolean
  readonly name: string
  readonly needed: readonly Need[]
  /** Whether it refuses to dial loopback addresses. */
  readonly needsNamespaces: boolean
  /** Whether it announces to UDP trackers without a DHT. */
  readonly speaksUdp: boolean
  /** Whether files get the names in the torrent, including names that Windows forbids. */
  readonly keepsNames: boolean
  /** Whether it creates empty files. */
  readonly createsEmptyFiles: boolean
  /** Ciphers that a connection with it can be limited to. */
  readonly ciphers: readonly Cipher[]
  /** Resolves when the data is checked and served. */
  seed(task: SeedTask): Promise<Running>
  leech(task: LeechTask): Promise<Leeching>
}

/** Returns a message about the first byte of a stream, if there was one. */
export function firstByteWords(firstByteMs: number | undefined): string {
  return firstByteMs === undefined
    ? ''
    : `, a stream's first byte ${(firstByteMs / 1000).toFixed(2)} s after add`
}

/** Returns a port that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}
