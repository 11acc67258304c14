import { systemCode } from '../util/errors.ts'
import type { TorrentStatus } from './run-state.ts'
import type { TorrentFileSnapshot } from './torrent-file.ts'

/** Plain data of a `Torrent` for `JSON.stringify`; the members mean the same as on the torrent. */
export interface TorrentSnapshot {
  /** Info hash in hexadecimal. */
  readonly infoHash: string
  /** v2 info hash (SHA-256) in hexadecimal, if there is one. */
  readonly infoHashV2: string | undefined
  /** Name of the torrent. */
  readonly name: string
  /** Folder of the data. */
  readonly path: string
  /** Status of the torrent. */
  readonly status: TorrentStatus
  /** The fault that stopped the torrent, if any. */
  readonly error: { readonly code: string | undefined; readonly message: string } | undefined
  /** Fraction of the selected bytes that are verified, 0 to 1. */
  readonly progress: number
  /** Whether every selected byte is verified. */
  readonly done: boolean
  /** Whether the torrent is paused. */
  readonly paused: boolean
  /** Whether peers come from its trackers alone (BEP 27). */
  readonly private: boolean
  /** Bytes, without pad files. */
  readonly length: number
  /** Bytes of each piece except the last. */
  readonly pieceLength: number
  /** Number of pieces. */
  readonly pieceCount: number
  /** Verified bytes received from peers. */
  readonly downloaded: number
  /** Payload bytes sent to peers. */
  readonly uploaded: number
  /** Payload bytes received from peers, bad and repeated ones included. */
  readonly received: number
  /** Bytes per second. */
  readonly downloadSpeed: number
  /** Payload bytes sent per second. */
  readonly uploadSpeed: number
  /** Milliseconds; null for `Infinity`, which JSON cannot represent. */
  readonly timeRemaining: number | null
  /** Uploaded bytes per downloaded byte. */
  readonly ratio: number
  /** Milliseconds for which it has been seeding, in all runs. */
  readonly seedingTime: number
  /** Number of connected peers. */
  readonly peerCount: number
  /** Files of the torrent. */
  readonly files: readonly TorrentFileSnapshot[]
}

/** The members that are copied unchanged. */
const plain = [
  'infoHash',
  'infoHashV2',
  'name',
  'path',
  'status',
  'progress',
  'done',
  'paused',
  'private',
  'length',
  'pieceLength',
  'pieceCount',
  'downloaded',
  'uploaded',
  'received',
  'downloadSpeed',
  'uploadSpeed',
  'ratio',
  'seedingTime'
] as const
type Plain = Pick<TorrentSnapshot, (typeof plain)[number]>

/** The members of a torrent that {@link snapshotOf} reads. */
export interface ShownTorrent extends Plain {
  readonly error: Error | undefined
  readonly timeRemaining: number
  readonly files: readonly { toJSON(): TorrentFileSnapshot }[]
}

/** Returns the snapshot of a torrent with `peerCount` connected peers. */
export function snapshotOf(torrent: ShownTorrent, peerCount: number): TorrentSnapshot {
  const { error, timeRemaining, files } = torrent
  return {
    ...(Object.fromEntries(plain.map((name) => [name, torrent[name]])) as unknown as Plain),
    error: error && { code: systemCode(error), message: error.message },
    timeRemaining: Number.isFinite(timeRemaining) ? timeRemaining : null,
    peerCount,
    files: files.map((file) => file.toJSON())
  }
}
