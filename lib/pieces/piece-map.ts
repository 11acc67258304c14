import type { Layout } from '../metainfo/layout.ts'
import { type CellCounts, cellCount, cellOf, cellPieces } from '../metainfo/piece-cells.ts'
import type { PieceTable } from './piece-table.ts'

/** State of one piece, for display. */
export interface PieceInfo {
  /** Whether the piece is missing, hashed at the moment, downloaded in part, or verified. */
  readonly state: 'missing' | 'checking' | 'partial' | 'verified'
  /** Connected peers that have it. */
  readonly availability: number
}

/** Consecutive pieces `[start, end)` of a coarse map, with the number in each state; the rest is missing. */
export interface PieceCell {
  /** First piece. */
  readonly start: number
  /** Piece after the last one. */
  readonly end: number
  /** Number of verified pieces. */
  readonly verified: number
  /** Existing data that is still to be hashed. */
  readonly checking: number
  /** Pieces with requested or received blocks. */
  readonly partial: number
  /** Pieces, in any state, that no connected peer has. */
  readonly unavailable: number
}

/** The parts of a torrent that a map is drawn from. */
export interface MappedPieces {
  readonly layout: Pick<Layout, 'pieceCount'>
  readonly table: PieceTable
  readonly download: { readonly picker: FetchedPieces }
}

/** The pieces that peers have. */
interface FetchedPieces {
  availability(piece: number): number
  /** Number of pieces of each cell that no connected peer has. */
  readonly lacking: Pick<CellCounts, 'at'>
}

/** Returns the state and availability of each piece. */
export function pieceMap(torrent: MappedPieces | undefined): PieceInfo[] {
  if (torrent === undefined) return []
  const { layout, table } = torrent
  const { picker } = torrent.download
  return Array.from({ length: layout.pieceCount }, (_, piece) => ({
    state: stateOf(piece, table),
    availability: picker.availability(piece)
  }))
}

/** Returns the pieces in at most 1024 cells, from counters of table and picker, without visiting each piece. */
export function coarsePieceMap(torrent: MappedPieces | undefined): PieceCell[] {
  if (torrent === undefined) return []
  const { pieceCount } = torrent.layout
  const { table } = torrent
  const { picker } = torrent.download
  const { verifiedCells, uncheckedCells } = table.counts
  const { lacking } = picker
  const partial = new Uint32Array(cellCount(pieceCount))
  // Partial pieces are few, because the memory budget limits them.
  for (const { piece } of table.blocks.values()) {
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

function stateOf(piece: number, table: PieceTable): PieceInfo['state'] {
  if (table.isVerified(piece)) return 'verified'
  if (table.isUnchecked(piece)) return 'checking'
  return table.blocks.has(piece) ? 'partial' : 'missing'
}
