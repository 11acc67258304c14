import type { PeerInfo } from '../swarm/peer.ts'
import type { TorrentStatus } from './run-state.ts'
import type { TorrentFile } from './torrent-file.ts'

/** The events that a {@link TorrentSession} passes to its public `Torrent`. */
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

/** Emits an event on the public `Torrent`; returns whether it has a listener. */
export type SessionListener = <E extends keyof SessionEvents>(event: E, ...args: SessionEvents[E]) => boolean

/** Callbacks of a {@link TorrentSession} to its client. */
export interface TorrentOwner {
  /** Called with an error for which the torrent has no listener. */
  failed(error: Error): void
  closed(): void
}
