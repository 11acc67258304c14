/** Name of the folder of resume records, which is beside the data. */
export const recordFolder = '.piecewise'

/** The record folder's name after {@link plainName}: itself, or its short (8.3) names. */
const spelled = /^(?:\.piecewise|piecew~\d|piece~\d\d|piec~\d{3}|pi[0-9a-f]{4}~\d)$/
/** A fast filter: only names with a leading dot or a tilde, of any width, can match; they are then checked exactly. */
const suspect = /^[^\p{L}\p{N}]*[.\u2024\ufe52\uff0e]|[~\uff5e]/u
const suspectPath = /(?:^|\/)[^/\p{L}\p{N}]*[.\u2024\ufe52\uff0e]|[~\uff5e]/u
const ignorable = /[\p{M}\p{C}\p{Default_Ignorable_Code_Point}]/gu

/**
 * Returns whether a path element opens the {@link recordFolder} on any file system. Handles case, accents and width, ignored code
 * points (HFS+), trailing dots and spaces (Windows), streams after a colon (NTFS), and short names (FAT, NTFS).
 */
export function spellsRecordFolder(element: string): boolean {
  return suspect.test(element) && spelled.test(plainName(element))
}

/** Returns whether any element of a path, joined by `/`, spells the {@link recordFolder}. */
export function reachesRecordFolder(path: string): boolean {
  return suspectPath.test(path) && path.split('/').some(spellsRecordFolder)
}

/** Returns one text for all names that some file system treats as equal, except short (8.3) names. */
export function plainName(element: string): string {
  const text = element.normalize('NFKD').replace(ignorable, '')
  const [name = ''] = text.toUpperCase().toLowerCase().normalize('NFKD').replace(ignorable, '').split(':')
  return name.replace(/^ +|[. ]+$/g, '')
}
