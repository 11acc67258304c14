import type { HashPool } from '../hash/hash-pool.ts'
import type { RecordSeal } from '../storage/record-seal.ts'
import type { StorageClaims } from '../storage/storage-claims.ts'
import type { MetadataMemory } from '../swarm/metadata-memory.ts'
import type { ServingTorrents } from '../swarm/serving-torrents.ts'
import type { SwarmHost } from '../swarm/swarm-host.ts'
import type { MemoryBudget } from '../util/memory-budget.ts'

/** Services of the client that its torrents share. */
export interface TorrentHost extends SwarmHost {
  readonly budget: MemoryBudget
  /** Memory for metadata that is being collected from peers. */
  readonly metadataMemory: MetadataMemory
  readonly claims: StorageClaims
  /** State folders, into which no torrent may write. */
  readonly reserved: readonly string[]
  /** Returns the seal that signs and checks resume records in `folder`, for a torrent with its data in `data`. */
  seal(folder: string, data: string): RecordSeal
  readonly hashPool: HashPool
  /** The client's limit in bytes per second, `Infinity` for none. `limitsChanged` of the torrent is called when it changes. */
  readonly downloadLimit: number
  /** The torrents of the client that share its upload limit. */
  readonly serving: ServingTorrents
  /** Notifies the client of a change that is saved, or that affects which torrents run. */
  changed(): void
  /** Decides at once which torrents of the client run. */
  decide(): void
}
