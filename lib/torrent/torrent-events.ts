import type { PeerInfo } from './peer.ts'
import type { Torrent } from './torrent.ts'
import type { TorrentFile } from './torrent-file.ts'

/** The events of a {@link Torrent}. */
export interface TorrentEvents {
  /** The files are known. */
  metadata: []
  /** A piece is verified and can be read. */
  verified: [piece: number]
  /** A file is complete and in storage. */
  file: [file: TorrentFile]
  /** A peer has connected. */
  peer: [peer: PeerInfo]
  /** Everything selected is complete and in storage; again after a selection that made it incomplete. */
  done: []
  /** Something failed that the torrent survives: a tracker, a source of peers, the resume record. */
  warning: [warning: Error]
  /** Storage or we ourselves failed; the torrent stands still until `resume()`. Without a listener the client hears it. */
  error: [error: Error]
  /** The torrent is closed. */
  close: [torrent: Torrent]
}
