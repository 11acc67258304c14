import type { Swarm } from '../swarm/swarm.ts'
import type { RunState } from './run-state.ts'
import { mostSavedPeers, type SavedTorrent } from './saved-torrent.ts'
import type { TorrentInit } from './torrent-init.ts'
import type { TorrentLimits } from './torrent-limits.ts'
import type { TorrentMetadata } from './torrent-metadata.ts'
import type { Transfer } from './transfer.ts'

/** The parts of a torrent that are saved for the next run. */
export interface SavedParts {
  readonly infoHash: string
  readonly init: TorrentInit
  readonly metadata: TorrentMetadata
  readonly swarm: Swarm
  readonly state: RunState
  readonly limits: TorrentLimits
  readonly transfer: Transfer
  readonly trackers: readonly (readonly string[])[]
  readonly superSeeding: boolean
  readonly overwrite: boolean
}

/** Returns the saved form of a torrent, from which a restart restores it. */
export function saveTorrent(parts: SavedParts): SavedTorrent {
  const { infoHash, init, metadata, swarm, state, limits, transfer, trackers, superSeeding, overwrite } =
    parts
  const { name, path, folderMode, filePaths, select, selectOnly, saved } = init
  const { known, infoHashV2 } = metadata
  const { sources } = swarm
  return {
    infoHash,
    infoHashV2,
    name: known ? metadata.name : name,
    ...(select === undefined && selectOnly === undefined
      ? { select: saved?.select, selectOnly: saved?.selectOnly }
      : { select, selectOnly }),
    path,
    folderMode,
    filePaths,
    trackers,
    trustedTrackers: sources.trackers.trusted,
    peers: known ? [] : sources.remember().peers.slice(0, mostSavedPeers),
    superSeeding,
    ...(overwrite ? { overwrite: true } : {}),
    private: sources.private,
    ...state.remember(),
    ...limits.remember(),
    ...transfer.remember()
  }
}
