import type { Layout, Range } from '../metainfo/layout.ts'
import { bitsLength, bitsOf, hasBit } from '../util/bits.ts'
import { runSteps, type Steps } from '../util/slices.ts'
import type { RecordTrust } from './record-seal.ts'
import type { ResumeRecord } from './resume-record.ts'
import type { FileStat, StorageStats } from './storage.ts'

/** Pieces processed before yielding to the event loop. */
const piecesOfStep = 5000
const noRanges: readonly Range[] = []

/** State of a piece before it is read. */
export type PieceTrust = 'missing' | 'unchecked' | 'unproven' | 'stored'

/**
 * Codes of {@link PieceTrust} in {@link Trust.pieces}. `missing`: its bytes are not stored. `unchecked`: they may be, and must be checked.
 * `unproven`: verified once, to be hashed again before it is served or read. `stored`: verified and unchanged.
 */
export const pieceTrust: Readonly<Record<PieceTrust, number>> = {
  missing: 0,
  unchecked: 1,
  unproven: 2,
  stored: 3
}

/** State of all pieces according to a resume record and the files on disk. */
export interface Trust {
  /** Code of {@link pieceTrust} by piece. */
  readonly pieces: Uint8Array
  /** Block maps of `missing` pieces that have some blocks stored, unverified. */
  readonly partial: ReadonlyMap<number, Uint8Array>
}

/**
 * Derives the state of pieces without reading them. After a clean stop, recorded pieces are `stored` and others `missing` as long as their
 * files have the same size and time; pieces of changed files are `unchecked`. After an unclean stop, or without a record, recorded pieces are
 * `unproven` and others `unchecked`. Pieces of missing or truncated files are always `missing`. A record that does not fit the layout is
 * ignored. An untrusted record makes no piece `stored`, and counts only for files with the recorded size and time, to the nanosecond.
 */
export function trust(
  layout: Layout,
  record: ResumeRecord | undefined,
  stats: StorageStats,
  recordTrust?: RecordTrust
): Trust {
  return runSteps(trustSteps(layout, record, stats, recordTrust))
}

/** Does the same as {@link trust}, in steps. */
export function* trustSteps(
  layout: Layout,
  record: ResumeRecord | undefined,
  stats: StorageStats,
  recordTrust: RecordTrust = 'trusted'
): Steps<Trust> {
  const known = record !== undefined && fits(layout, record) ? record : undefined
  const same = layout.files.map((_, index) => isSame(known?.files[index], stats.files[index]))
  const sources: Sources = {
    same,
    sameParts: isSame(known?.parts, stats.parts?.stat),
    absent: new Uint8Array(layout.pieceCount),
    changed: new Uint8Array(layout.pieceCount)
  }
  for (let index = 0, keptIndex = 0; index < layout.files.length; index++) {
    if (index % piecesOfStep === piecesOfStep - 1) yield
    keptIndex = markFile(layout, stats, sources, index, keptIndex)
  }
  const pieces = new Uint8Array(layout.pieceCount)
  // A clean record also tells which pieces are missing.
  const { missing, unchecked, unproven, stored } = pieceTrust
  const clean = known?.clean === true
  const trusted = recordTrust === 'trusted'
  const recorded = clean && trusted ? stored : unproven
  const unrecorded = clean ? missing : unchecked
  const { verified } = known ?? { verified: bitsOf(layout.pieceCount) }
  for (let piece = 0; piece < pieces.length; piece++) {
    if (piece % piecesOfStep === piecesOfStep - 1) yield
    if (sources.absent[piece] === 1) continue
    if ((clean || !trusted) && sources.changed[piece] === 1) pieces[piece] = unchecked
    else pieces[piece] = hasBit(verified, piece) ? recorded : unrecorded
  }
  return {
    pieces,
    partial: known?.clean === true ? partialPieces(layout, known, sources, pieces) : new Map()
  }
}

interface Sources {
  /** Whether each file is as recorded. */
  readonly same: readonly boolean[]
  readonly sameParts: boolean
  /** 1 for each piece with bytes that must be missing (`absent`) or differ from the record (`changed`). */
  readonly absent: Uint8Array
  readonly changed: Uint8Array
}

/**
 * Marks the pieces of a file whose bytes are missing or changed; by file, because most files have very many pieces. Bytes in the parts file
 * hide those of the file, as in the storage. `keptIndex` is the first range of the parts file that may overlap the file; returns the
 * first one for the next file.
 */
function markFile(
  layout: Layout,
  stats: StorageStats,
  { same, sameParts, absent, changed }: Sources,
  index: number,
  keptIndex: number
): number {
  const file = layout.files[index]
  if (file === undefined || file.pad) return keptIndex
  const onDisk = file.offset + (stats.files[index]?.size ?? 0)
  const end = file.offset + file.length
  const ranges = stats.parts?.ranges ?? noRanges
  let kept = keptIndex
  for (let at = file.offset; at < end; ) {
    while ((ranges[kept]?.end ?? Number.POSITIVE_INFINITY) <= at) kept++
    const start = ranges[kept]?.start ?? end
    const isKept = start <= at
    const upTo = Math.min(end, isKept ? (ranges[kept]?.end ?? end) : start)
    if (isKept ? !sameParts : same[index] !== true) mark(layout, changed, at, upTo)
    if (!isKept && onDisk < upTo) mark(layout, absent, Math.max(at, onDisk), upTo)
    at = upTo
  }
  return kept
}

/** Sets 1 for each piece that the non-empty range `[start, end)` touches. */
function mark(layout: Layout, marks: Uint8Array, start: number, end: number): void {
  marks.fill(1, layout.pieceAt(start), layout.pieceAt(end - 1) + 1)
}

/**
 * Returns the block maps of pieces whose files are all unchanged. The last file may be too short for its piece, because only some blocks were
 * written.
 */
function partialPieces(
  layout: Layout,
  record: ResumeRecord,
  { same, sameParts }: Sources,
  pieces: Uint8Array
): Map<number, Uint8Array> {
  const kept = new Map<number, Uint8Array>()
  for (const [piece, blocks] of record.partial) {
    if (piece >= layout.pieceCount || pieces[piece] !== pieceTrust.missing) continue
    if (blocks.byteLength !== bitsLength(layout.blocksWithPadding(piece))) continue
    const start = layout.pieceOffset(piece)
    const spans = [...layout.spans({ start, end: start + layout.pieceSize(piece) })]
    const touched = spans.some(
      ({ fileIndex }) => layout.files[fileIndex]?.pad === false && same[fileIndex] !== true
    )
    if (!touched && sameParts) kept.set(piece, blocks)
  }
  return kept
}

function fits(layout: Layout, { files, verified }: ResumeRecord): boolean {
  return files.length === layout.files.length && verified.byteLength === bitsLength(layout.pieceCount)
}

function isSame(before: FileStat | undefined, now: FileStat | undefined): boolean {
  return before?.size === now?.size && before?.mtimeNs === now?.mtimeNs
}
