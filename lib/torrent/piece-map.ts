import { cellCount, cellOf, cellPieces } from '../metainfo/piece-cells.ts'
import type { Picker } from '../picker/picker.ts'
import type { Content } from './content.ts'
import type { Ledger } from './ledger.ts'

/** State of one piece for a map. */
export interface PieceInfo {
  readonly state: 'missing' | 'checking' | 'partial' | 'verified'
  /** Connected peers that have it. */
  readonly availability: number
}

/** Neighbouring pieces `[start, end)` of a coarse map, and how many of them are in which state; the rest is missing. */
export interface PieceCell {
  readonly start: number
  readonly end: number
  readonly verified: number
  /** To be hashed before they count. */
  readonly checking: number
  /** Blocks of them have come or are asked for. */
  readonly partial: number
  /** Pieces, in whatever state, that no connected peer has. */
  readonly unavailable: number
}

/** State and availability of each piece. */
export function pieceMap(content: Content | undefined): PieceInfo[] {
  if (content === undefined) return []
  const { pieceCount, ledger, picker } = partsOf(content)
  return Array.from({ length: pieceCount }, (_, piece) => ({
    state: stateOf(piece, ledger, picker),
    availability: picker.availability(piece)
  }))
}

/** The pieces in at most 1024 cells, from counts that ledger and picker keep: no look at each of them. */
export function coarsePieceMap(content: Content | undefined): PieceCell[] {
  if (content === undefined) return []
  const { pieceCount, ledger, picker } = partsOf(content)
  const { verifiedCells, uncheckedCells } = ledger
  const { lacking } = picker
  const partial = new Uint32Array(cellCount(pieceCount))
  // As many as memory has room for.
  for (const { piece } of picker.partials()) {
    const cell = cellOf(piece, pieceCount)
    partial[cell] = (partial[cell] ?? 0) + 1
  }
  const cells: PieceCell[] = []
  for (let cell = 0; cell < partial.length; cell++) {
    const { start, end } = cellPieces(cell, pieceCount)
    const verified = verifiedCells.at(cell)
    const checking = uncheckedCells.at(cell)
    cells.push({ start, end, verified, checking, partial: partial[cell] ?? 0, unavailable: lacking.at(cell) })
  }
  return cells
}

function partsOf({ layout, ledger, download }: Content): {
  readonly pieceCount: number
  readonly ledger: Ledger
  readonly picker: Picker
} {
  return { pieceCount: layout.pieceCount, ledger, picker: download.picker }
}

function stateOf(piece: number, ledger: Ledger, picker: Picker): PieceInfo['state'] {
  if (picker.has(piece)) return 'verified'
  if (ledger.isUnchecked(piece)) return 'checking'
  return picker.partial(piece) === undefined ? 'missing' : 'partial'
}
