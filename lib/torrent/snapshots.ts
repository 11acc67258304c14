import { systemCode } from '../util/errors.ts'
import type { TorrentStatus } from './run-state.ts'
import type { TorrentFileSnapshot } from './torrent-file.ts'

/** Plain data of a `Torrent` for `JSON.stringify`; the members mean the same as on the torrent. */
export interface TorrentSnapshot {
  readonly infoHash: string
  readonly infoHashV2: string | undefined
  readonly name: string
  readonly path: string
  readonly status: TorrentStatus
  /** The fault that stopped the torrent, if any. */
  readonly error: { readonly code: string | undefined; readonly message: string } | undefined
  readonly progress: number
  readonly done: boolean
  readonly paused: boolean
  readonly private: boolean
  /** Bytes, without pad files. */
  readonly length: number
  readonly pieceLength: number
  readonly pieceCount: number
  readonly downloaded: number
  readonly uploaded: number
  readonly received: number
  /** Bytes per second. */
  readonly downloadSpeed: number
  readonly uploadSpeed: number
  /** Milliseconds; null for `Infinity`, which JSON cannot represent. */
  readonly timeRemaining: number | null
  readonly ratio: number
  readonly seedingTime: number
  /** Number of connected peers. */
  readonly peerCount: number
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
