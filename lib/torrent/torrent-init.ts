import type { PeerAddress } from '../util/address.ts'
import type { ContentOptions } from './content-options.ts'
import type { SavedTorrent } from './saved-torrent.ts'

/** The beginning of a torrent session. */
export interface TorrentInit extends ContentOptions {
  /** A name until the metadata is known. */
  readonly name: string | undefined
  readonly announce: readonly (readonly string[])[]
  /** Web seeds that a magnet link names (BEP 19). */
  readonly webSeeds?: readonly string[] | undefined
  /** Peers that a magnet link names. */
  readonly magnetPeers?: readonly PeerAddress[] | undefined
  /** Where a default `path` lies is decided by the client; this is what it decided. */
  readonly path: string
  /** The saved torrent of an earlier run, when the torrent is brought back and not added. */
  readonly saved?: SavedTorrent | undefined
}
