import { stat } from 'node:fs/promises'
import type { Layout } from '../metainfo/layout.ts'
import type { Storage, StorageSegment } from '../storage/storage.ts'
import { TorrentError } from '../util/errors.ts'

/** Files named in one message. */
const mostNamed = 3

/** Pieces that are gone from storage. */
export interface Vanished {
  /** Indices in the layout. */
  readonly files: readonly number[]
  readonly warning: TorrentError
}

/** Finds out which files made a verified piece unreadable: those that are missing or too short, or else all that the piece touches. */
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
    `${named.join(', ')}${more}: ${what} since it was verified, so piece ${piece} is fetched anew; ` +
    'recheck the torrent to find all that is gone'
  return {
    files,
    warning: new TorrentError('ERR_STORAGE_READ', message, { details: { files: paths, piece } })
  }
}

/** Whether the files on disk are long enough to hold these bytes; true where bytes lie in no file. */
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
    // Something else is in the place of a file, or the storage has closed.
    return [{ path: '', fileOffset: 0, length }]
  }
}
