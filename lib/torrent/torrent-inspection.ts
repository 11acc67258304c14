import type { CandidateInspection } from '../discovery/candidate-inspection.ts'
import type { PeerSource } from '../discovery/peer-source.ts'
import type { TrackerPhase } from '../tracker/tracker-state.ts'
import type { TorrentStatus } from './run-state.ts'

/**
 * A picture of a torrent at one moment, for people who ask why it is slow: returned by `torrent.inspect()`. It is plain data that
 * `JSON.stringify` keeps; `null` stands for what is unknown or unlimited. Later versions may add members.
 */
export interface TorrentInspection {
  readonly name: string
  /** The v1 info hash in hexadecimal. */
  readonly infoHash: string
  readonly status: TorrentStatus
  /** The reason for this status, as a sentence. */
  readonly why: string
  /** Why no block is requested now, as sentences, the most likely reason first; empty while requests are outstanding. */
  readonly notRequesting: readonly string[]
  /** Blocks that peers are asked for and have not sent yet. */
  readonly requests: number
  readonly metadata: MetadataInspection
  readonly pieces: PieceInspection
  readonly candidates: CandidateInspection
  readonly peers: readonly PeerInspection[]
  readonly streams: readonly StreamInspection[]
  readonly memory: MemoryInspection
  readonly storage: StorageInspection
  /** Bytes per second that the torrent and its client may move; `null` is no limit. */
  readonly limits: { readonly download: number | null; readonly upload: number | null }
  readonly trackers: readonly TrackerInspection[]
  /** Whether the DHT is asked for peers; `off` without a DHT, and for private torrents. */
  readonly dht: 'off' | 'idle' | 'asking'
}

/** The metadata of a torrent, which a magnet link lacks. */
export interface MetadataInspection {
  readonly known: boolean
  /** Connected peers that may send it. */
  readonly sources: number
}

/** Pieces by state; each piece is in exactly one of the first five. */
export interface PieceInspection {
  /** Pieces of which nothing counts, with those that are being fetched. */
  readonly missing: number
  /** Pieces that may be in storage and are hashed first. */
  readonly unchecked: number
  /** Verified pieces on their way to storage. */
  readonly verified: number
  /** Pieces in storage that are proven. */
  readonly stored: number
  /** Pieces in storage that are hashed before they are used, after an unclean stop. */
  readonly unproven: number
  /** Missing pieces of which blocks have come or are requested. */
  readonly partial: number
  /** Missing pieces that are selected, or that a stream reads. */
  readonly wanted: number
}

/** A connected peer. */
export interface PeerInspection {
  /** `host:port` of the connection. */
  readonly address: string
  /** Name of its client, if it tells. */
  readonly client: string | null
  /** Whether the peer has dialled us. */
  readonly incoming: boolean
  readonly source: PeerSource
  /** Part of the torrent that it has, 0 to 1. */
  readonly progress: number
  readonly peerChoking: boolean
  readonly amChoking: boolean
  readonly peerInterested: boolean
  readonly amInterested: boolean
  /** Blocks that the peer is asked for. */
  readonly requests: number
  /** Milliseconds since the oldest of these requests was sent; `null` without requests. */
  readonly oldestRequestMs: number | null
  /** Request queue depth: how many requests it may have outstanding now. */
  readonly depth: number
  /** Payload bytes per second. */
  readonly downloadSpeed: number
  readonly uploadSpeed: number
  /** Whether it owes blocks for so long that it is asked for one at a time. */
  readonly snubbed: boolean
  /** Blocks that others sent in its place, because it was late, since it last sent one. */
  readonly late: number
  /** Whether it may have sent bad data, and so fetches whole pieces alone. */
  readonly suspect: boolean
}

/** An open stream. */
export interface StreamInspection {
  /** Path of the file. */
  readonly file: string
  /** Offset in the file of the next byte that the consumer gets. */
  readonly position: number
  /** Bytes that the consumer has not taken yet. */
  readonly buffered: number
  /** The pieces `[start, end)` that it wants next; `null` while it reads nothing. */
  readonly window: { readonly start: number; readonly end: number } | null
  /** The first piece of the window that is missing; `null` when all are here. */
  readonly firstMissing: number | null
  /** Milliseconds until the consumer needs that piece; below 0 once it is late. */
  readonly deadlineMs: number | null
  /**
   * - `nothing`: the next bytes are here
   * - `consumer`: the consumer has bytes to take
   * - `check`: the piece at the cursor is hashed first
   * - `piece`: the piece at the cursor is missing
   */
  readonly waitsFor: 'nothing' | 'consumer' | 'check' | 'piece'
}

/** Memory for pieces, which all torrents of the client share. */
export interface MemoryInspection {
  /** Bytes of the budget. */
  readonly limit: number
  /** Bytes that all torrents hold. */
  readonly used: number
  /** Bytes that this torrent holds. */
  readonly own: number
  /** Whether this torrent was refused memory and waits for some. */
  readonly waiting: boolean
}

/** The storage of the data. */
export interface StorageInspection {
  /** Verified pieces that wait to be written. */
  readonly queuedWrites: number
  /** The fault that stopped the torrent; `null` without one. */
  readonly failure: string | null
}

/** How a tracker fares. */
export interface TrackerInspection {
  /** The URL without secrets. */
  readonly url: string
  readonly tier: number
  readonly status: TrackerPhase
  /** Why its last announce failed. */
  readonly error: string | null
  /** Milliseconds until it is asked next; `null` while that is not planned. */
  readonly nextInMs: number | null
}
