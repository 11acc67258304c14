import { Client } from '../lib/index.ts'
import { TcpConnection } from '../lib/net/tcp-connection.ts'
import { MemoryStorage } from '../lib/storage/memory-storage.ts'
import type { Storage } from '../lib/storage/storage.ts'
import { answerCalls } from './helper.ts'

/** Clients that seed the same files. */
export interface SeedsTask {
  readonly files: readonly string[]
  readonly pieceLength: number
  readonly clients: number
  /** Bytes per second of each client, or null for no limit. */
  readonly uploadLimit: number | null
  readonly sources?: Sources
}

/** How clients find each other besides given addresses. */
export interface Sources {
  readonly pex: boolean
  readonly lsd: boolean
}

/** Clients that download the same torrents. */
export interface LeechesTask {
  /** Paths of .torrent files. */
  readonly torrents: readonly string[]
  readonly clients: number
  /** Bytes per second of each client, or null for no limit. */
  readonly downloadLimit: number | null
  /** `host:port` of each peer. */
  readonly peers: readonly string[]
}

/** Clients that download one torrent and upload it too. */
export interface JoinTask {
  /** Path of the .torrent file. */
  readonly torrent: string
  /** The upload limit of each client in bytes per second; null for none. */
  readonly uploadLimits: readonly (number | null)[]
  readonly sources: Sources
}

/** Progress of a client. */
export interface Progress {
  /** Received payload bytes. */
  readonly received: number
  readonly uploaded: number
  /** Milliseconds from the start to completion, or null. */
  readonly doneMs: number | null
  /** Milliseconds from the start to the first piece, or null. */
  readonly firstPieceMs: number | null
  /** Connections with a handshake: made so far, and open now. */
  readonly made: number
  readonly connected: number
}

/** Bytes received so far. */
export interface Counts {
  /** Milliseconds, on the clock of the counting process. */
  readonly at: number
  /** Bytes read by each connection, in the order in which they were opened. */
  readonly connections: readonly number[]
  /** Payload of each torrent, over all clients. */
  readonly torrents: readonly number[]
}

const clients: Client[] = []
const doneMs = new Map<Client, number>()
const firstPieceMs = new Map<Client, number>()
const made = new Map<Client, number>()
const read = new Map<TcpConnection, number>()

// Torrents count whole blocks, which is too coarse for low limits.
const { receive } = TcpConnection.prototype
TcpConnection.prototype.receive = function (chunk): boolean {
  read.set(this, (read.get(this) ?? 0) + chunk.length)
  return receive.call(this, chunk)
}

/** A storage that discards everything and is never read. */
function sink(): Storage {
  return {
    open: async () => {},
    read: async () => {
      throw new Error('nothing is kept')
    },
    write: async () => {},
    sync: async () => {},
    close: async () => {},
    delete: async () => {}
  }
}

answerCalls({
  async seed({ files, pieceLength, clients: count, uploadLimit, sources }: SeedsTask): Promise<number[]> {
    for (let n = 0; n < count; n++) {
      const client = new Client({
        host: '127.0.0.1',
        dht: false,
        lsd: false,
        pex: false,
        ...sources,
        uploadLimit: uploadLimit ?? Number.POSITIVE_INFINITY
      })
      clients.push(client)
      for (const file of files) await client.seed(file, { pieceLength, creationDate: false })
    }
    return clients.map(({ port }) => port)
  },

  async leech({ torrents, clients: count, downloadLimit, peers }: LeechesTask): Promise<void> {
    for (let n = 0; n < count; n++) {
      const client = new Client({
        host: '127.0.0.1',
        dht: false,
        lsd: false,
        pex: false,
        downloadLimit: downloadLimit ?? Number.POSITIVE_INFINITY
      })
      clients.push(client)
      for (const torrent of torrents) await client.add(torrent, { peers, storage: sink() })
    }
  },

  async join({ torrent, uploadLimits, sources }: JoinTask): Promise<number[]> {
    for (const limit of uploadLimits) {
      const client = new Client({
        host: '127.0.0.1',
        dht: false,
        ...sources,
        uploadLimit: limit ?? Number.POSITIVE_INFINITY
      })
      clients.push(client)
      const added = await client.add(torrent, { storage: new MemoryStorage(), paused: true })
      added.on('peer', () => made.set(client, (made.get(client) ?? 0) + 1))
    }
    return clients.map(({ port }) => port)
  },

  begin(peers: readonly string[]): void {
    const at = performance.now()
    for (const client of clients) {
      for (const torrent of client.torrents) {
        torrent.whenDone().then(() => doneMs.set(client, performance.now() - at))
        torrent.once('verified', () => firstPieceMs.set(client, performance.now() - at))
        torrent.resume()
        for (const peer of peers) torrent.addPeer(peer)
      }
    }
  },

  progress(): Progress[] {
    return clients.map((client) => ({
      received: client.torrents[0]?.received ?? 0,
      uploaded: client.torrents[0]?.uploaded ?? 0,
      doneMs: doneMs.get(client) ?? null,
      firstPieceMs: firstPieceMs.get(client) ?? null,
      made: made.get(client) ?? 0,
      connected: client.torrents[0]?.peers.length ?? 0
    }))
  },

  counts(): Counts {
    const torrents: number[] = []
    for (const client of clients) {
      for (const [n, { received }] of client.torrents.entries()) torrents[n] = (torrents[n] ?? 0) + received
    }
    return { at: performance.now(), connections: [...read.values()], torrents }
  },

  async close(): Promise<void> {
    await Promise.all(clients.splice(0).map((client) => client.close()))
  }
})
