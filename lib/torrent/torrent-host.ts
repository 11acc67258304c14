import type { HashPool } from '../hash/hash-pool.ts'
import type { RecordSeal } from '../storage/record-seal.ts'
import type { StorageClaims } from '../storage/storage-claims.ts'
import type { MetadataMemory } from '../swarm/metadata-memory.ts'
import type { ServingTorrents } from '../swarm/serving-torrents.ts'
import type { SwarmHost } from '../swarm/swarm-host.ts'
import type { MemoryBudget } from '../util/memory-budget.ts'

/** Services that torrents share and get from their client. */
export interface TorrentHost extends SwarmHost {
  readonly budget: MemoryBudget
  /** For metadata that is not whole yet. */
  readonly metadataMemory: MetadataMemory
  readonly claims: StorageClaims
  /** Folders of state, into which no torrent may write. */
  readonly reserved: readonly string[]
  /** Returns the seal that decides which resume records in `folder` are trusted, for a torrent whose data lies in `data`. */
  seal(folder: string, data: string): RecordSeal
  readonly hashPool: HashPool
  /** The client's limit in bytes per second, `Infinity` for none; the torrent hears by `limitsChanged` when a limit changes. */
  readonly downloadLimit: number
  /** The torrents of the client that share its upload limit. */
  readonly serving: ServingTorrents
  /** Something has changed that outlives this run, or that decides which torrents run. */
  changed(): void
  /** Decides at once which torrents run. */
  decide(): void
}
