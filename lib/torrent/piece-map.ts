import type { Picker } from '../picker/picker.ts'
import type { Ledger } from './ledger.ts'

/** State of one piece for a map. */
export interface PieceInfo {
  readonly state: 'missing' | 'checking' | 'partial' | 'verified'
  /** Connected peers that have it. */
  readonly availability: number
}

/** State and availability of each piece. */
export function pieceMap(pieceCount: number, ledger: Ledger, picker: Picker): PieceInfo[] {
  return Array.from({ length: pieceCount }, (_, piece) => ({
    state: stateOf(piece, ledger, picker),
    availability: picker.availability(piece)
  }))
}

function stateOf(piece: number, ledger: Ledger, picker: Picker): PieceInfo['state'] {
  if (picker.has(piece)) return 'verified'
  if (ledger.isUnchecked(piece)) return 'checking'
  return picker.partial(piece) === undefined ? 'missing' : 'partial'
}
