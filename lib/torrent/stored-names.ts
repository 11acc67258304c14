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
import { runStepsInTurns, shareTurn } from '../util/turn-share.ts'

/** Where the data may lie, and what is known of it. */
export interface StoredNamesOptions {
  /** Folder below which the files lie. */
  readonly path: string
  /** The record of the last run. */
  readonly before: LoadedRecord | undefined
  /** A storage that only reads what an earlier run or another program left in the folder; not open. */
  storage(): Storage
}

/** Pieces that are hashed before a spelling is given up: of a file of another torrent none would ever be right. */
const mostPieces = 16
/** No further piece is hashed after so many bytes. */
const mostBytes = 64 << 20
/** Files that are compared without a pause. */
const filesOfTurn = 1000

/**
 * Returns the torrent with its names spelled as an earlier run has stored them, or another program. Names that a trusted record knows
 * are taken; else another spelling than ours counts only if a piece of a file that is called otherwise by it is right, and never for
 * the sake of a leading dot. Costs nothing for torrents whose names have but one spelling.
 */
export async function findNames(metainfo: Metainfo, options: StoredNamesOptions): Promise<Metainfo> {
  if (metainfo.spelling === undefined) return metainfo
  const { record, trust } = options.before ?? {}
  const isTrusted = trust === 'trusted' || trust === 'sealed'
  const spelled = (spelling: Spelling): Promise<Metainfo> => runStepsInTurns(respellSteps(metainfo, spelling))
  if (record?.spelling === '0.2') return metainfo
  if (isTrusted && record?.spelling !== undefined) return spelled(record.spelling)
  const earlier = await spelled('0.1')
  const isStored = isTrusted && record !== undefined && (await storesOther(record, earlier, metainfo))
  if (isStored && (await someExist(options.path, earlier.files, metainfo.files))) return earlier
  // The name of a setting is no name to find data by.
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
  // Where neither is, the disk may be away.
  return isStored && !(await someExist(options.path, metainfo.files, earlier.files)) ? earlier : metainfo
}

/** For each file whether one of the others calls it otherwise. */
async function differing({ files }: Metainfo, others: readonly Metainfo[]): Promise<boolean[]> {
  const differ: boolean[] = []
  for (const [index, { path }] of files.entries()) {
    if (index % filesOfTurn === filesOfTurn - 1) await shareTurn()
    differ.push(others.some((other) => other.files[index]?.path !== path))
  }
  return differ
}

/** Whether a record of version 0.1 tells of a file that is called otherwise now. */
async function storesOther(record: ResumeRecord, earlier: Metainfo, now: Metainfo): Promise<boolean> {
  const created = new Set(record.created)
  const fits = record.files.length === now.files.length
  for (const [index, { path }] of earlier.files.entries()) {
    if (index % filesOfTurn === filesOfTurn - 1) await shareTurn()
    if (now.files[index]?.path === path) continue
    if (created.has(path) || (fits && record.files[index] !== undefined)) return true
  }
  return false
}

/** Whether one of the files is there that are called otherwise than in `usual`. */
async function someExist(
  folder: string,
  files: readonly FileEntry[],
  usual: readonly FileEntry[]
): Promise<boolean> {
  let missing: string | undefined
  for (const [index, { path, length, pad }] of files.entries()) {
    if (index % filesOfTurn === filesOfTurn - 1) await shareTurn()
    if (pad || length === 0 || usual[index]?.path === path) continue
    // Most lie in folders of which none is there.
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

/** Whether a piece of the files that `which` says yes to is there and right, as far as a few of them tell. */
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
    // An unreadable file counts as empty; the torrent's storage reports the fault.
    return false
  } finally {
    await checker.close()
    await storage.close()
  }
}

/** Pieces that may be there, of those that touch the files: some that the record knows first, for it may be right. */
async function samples(
  layout: Layout,
  which: readonly boolean[],
  stats: StorageStats,
  verified: Uint8Array | undefined
): Promise<number[]> {
  const { pieces } = await runStepsInTurns(trustSteps(layout, undefined, stats))
  const known: number[] = []
  const unknown: number[] = []
  let next = 0
  for (const [index, isMeant] of which.entries()) {
    if (!isMeant || stats.files[index] === undefined) continue
    const { start, end } = layout.filePieces(index)
    for (let piece = Math.max(start, next); piece < end; piece++) {
      if (pieces[piece] !== pieceTrust.unknown) continue
      if (verified !== undefined && hasBit(verified, piece)) known.push(piece)
      else unknown.push(piece)
    }
    next = Math.max(next, end)
  }
  const first = spread(known, mostPieces / 2)
  return [...first, ...spread(unknown, mostPieces - first.length)]
}

/** So many of a list, with its first and its last. */
function spread(list: readonly number[], count: number): number[] {
  if (list.length <= count) return [...list]
  return Array.from({ length: count }, (_, n) => list[Math.round((n * (list.length - 1)) / (count - 1))] ?? 0)
}
