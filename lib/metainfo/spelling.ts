import { maxElementBytes } from './limits.ts'
import { elementText, safeElement, safeName, safeText } from './safe-path.ts'

/**
 * How the names of a torrent's files are spelled on disk. `0.2`: as this version makes them safe. `0.1`: as version 0.1 did, and much
 * as libtorrent does: at most 240 bytes, without joiners, with a leading dot. `original`: as in the torrent, where the safe name
 * lacks nothing but invisible characters.
 */
export type Spelling = '0.1' | '0.2' | 'original'

/** The spelling that a value names, as another version may have written it; undefined for none that is known here. */
export function readSpelling(value: unknown): Spelling | undefined {
  return value === '0.1' || value === '0.2' || value === 'original' ? value : undefined
}

/** Bytes to which version 0.1 cut names. */
const maxBytesBefore = 240
const joiners = /[\u200c\u200d]/g
/** Characters that are removed from names although they neither reverse the text nor separate folders. */
const invisible = /[\u061c\u200b\u200e\u200f\u2060-\u2064\ufeff]/g
const onWindows = process.platform === 'win32'

/** An element of a path below the torrent's name; undefined for `.` and `..`. */
export function spellElement(
  raw: Uint8Array,
  spelling: Spelling,
  windows: boolean = onWindows
): string | undefined {
  if (spelling === '0.2') return safeElement(raw, windows)
  return spelling === '0.1' ? elementBefore(raw, windows) : original(raw, safeElement(raw, windows), windows)
}

/** The torrent's name; undefined for `.` and `..`. */
export function spellName(
  raw: Uint8Array,
  spelling: Spelling,
  windows: boolean = onWindows
): string | undefined {
  if (spelling === '0.1') return elementBefore(raw, windows)
  const name = safeName(raw, windows)
  // An underscore for the dot is there for safety, whatever else the name lacks.
  if (spelling === '0.2' || name !== safeElement(raw, windows)) return name
  return original(raw, name, windows)
}

/** Whether some spelling of the torrent's name differs from the others. */
export function nameHasOthers(raw: Uint8Array): boolean {
  const name = spellName(raw, '0.2')
  return spellName(raw, '0.1') !== name || spellName(raw, 'original') !== name
}

/** Whether some spelling of an element may differ from the others: a quick look, for torrents may have very many. */
export function elementHasOthers(raw: Uint8Array): boolean {
  if (raw.length > maxBytesBefore) return true
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

function elementBefore(raw: Uint8Array, windows: boolean): string | undefined {
  return safeText(elementText(raw).replace(joiners, ''), windows, maxBytesBefore)
}

/** The name as it is in the torrent, or the safe one if that differs for a reason of safety, or no file can have the other. */
function original(raw: Uint8Array, safe: string | undefined, windows: boolean): string | undefined {
  const text = elementText(raw)
  const visible = text.replace(invisible, '')
  return Buffer.byteLength(text) <= maxElementBytes && safeText(visible, windows) === visible ? text : safe
}
