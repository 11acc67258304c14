import type { CandidateInspection } from '../discovery/candidate-inspection.ts'
import type { PeerSource } from '../discovery/peer-source.ts'
import type { TrackerPhase } from '../tracker/tracker-state.ts'
import type { TorrentStatus } from './run-state.ts'

/**
 * Result of `torrent.inspect()`: a snapshot for diagnosing slow downloads. Plain data for `JSON.stringify`; `null` means unknown,
 * unlimited or none. Later versions may add members.
 */
export interface TorrentInspection {
  /** Name of the torrent. */
  readonly name: string
  /** The v1 info hash in hexadecimal. */
  readonly infoHash: string
  /** Status of the torrent. */
  readonly status: TorrentStatus
  /** The reason for this status, as a sentence. */
  readonly why: string
  /** Reasons why no block is requested now, as sentences, the most likely first. Empty while requests are outstanding. */
  readonly notRequesting: readonly string[]
  /** Number of outstanding block requests. */
  readonly requests: number
  /** State of the metadata. */
  readonly metadata: MetadataInspection
  /** Number of pieces in each state. */
  readonly pieces: PieceInspection
  /** Addresses that may be dialled. */
  readonly candidates: CandidateInspection
  /** Connected peers. */
  readonly peers: readonly PeerInspection[]
  /** Open streams. */
  readonly streams: readonly StreamInspection[]
  /** Memory of pieces under way. */
  readonly memory: MemoryInspection
  /** Checks and writes under way. */
  readonly storage: StorageInspection
  /** Effective limits of torrent and client in bytes per second; `null` is no limit. */
  readonly limits: { readonly download: number | null; readonly upload: number | null }
  /** Trackers, with the status of each. */
  readonly trackers: readonly TrackerInspection[]
  /** Whether a DHT look-up for peers is running; `off` without a DHT and for private torrents. */
  readonly dht: 'off' | 'idle' | 'asking'
}

/** State of the metadata exchange (BEP 9). */
export interface MetadataInspection {
  /** Whether the metadata is complete. */
  readonly known: boolean
  /** Number of connected peers that offer it. */
  readonly sources: number
}

/** Number of pieces by state. Each piece is in exactly one of the first five states. */
export interface PieceInspection {
  /** Missing pieces, including partial ones. */
  readonly missing: number
  /** Pieces that may be stored and are still to be hashed. */
  readonly unchecked: number
  /** Verified pieces that are not written to storage yet. */
  readonly verified: number
  /** Verified pieces in storage. */
  readonly stored: number
  /** Stored pieces that are hashed again before they are used, after an unclean stop. */
  readonly unproven: number
  /** Missing pieces with blocks that have arrived or are requested. */
  readonly partial: number
  /** Missing pieces that are selected or in the window of a stream. */
  readonly wanted: number
}

/** State of a connected peer. */
export interface PeerInspection {
  /** `host:port` of the connection. */
  readonly address: string
  /** Name and version of its client; `null` if unknown. */
  readonly client: string | null
  /** Whether the peer connected to us. */
  readonly incoming: boolean
  /** Source of the peer's address, or `incoming` if it dialled us. */
  readonly source: PeerSource
  /** Share of the pieces that it has, 0 to 1. */
  readonly progress: number
  /** Whether it chokes us. */
  readonly peerChoking: boolean
  /** Whether we choke it. */
  readonly amChoking: boolean
  /** Whether it is interested in our pieces. */
  readonly peerInterested: boolean
  /** Whether we are interested in its pieces. */
  readonly amInterested: boolean
  /** Number of outstanding requests to the peer. */
  readonly requests: number
  /** Milliseconds since the oldest outstanding request was sent; `null` without requests. */
  readonly oldestRequestMs: number | null
  /** Request queue depth: the number of requests that may be outstanding now. */
  readonly depth: number
  /** Payload bytes per second. */
  readonly downloadSpeed: number
  /** Payload bytes sent to it per second. */
  readonly uploadSpeed: number
  /** Whether it is snubbed: it has not sent a block for so long that it gets one request at a time. */
  readonly snubbed: boolean
  /** Number of late blocks that other peers sent instead, since it last sent a block. */
  readonly late: number
  /** Whether it may have sent bad data; it then gets requests only for whole pieces, which it does not share with other peers. */
  readonly suspect: boolean
}

/** State of an open stream. */
export interface StreamInspection {
  /** Path of the file. */
  readonly file: string
  /** Offset in the file of the next byte for the consumer. */
  readonly position: number
  /** Bytes that are buffered for the consumer. */
  readonly buffered: number
  /** Readahead window: the pieces `[start, end)`; `null` while it reads nothing. */
  readonly window: { readonly start: number; readonly end: number } | null
  /** First piece of the window that is not verified; `null` if all are. */
  readonly firstMissing: number | null
  /** Milliseconds until the consumer needs `firstMissing`; negative if it is late. */
  readonly deadlineMs: number | null
  /**
   * - `nothing`: the next bytes are verified
   * - `consumer`: bytes are buffered until the consumer reads
   * - `check`: the piece at the cursor is being hashed
   * - `piece`: the piece at the cursor is missing
   */
  readonly waitsFor: 'nothing' | 'consumer' | 'check' | 'piece'
}

/** Memory for pieces, a budget that all torrents of the client share. */
export interface MemoryInspection {
  /** Bytes in the budget (`memoryLimit`). */
  readonly limit: number
  /** Bytes in use by all torrents. */
  readonly used: number
  /** Bytes in use by this torrent. */
  readonly own: number
  /** Whether this torrent waits for memory to request more blocks. */
  readonly waiting: boolean
}

/** State of the storage. */
export interface StorageInspection {
  /** Number of verified pieces that wait to be written. */
  readonly queuedWrites: number
  /** Message of the fault that stopped the torrent; `null` without one. */
  readonly failure: string | null
}

/** State of a tracker. */
export interface TrackerInspection {
  /** URL without passkeys and passwords. */
  readonly url: string
  /** Index of its tier. */
  readonly tier: number
  /** State of its announces. */
  readonly status: TrackerPhase
  /** Error message of the last announce; `null` if it succeeded. */
  readonly error: string | null
  /** Milliseconds until the next announce; `null` if none is planned. */
  readonly nextInMs: number | null
}
