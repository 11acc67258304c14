import type { Layout, Range } from '../metainfo/layout.ts'
import { bitsLength, bitsOf, hasBit } from '../util/bits.ts'
import { runSteps, type Steps } from '../util/turn-share.ts'
import type { RecordTrust } from './record-seal.ts'
import type { ResumeRecord } from './resume-record.ts'
import type { FileStat, StorageStats } from './storage.ts'

/** Pieces that are judged without a pause. */
const piecesOfStep = 5000
const noRanges: readonly Range[] = []

/** What is known of a piece before it is read. */
export type PieceTrust = 'missing' | 'unknown' | 'unproven' | 'have'

/**
 * The codes of {@link PieceTrust} in {@link Trust.pieces}: `missing` bytes are not there; `unknown` there, to be checked;
 * `unproven` verified once, to be hashed before it is first served or read; `have` verified and untouched.
 */
export const pieceTrust: Readonly<Record<PieceTrust, number>> = {
  missing: 0,
  unknown: 1,
  unproven: 2,
  have: 3
}

/** What a resume record and a look at the files tell. */
export interface Trust {
  /** A code of {@link pieceTrust} for each piece. */
  readonly pieces: Uint8Array
  /** Block maps of pieces that are `missing` but of which these blocks are stored, unverified. */
  readonly partial: ReadonlyMap<number, Uint8Array>
}

/**
 * Decides what is believed without reading. After a clean stop files of the same size and time are believed, pieces of
 * others are to be checked; after an unclean one, or without a record, nothing is, but recorded pieces come first.
 * Pieces whose bytes cannot be there, because a file is missing or too short, are missing in any case. A record that
 * does not fit the layout counts as none. One that is not trusted has none of its pieces believed, and counts only for files
 * whose time it knows to the nanosecond.
 */
export function trust(
  layout: Layout,
  record: ResumeRecord | undefined,
  stats: StorageStats,
  recordTrust?: RecordTrust
): Trust {
  return runSteps(trustSteps(layout, record, stats, recordTrust))
}

/** As {@link trust}, in parts. */
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
  // A clean record tells of what is not there as well.
  const { missing, unknown, unproven, have } = pieceTrust
  const clean = known?.clean === true
  const trusted = recordTrust === 'trusted'
  const recorded = clean && trusted ? have : unproven
  const unrecorded = clean ? missing : unknown
  const { verified } = known ?? { verified: bitsOf(layout.pieceCount) }
  for (let piece = 0; piece < pieces.length; piece++) {
    if (piece % piecesOfStep === piecesOfStep - 1) yield
    if (sources.absent[piece] === 1) continue
    if ((clean || !trusted) && sources.changed[piece] === 1) pieces[piece] = unknown
    else pieces[piece] = hasBit(verified, piece) ? recorded : unrecorded
  }
  return {
    pieces,
    partial: known?.clean === true ? partialPieces(layout, known, sources, pieces) : new Map()
  }
}

interface Sources {
  /** Of each file whether it is as the record saw it. */
  readonly same: readonly boolean[]
  readonly sameParts: boolean
  /** 1 for each piece of which some bytes cannot be there, or are not as the record saw them. */
  readonly absent: Uint8Array
  readonly changed: Uint8Array
}

/**
 * Marks the pieces of a file whose bytes cannot be there or have changed, file by file, as most have very many pieces. Kept bytes hide
 * those of the file, as they do in the storage; `keptIndex` is the first of them that may do so, and that of the next file is returned.
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

/** Sets 1 for each piece that the bytes `[start, end)` touch, of which there is one at least. */
function mark(layout: Layout, marks: Uint8Array, start: number, end: number): void {
  marks.fill(1, layout.pieceAt(start), layout.pieceAt(end - 1) + 1)
}

/** The block maps of pieces none of whose files changed; a file may end before the piece does. */
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
