/** Name of the folder beside the data in which resume records lie. */
export const recordFolder = '.piecewise'

/** The record folder's name after {@link plainName}: itself, or its short (8.3) names. */
const spelled = /^(?:\.piecewise|piecew~\d|piece~\d\d|piec~\d{3}|pi[0-9a-f]{4}~\d)$/
/** A dot or tilde, also of another width, without which no name comes near; the rest is looked at more closely. */
const suspect = /^[^\p{L}\p{N}]*[.\u2024\ufe52\uff0e]|[~\uff5e]/u
const suspectPath = /(?:^|\/)[^/\p{L}\p{N}]*[.\u2024\ufe52\uff0e]|[~\uff5e]/u
const ignorable = /[\p{M}\p{C}\p{Default_Ignorable_Code_Point}]/gu

/**
 * Returns whether an element of a path reaches the {@link recordFolder} on any file system: without regard to case, accents and
 * width, to code points that are ignored (HFS+), to dots and spaces at its end (Windows), to a stream behind a colon (NTFS), and
 * by its short names (FAT, NTFS).
 */
export function spellsRecordFolder(element: string): boolean {
  return suspect.test(element) && spelled.test(plainName(element))
}

/** Returns whether any element of a path, joined by `/`, spells the {@link recordFolder}. */
export function reachesRecordFolder(path: string): boolean {
  return suspectPath.test(path) && path.split('/').some(spellsRecordFolder)
}

/** Returns a text that is the same for all names which some file system takes for one, its short (8.3) names apart. */
export function plainName(element: string): string {
  const text = element.normalize('NFKD').replace(ignorable, '')
  const [name = ''] = text.toUpperCase().toLowerCase().normalize('NFKD').replace(ignorable, '').split(':')
  return name.replace(/^ +|[. ]+$/g, '')
}
