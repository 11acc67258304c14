import type { PeerAddress } from '../util/address.ts'
import type { ContentOptions } from './content-options.ts'
import type { SavedTorrent } from './saved-torrent.ts'

/** Initial values of a torrent session. */
export interface TorrentInit extends ContentOptions {
  /** Name until the metadata is known. */
  readonly name: string | undefined
  readonly announce: readonly (readonly string[])[]
  /** Web seed URLs of a magnet link (BEP 19). */
  readonly webSeeds?: readonly string[] | undefined
  /** Peers of a magnet link (`x.pe`). */
  readonly magnetPeers?: readonly PeerAddress[] | undefined
  /** Data folder, with the default already resolved by the client. */
  readonly path: string
  /** The saved torrent of an earlier run, if there is one. */
  readonly saved?: SavedTorrent | undefined
}
