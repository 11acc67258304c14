import { toLatin1 } from '../util/bytes.ts'
import { maxElementBytes, maxReadElementBytes } from './limits.ts'
import { spellsRecordFolder } from './record-folder.ts'

/** Prefix of padding file names from before BEP 47 defined an attribute. */
export const padNamePrefix: string = '_____padding_file_'
const maxExtensionLength = 10

/**
 * Characters that separate folders, hide the end of a name or reverse it: slashes, bidirectional marks, zero-width and invisible
 * characters. The joiners U+200C and U+200D stay: Persian, Indic scripts and emoji need them.
 */
const removed = /[/\\\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]/g
const joiners = /[\u200c\u200d]/g
const unprintable = /[\p{Cc}\ufffd]/gu
const windowsForbidden = /["*:<>?|]/g
/** The end of a name that Windows strips (dots and spaces), with joiners, which would hide it. */
const windowsEnd = /[. \u200c\u200d]+$/
const windowsReserved = /^(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(?: *\..*)?$/is
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/**
 * Returns a path element that every file system of the platform accepts: no separators, no control or direction characters, at most
 * 255 bytes. On Windows also none of its forbidden characters, no reserved names, no dots or spaces at the end. A name that a
 * file system could take for the folder of resume records (`.piecewise`) is changed. Returns undefined for `.` and `..`, and `_` for
 * an empty name.
 */
export function safeElement(
  raw: Uint8Array,
  windows: boolean = process.platform === 'win32'
): string | undefined {
  // Fast path: most names are plain, and torrents may have very many.
  if (!windows && isPlain(raw)) return toLatin1(raw)
  return safeText(elementText(raw), windows)
}

/** Decodes an element. Skips the middle of a very long one, because every name that is made from it has far fewer bytes. */
export function elementText(raw: Uint8Array): string {
  if (raw.length <= maxReadElementBytes) return decoder.decode(raw)
  const half = maxReadElementBytes / 2
  return decoder.decode(raw.subarray(0, half)) + decoder.decode(raw.subarray(-half))
}

/** {@link safeElement} for text, with a lower limit of bytes if given. */
export function safeText(
  raw: string,
  windows: boolean,
  maxBytes: number = maxElementBytes
): string | undefined {
  let text = raw.replace(removed, '').replace(unprintable, '_')
  // Joiners could hide `.` and `..`.
  const bare = text.replace(joiners, '')
  if (/^\.{0,2}$/.test(bare)) text = bare
  if (windows) text = text.replace(windowsForbidden, '_')
  text = shortened(text, maxBytes)
  if (/^\.{1,2}$/.test(text)) return undefined
  if (windows) {
    text = text.replace(windowsEnd, '')
    if (windowsReserved.test(text)) text = shortened(`_${text}`, maxElementBytes).replace(windowsEnd, '')
  }
  if (spellsRecordFolder(text)) text = `_${text.replace(/^[^\p{L}\p{N}]+/u, '')}`
  return text === '' ? '_' : text
}

/**
 * Returns the safe name of a torrent's file or folder: {@link safeElement}, with an underscore for a leading dot. Only this name is directly
 * in the data folder, where it can match the user's own files; a leading dot often marks the settings of a program.
 */
export function safeName(raw: Uint8Array, windows?: boolean): string | undefined {
  return safeElement(raw, windows)?.replace(/^[\u200c\u200d]*\./, '_')
}

/** Returns whether a name is short printable ASCII without separators and tildes, and does not begin with a dot or space. */
function isPlain(raw: Uint8Array): boolean {
  if (raw.length === 0 || raw.length > maxElementBytes || raw[0] === 0x2e || raw[0] === 0x20) return false
  for (const byte of raw) {
    if (byte < 0x20 || byte > 0x7d || byte === 0x2f || byte === 0x5c) return false
  }
  return true
}

/** Cuts a text to a number of UTF-8 bytes; keeps its extension if that is short. */
function shortened(text: string, maxBytes: number): string {
  if (Buffer.byteLength(text) <= maxBytes) return text
  const dot = text.lastIndexOf('.')
  const extension = dot > 0 && text.length - dot <= maxExtensionLength + 1 ? text.slice(dot) : ''
  return beginning(text, maxBytes - Buffer.byteLength(extension)) + extension
}

/** Returns the name with a suffix before its extension; shortens the stem if the result would be too long. */
export function suffixed(name: string, suffix: string): string {
  const dot = name.lastIndexOf('.')
  const stem = dot > 0 ? name.slice(0, dot) : name
  const extension = dot > 0 ? name.slice(dot) : ''
  const room = maxElementBytes - suffix.length - Buffer.byteLength(extension)
  if (Buffer.byteLength(stem) <= room) return stem + suffix + extension
  const short = beginning(stem, room)
  return short === '' ? beginning(name, maxElementBytes - suffix.length) + suffix : short + suffix + extension
}

/** Returns as many whole characters as fit, without a trailing joiner. */
function beginning(text: string, maxBytes: number): string {
  let bytes = 0
  let end = 0
  for (const letter of text) {
    bytes += Buffer.byteLength(letter)
    if (bytes > maxBytes) break
    end += letter.length
  }
  return text.slice(0, end).replace(/[\u200c\u200d]+$/, '')
}

/** Returns the same text for names that some file system treats as equal: ignores case, Unicode composition and joiners. */
export function folded(element: string): string {
  if (/^\p{ASCII}*$/u.test(element)) return element.toLowerCase()
  return element.replace(joiners, '').normalize('NFC').toUpperCase().toLowerCase().normalize('NFC')
}
