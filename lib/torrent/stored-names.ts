import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Layout } from '../metainfo/layout.ts'
import type { FileEntry, Metainfo } from '../metainfo/metainfo.ts'
import { respellSteps } from '../metainfo/respell.ts'
import type { Spelling } from '../metainfo/spelling.ts'
import { Checker } from '../storage/checker.ts'
import { pieceTrust, trustSteps } from '../storage/resume-check.ts'
import type { LoadedRecord, ResumeRecord } from '../storage/resume-record.ts'
import type { Storage, StorageStats } from '../storage/storage.ts'
import { hasBit } from '../util/bits.ts'
import { runStepsInSlices, yieldToEventLoop } from '../util/slices.ts'

/** Options of {@link findNames}. */
export interface StoredNamesOptions {
  /** Folder that contains the torrent's files. */
  readonly path: string
  /** The resume record of the last run. */
  readonly before: LoadedRecord | undefined
  /** Returns a read-only storage for the folder, not opened yet. */
  storage(): Storage
}

/** Maximum number of pieces that are hashed to test a spelling. If the files belong to another torrent, no piece matches. */
const mostPieces = 16
/** Bytes after which no further piece is hashed. */
const mostBytes = 64 << 20
/** Files that are compared before yielding to the event loop. */
const filesPerSlice = 1000

/**
 * Returns the metainfo with the file names under which an earlier run or another program has stored the data. The same name in a torrent
 * has up to three spellings on disk (`Spelling`), because the rules that make it safe differ between versions and programs. A trusted
 * record decides. Otherwise a spelling other than ours is used only if a file with a different name contains a verified piece, and never
 * if its name begins with a dot. Reads nothing for torrents whose names have only one spelling.
 */
export async function findNames(metainfo: Metainfo, options: StoredNamesOptions): Promise<Metainfo> {
  if (metainfo.spelling === undefined) return metainfo
  const { record, trust } = options.before ?? {}
  const isTrusted = trust === 'trusted' || trust === 'sealed'
  const spelled = (spelling: Spelling): Promise<Metainfo> =>
    runStepsInSlices(respellSteps(metainfo, spelling))
  if (record?.spelling === '0.2') return metainfo
  if (isTrusted && record?.spelling !== undefined) return spelled(record.spelling)
  const earlier = await spelled('0.1')
  const isStored = isTrusted && record !== undefined && (await storesOther(record, earlier, metainfo))
  if (isStored && (await someExist(options.path, earlier.files, metainfo.files))) return earlier
  // Names with a leading dot are often settings of other programs, so they are not searched for data.
  const others = [...(earlier.name.startsWith('.') ? [] : [earlier]), await spelled('original')]
  const present: Metainfo[] = []
  for (const other of others) {
    if (await someExist(options.path, other.files, metainfo.files)) present.push(other)
  }
  if (present.length > 0) {
    if (await holdsPiece(metainfo, await differing(metainfo, present), options)) return metainfo
    for (const other of present) {
      if (await holdsPiece(other, await differing(other, [metainfo]), options)) return other
    }
  }
  // If neither spelling exists, the disk may not be mounted, so the recorded names stay.
  return isStored && !(await someExist(options.path, metainfo.files, earlier.files)) ? earlier : metainfo
}

/** Returns for each file whether its path differs in one of the others. */
async function differing({ files }: Metainfo, others: readonly Metainfo[]): Promise<boolean[]> {
  const differ: boolean[] = []
  for (const [index, { path }] of files.entries()) {
    if (index % filesPerSlice === filesPerSlice - 1) await yieldToEventLoop()
    differ.push(others.some((other) => other.files[index]?.path !== path))
  }
  return differ
}

/** Returns whether a record of version 0.1 names a file whose path is spelled differently now. */
async function storesOther(record: ResumeRecord, earlier: Metainfo, now: Metainfo): Promise<boolean> {
  const created = new Set(record.created)
  const fits = record.files.length === now.files.length
  for (const [index, { path }] of earlier.files.entries()) {
    if (index % filesPerSlice === filesPerSlice - 1) await yieldToEventLoop()
    if (now.files[index]?.path === path) continue
    if (created.has(path) || (fits && record.files[index] !== undefined)) return true
  }
  return false
}

/** Returns whether a file exists whose path differs from that in `usual`. */
async function someExist(
  folder: string,
  files: readonly FileEntry[],
  usual: readonly FileEntry[]
): Promise<boolean> {
  let missing: string | undefined
  for (const [index, { path, length, pad }] of files.entries()) {
    if (index % filesPerSlice === filesPerSlice - 1) await yieldToEventLoop()
    if (pad || length === 0 || usual[index]?.path === path) continue
    // Skips files in folders that are known to be missing, the usual case.
    if (missing !== undefined && path.startsWith(missing)) continue
    missing = undefined
    if (await exists(join(folder, path))) return true
    for (let end = path.indexOf('/'); end >= 0 && missing === undefined; end = path.indexOf('/', end + 1)) {
      if (!(await exists(join(folder, path.slice(0, end))))) missing = path.slice(0, end + 1)
    }
  }
  return false
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false
  )
}

/** Returns whether a piece of the files in `which` is verified on disk; tests only a sample of pieces. */
async function holdsPiece(
  { files, pieceLength, pieces }: Metainfo,
  which: readonly boolean[],
  { before, storage: make }: StoredNamesOptions
): Promise<boolean> {
  const layout = new Layout(pieceLength, files)
  const storage = make()
  const checker = new Checker({
    storage,
    layout,
    expected: (piece) => pieces.subarray(20 * piece, 20 * piece + 20)
  })
  try {
    await storage.open(
      layout,
      files.map(() => false)
    )
    const stats = await storage.stats?.()
    if (stats === undefined) return false
    let bytes = 0
    for (const piece of await samples(layout, which, stats, before?.record.verified)) {
      if (bytes >= mostBytes) break
      if (await checker.checkNow(piece)) return true
      bytes += layout.pieceSize(piece)
    }
    return false
  } catch {
    // Unreadable files count as missing. The torrent's own storage reports the fault later.
    return false
  } finally {
    await checker.close()
    await storage.close()
  }
}

/** Returns a sample of pieces that touch the files and may be on disk; pieces that the record names come first. */
async function samples(
  layout: Layout,
  which: readonly boolean[],
  stats: StorageStats,
  verified: Uint8Array | undefined
): Promise<number[]> {
  const { pieces } = await runStepsInSlices(trustSteps(layout, undefined, stats))
  const known: number[] = []
  const unchecked: number[] = []
  let next = 0
  for (const [index, isMeant] of which.entries()) {
    if (!isMeant || stats.files[index] === undefined) continue
    const { start, end } = layout.filePieces(index)
    for (let piece = Math.max(start, next); piece < end; piece++) {
      if (pieces[piece] !== pieceTrust.unchecked) continue
      if (verified !== undefined && hasBit(verified, piece)) known.push(piece)
      else unchecked.push(piece)
    }
    next = Math.max(next, end)
  }
  const first = spread(known, mostPieces / 2)
  return [...first, ...spread(unchecked, mostPieces - first.length)]
}

/** Returns `count` evenly spread elements of a list, including the first and the last. */
function spread(list: readonly number[], count: number): number[] {
  if (list.length <= count) return [...list]
  return Array.from({ length: count }, (_, n) => list[Math.round((n * (list.length - 1)) / (count - 1))] ?? 0)
}
