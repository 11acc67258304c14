import { stat } from 'node:fs/promises'
import type { Layout } from '../metainfo/layout.ts'
import type { Storage, StorageSegment } from '../storage/storage.ts'
import { TorrentError } from '../util/errors.ts'

/** Maximum number of file names in one message. */
const mostNamed = 3

/** Result of {@link findVanished}. */
export interface Vanished {
  /** Layout indices of the files with lost data. */
  readonly files: readonly number[]
  readonly warning: TorrentError
}

/** Determines the files that made a verified piece unreadable: missing or too short files, or else all files of the piece. */
export async function findVanished(layout: Layout, storage: Storage, piece: number): Promise<Vanished> {
  const touched: number[] = []
  const missing: number[] = []
  for (const { fileIndex, fileOffset, length } of layout.spans(layout.pieceRange(piece))) {
    const file = layout.files[fileIndex]
    if (file === undefined || file.pad) continue
    touched.push(fileIndex)
    if (!(await reaches(storage, file.offset + fileOffset, length))) missing.push(fileIndex)
  }
  const files = missing.length > 0 ? missing : touched
  const paths = files.map((fileIndex) => layout.files[fileIndex]?.path ?? '')
  const named = paths.slice(0, mostNamed).map((path) => `'${path}'`)
  const more = paths.length > mostNamed ? ` and ${paths.length - mostNamed} more` : ''
  const what = missing.length > 0 ? 'deleted or cut short' : 'changed, or cannot be read'
  const message =
    `${named.join(', ')}${more}: ${what} since it was verified, so piece ${piece} is downloaded again; ` +
    'recheck the torrent to find all lost data'
  return {
    files,
    warning: new TorrentError('ERR_STORAGE_READ', message, { details: { files: paths, piece } })
  }
}

/** Returns whether the files on disk are long enough for these bytes; true for bytes that are not in a file. */
async function reaches(storage: Storage, byteOffset: number, length: number): Promise<boolean> {
  for (const segment of segmentsOf(storage, byteOffset, length)) {
    if (segment.path === undefined) continue
    const size = await stat(segment.path).then(
      (stats) => stats.size,
      () => -1
    )
    if (size < segment.fileOffset + segment.length) return false
  }
  return true
}

function segmentsOf(storage: Storage, byteOffset: number, length: number): readonly StorageSegment[] {
  try {
    return storage.segments?.(byteOffset, length) ?? []
  } catch {
    // A file is something else, such as a folder, or the storage has closed.
    return [{ path: '', fileOffset: 0, length }]
  }
}
