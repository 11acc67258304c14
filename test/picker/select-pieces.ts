import type { Picker } from '../../lib/picker/picker.ts'

/** Selects pieces with a priority (0: deselects), as a torrent does: in the table, then in the picker. */
export function selectPieces(picker: Picker, pieces: Iterable<number>, priority: number, now: number): void {
  const list = [...pieces]
  for (const piece of list) picker.table.setPriorities(piece, Uint8Array.of(priority))
  picker.reselected(list, now)
}
