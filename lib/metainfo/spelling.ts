import { maxElementBytes } from './limits.ts'
import { elementText, safeElement, safeName, safeText } from './safe-path.ts'

/**
 * How the names of a torrent's files are spelled on disk. `0.2`: made safe as in this version. `0.1`: as in version 0.1, close to
 * libtorrent: at most 240 bytes, without joiners; a leading dot is kept. `original`: as in the torrent, if the safe name differs only
 * in invisible characters.
 */
export type Spelling = '0.1' | '0.2' | 'original'

/** Returns the spelling named by a value from a record; undefined for unknown ones, which a later version may have written. */
export function readSpelling(value: unknown): Spelling | undefined {
  return value === '0.1' || value === '0.2' || value === 'original' ? value : undefined
}

/** Maximum bytes of a name in version 0.1. */
const legacyMaxBytes = 240
const joiners = /[\u200c\u200d]/g
/** Characters that are removed from names although they neither reverse text nor separate folders. */
const invisible = /[\u061c\u200b\u200e\u200f\u2060-\u2064\ufeff]/g
const onWindows = process.platform === 'win32'

/** Spells a path element below the torrent's name; undefined for `.` and `..`. */
export function spellElement(
  raw: Uint8Array,
  spelling: Spelling,
  windows: boolean = onWindows
): string | undefined {
  if (spelling === '0.2') return safeElement(raw, windows)
  return spelling === '0.1' ? legacyElement(raw, windows) : original(raw, safeElement(raw, windows), windows)
}

/** Spells the torrent's name; undefined for `.` and `..`. */
export function spellName(
  raw: Uint8Array,
  spelling: Spelling,
  windows: boolean = onWindows
): string | undefined {
  if (spelling === '0.1') return legacyElement(raw, windows)
  const name = safeName(raw, windows)
  // The underscore instead of a leading dot is for safety, so the original name is not used.
  if (spelling === '0.2' || name !== safeElement(raw, windows)) return name
  return original(raw, name, windows)
}

/** Returns whether the torrent's name has more than one spelling. */
export function nameHasOtherSpellings(raw: Uint8Array): boolean {
  const name = spellName(raw, '0.2')
  return spellName(raw, '0.1') !== name || spellName(raw, 'original') !== name
}

/** Returns whether an element may have more than one spelling. A fast check, because torrents may have very many elements. */
export function elementHasOtherSpellings(raw: Uint8Array): boolean {
  if (raw.length > legacyMaxBytes) return true
  for (let at = 0; at < raw.length; at++) {
    const byte = raw[at] ?? 0
    if (byte < 0xd8) continue
    const second = raw[at + 1]
    const third = raw[at + 2] ?? 0
    // U+200B to U+200F, U+2060 to U+2064, U+FEFF and U+061C.
    if (byte === 0xe2 && second === 0x80 && third >= 0x8b && third <= 0x8f) return true
    if (byte === 0xe2 && second === 0x81 && third >= 0xa0 && third <= 0xa4) return true
    if ((byte === 0xef && second === 0xbb && third === 0xbf) || (byte === 0xd8 && second === 0x9c))
      return true
  }
  return false
}

function legacyElement(raw: Uint8Array, windows: boolean): string | undefined {
  return safeText(elementText(raw).replace(joiners, ''), windows, legacyMaxBytes)
}

/** Returns the name as in the torrent, unless it is unsafe or no file can have it; then the safe name. */
function original(raw: Uint8Array, safe: string | undefined, windows: boolean): string | undefined {
  const text = elementText(raw)
  const visible = text.replace(invisible, '')
  return Buffer.byteLength(text) <= maxElementBytes && safeText(visible, windows) === visible ? text : safe
}
