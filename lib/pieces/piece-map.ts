import type { Layout } from '../metainfo/layout.ts'
import { type CellCounts, cellCount, cellOf, cellPieces } from '../metainfo/piece-cells.ts'
import type { PieceTable } from './piece-table.ts'

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

/** The parts of a torrent that a map is drawn from. */
export interface MappedPieces {
  readonly layout: Pick<Layout, 'pieceCount'>
  readonly table: PieceTable
  readonly download: { readonly picker: FetchedPieces }
}

/** The pieces that peers have. */
interface FetchedPieces {
  availability(piece: number): number
  /** How many pieces of each cell no connected peer has. */
  readonly lacking: Pick<CellCounts, 'at'>
}

/** State and availability of each piece. */
export function pieceMap(torrent: MappedPieces | undefined): PieceInfo[] {
  if (torrent === undefined) return []
  const { layout, table } = torrent
  const { picker } = torrent.download
  return Array.from({ length: layout.pieceCount }, (_, piece) => ({
    state: stateOf(piece, table),
    availability: picker.availability(piece)
  }))
}

/** The pieces in at most 1024 cells, from counts that table and picker keep: no look at each of them. */
export function coarsePieceMap(torrent: MappedPieces | undefined): PieceCell[] {
  if (torrent === undefined) return []
  const { pieceCount } = torrent.layout
  const { table } = torrent
  const { picker } = torrent.download
  const { verifiedCells, uncheckedCells } = table.counts
  const { lacking } = picker
  const partial = new Uint32Array(cellCount(pieceCount))
  // As many as memory has room for.
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
