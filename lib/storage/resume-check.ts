import type { FileSpan, Layout, Range } from '../metainfo/layout.ts'
import { hasBit } from '../util/bits.ts'
import { runSteps, type Steps } from '../util/turn-share.ts'
import type { ResumeRecord } from './resume-record.ts'
import type { FileStat, StorageStats } from './storage.ts'

/** Pieces that are judged without a pause. */
const piecesOfStep = 5000

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
 * does not fit the layout counts as none.
 */
export function trust(layout: Layout, record: ResumeRecord | undefined, stats: StorageStats): Trust {
  return runSteps(trustSteps(layout, record, stats))
}

/** As {@link trust}, in parts. */
export function* trustSteps(
  layout: Layout,
  record: ResumeRecord | undefined,
  stats: StorageStats
): Steps<Trust> {
  const known = record !== undefined && fits(layout, record) ? record : undefined
  const same = layout.files.map((_, index) => isSame(known?.files[index], stats.files[index]))
  const sources: Sources = { layout, stats, same, sameParts: isSame(known?.parts, stats.parts?.stat) }
  const pieces = new Uint8Array(layout.pieceCount)
  for (let piece = 0; piece < pieces.length; piece++) {
    if (piece % piecesOfStep === piecesOfStep - 1) yield
    const source = sourceOf(sources, piece)
    const recorded = known !== undefined && hasBit(known.verified, piece)
    pieces[piece] = pieceTrust[judge(source, recorded, known?.clean)]
  }
  return { pieces, partial: known?.clean === true ? partialPieces(known, sources, pieces) : new Map() }
}

/** Whether all bytes of a piece can be there, and whether they are as the record saw them. */
type Source = 'absent' | 'changed' | 'same'

interface Sources {
  readonly layout: Layout
  readonly stats: StorageStats
  readonly same: readonly boolean[]
  readonly sameParts: boolean
}

function judge(source: Source, recorded: boolean, clean: boolean | undefined): PieceTrust {
  if (source === 'absent') return 'missing'
  if (clean === undefined) return 'unknown'
  if (!clean) return recorded ? 'unproven' : 'unknown'
  if (source === 'changed') return 'unknown'
  return recorded ? 'have' : 'missing'
}

function sourceOf(sources: Sources, piece: number): Source {
  const start = sources.layout.pieceOffset(piece)
  let source: Source = 'same'
  for (const span of sources.layout.spans({ start, end: start + sources.layout.pieceSize(piece) })) {
    const part = sourceOfSpan(sources, span)
    if (part === 'absent') return 'absent'
    if (part === 'changed') source = 'changed'
  }
  return source
}

/** Kept bytes hide those of the file, as they do in the storage. */
function sourceOfSpan({ layout, stats, same, sameParts }: Sources, span: FileSpan): Source {
  const file = layout.files[span.fileIndex]
  if (file === undefined) return 'absent'
  if (file.pad) return 'same'
  const onDisk = file.offset + (stats.files[span.fileIndex]?.size ?? 0)
  const start = file.offset + span.fileOffset
  const end = start + span.length
  const ranges = stats.parts?.ranges ?? []
  let source: Source = 'same'
  let index = firstEndingAfter(ranges, start)
  for (let at = start; at < end; ) {
    const kept = ranges[index]
    if (kept !== undefined && kept.start <= at) {
      if (!sameParts) source = 'changed'
      at = kept.end
      index++
      continue
    }
    const upTo = Math.min(end, kept?.start ?? end)
    if (onDisk < upTo) return 'absent'
    if (same[span.fileIndex] !== true) source = 'changed'
    at = upTo
  }
  return source
}

function firstEndingAfter(ranges: readonly Range[], byteOffset: number): number {
  let low = 0
  let high = ranges.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((ranges[middle]?.end ?? 0) <= byteOffset) low = middle + 1
    else high = middle
  }
  return low
}

/** The block maps of pieces none of whose files changed; a file may end before the piece does. */
function partialPieces(record: ResumeRecord, sources: Sources, pieces: Uint8Array): Map<number, Uint8Array> {
  const { layout, same, sameParts } = sources
  const kept = new Map<number, Uint8Array>()
  for (const [piece, blocks] of record.partial) {
    if (piece >= layout.pieceCount || pieces[piece] !== pieceTrust.missing) continue
    if (blocks.byteLength !== Math.ceil(layout.blockCount(piece) / 8)) continue
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
  return files.length === layout.files.length && verified.byteLength === Math.ceil(layout.pieceCount / 8)
}

function isSame(before: FileStat | undefined, now: FileStat | undefined): boolean {
  return before?.size === now?.size && before?.mtimeNs === now?.mtimeNs
}
