import type { PeerInfo } from '../swarm/peer.ts'
import type { TorrentStatus } from './run-state.ts'
import type { TorrentFile } from './torrent-file.ts'

/** The events of a {@link TorrentSession} for the listeners of the user. */
export interface SessionEvents {
  metadata: []
  status: [status: TorrentStatus]
  verified: [piece: number]
  file: [file: TorrentFile]
  peer: [peer: PeerInfo]
  done: []
  warning: [warning: Error]
  error: [error: Error]
  close: []
}

/** Emits an event of a session to the listeners of the user, and returns whether there is one. */
export type SessionListener = <E extends keyof SessionEvents>(event: E, ...args: SessionEvents[E]) => boolean

/** Callbacks of a {@link TorrentSession} to its client. */
export interface TorrentOwner {
  /** An error without a listener. */
  failed(error: Error): void
  /** The torrent is closed. */
  closed(): void
}
