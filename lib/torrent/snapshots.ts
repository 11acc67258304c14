import { systemCode } from '../util/errors.ts'
import type { TorrentStatus } from './run-state.ts'
import type { TorrentFileSnapshot } from './torrent-file.ts'

/** A torrent as plain data, as `JSON.stringify` writes it; each member means what it means in the torrent. */
export interface TorrentSnapshot {
  readonly infoHash: string
  readonly infoHashV2: string | undefined
  readonly name: string
  readonly path: string
  readonly status: TorrentStatus
  /** The fault that stopped it. */
  readonly error: { readonly code: string | undefined; readonly message: string } | undefined
  readonly progress: number
  readonly done: boolean
  readonly paused: boolean
  readonly private: boolean
  /** Bytes. */
  readonly length: number
  readonly pieceLength: number
  readonly pieceCount: number
  readonly downloaded: number
  readonly uploaded: number
  readonly received: number
  /** Bytes per second. */
  readonly downloadSpeed: number
  readonly uploadSpeed: number
  /** Milliseconds; null where the torrent says `Infinity`, which JSON has no word for. */
  readonly timeRemaining: number | null
  readonly ratio: number
  readonly seedingTime: number
  /** Connected peers. */
  readonly peerCount: number
  readonly files: readonly TorrentFileSnapshot[]
}

/** The members of a snapshot that are the torrent's own as they are. */
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

/** The members of a torrent that a snapshot is made of. */
export interface ShownTorrent extends Plain {
  readonly error: Error | undefined
  readonly timeRemaining: number
  readonly files: readonly { toJSON(): TorrentFileSnapshot }[]
}

/** The snapshot of a torrent with so many peers. */
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
