import type { Layout } from '../metainfo/layout.ts'
import { hasBit } from '../util/bits.ts'
import type { LoadedRecord } from './resume-record.ts'
import type { FileStat, StorageStats } from './storage.ts'

/**
 * Returns which files of the layout were there before the torrent, as far as is known: they have content, and no record says that they
 * are the torrent's. A record that is not `unproven` says so by name, if it is about the same folder. Any record does so of a file whose
 * time it knows to the nanosecond, which nobody could know who did not see the file.
 */
export function foreignFiles(
  layout: Layout,
  before: LoadedRecord | undefined,
  stats: StorageStats,
  path: string
): number[] {
  const record = before?.record.files.length === layout.files.length ? before.record : undefined
  const byName = record !== undefined && before?.trust !== 'unproven' && record.path === path
  const created = new Set(byName ? record.created : [])
  return layout.files.flatMap(({ path: name, pad }, index) => {
    const stat = stats.files[index]
    if (pad || stat === undefined || stat.size === 0) return []
    // Records of 0.1.0 have no such list, and tell of all files that they saw.
    const isOwned = record?.owned === undefined || hasBit(record.owned, index)
    const isNamed = record?.owned !== undefined && isOwned && !record.clean
    if (byName && (created.has(name) || isNamed)) return []
    return isOwned && isSame(record?.files[index], stat) ? [] : [index]
  })
}

function isSame(before: FileStat | undefined, now: FileStat): boolean {
  return before?.size === now.size && before.mtimeNs === now.mtimeNs
}
