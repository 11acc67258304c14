import type { Layout } from '../metainfo/layout.ts'
import { hasBit } from '../util/bits.ts'
import type { LoadedRecord } from './resume-record.ts'
import type { FileStat, StorageStats } from './storage.ts'

/**
 * Returns the files of the layout that presumably existed before the torrent: they have content, and no resume record says that they belong
 * to the torrent. A record about the same folder says so by name, unless its trust is `unproven`. A record of any trust says so by the
 * size and the modification time of a file, to the nanosecond, because only a program that saw the file knows that time.
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
    // Records of 0.1.0 have no `owned` list; they describe all files that they saw.
    const isOwned = record?.owned === undefined || hasBit(record.owned, index)
    const isNamed = record?.owned !== undefined && isOwned && !record.clean
    if (byName && (created.has(name) || isNamed)) return []
    return isOwned && isSame(record?.files[index], stat) ? [] : [index]
  })
}

function isSame(before: FileStat | undefined, now: FileStat): boolean {
  return before?.size === now.size && before.mtimeNs === now.mtimeNs
}
