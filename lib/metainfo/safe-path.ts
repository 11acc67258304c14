import { toLatin1 } from '../util/bytes.ts'
import { maxElementBytes, maxReadElementBytes } from './limits.ts'
import { spellsRecordFolder } from './record-folder.ts'

/** How padding was named before BEP 47 gave it an attribute. */
export const padNamePrefix: string = '_____padding_file_'
const maxExtensionLength = 10

/**
 * Characters that separate folders, hide the end of a name or reverse it: slashes, bidirectional marks, zero-width and invisible
 * characters. The joiners U+200C and U+200D stay: Persian, Indic scripts and emoji are spelled with them.
 */
const removed = /[/\\\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]/g
const joiners = /[\u200c\u200d]/g
// biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern finds control characters
const unprintable = /[\u0000-\u001f\u007f-\u009f\ufffd]/g
const windowsForbidden = /["*:<>?|]/g
/** The end of a name that Windows strips (dots and spaces), with joiners, which would hide it. */
const windowsEnd = /[. \u200c\u200d]+$/
const windowsReserved = /^(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(?: *\..*)?$/is
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/**
 * One element of a path, fit for any file system of the platform: no separator, no control or direction character, at
 * most 255 bytes. On Windows also none of its forbidden characters, reserved names, or dots and spaces at the end.
 * A name that spells the folder of our own records is changed. Returns undefined for `.` and `..`, `_` for nothing.
 */
export function safeElement(
  raw: Uint8Array,
  windows: boolean = process.platform === 'win32'
): string | undefined {
  // Most names are plain, and torrents may have very many.
  if (!windows && isPlain(raw)) return toLatin1(raw)
  return safeText(elementText(raw), windows)
}

/** Returns the text of an element's bytes; of a very long one the middle is left out, which no spelling keeps. */
export function elementText(raw: Uint8Array): string {
  if (raw.length <= maxReadElementBytes) return decoder.decode(raw)
  const half = maxReadElementBytes / 2
  return decoder.decode(raw.subarray(0, half)) + decoder.decode(raw.subarray(-half))
}

/** {@link safeElement} of a text, or with fewer bytes. */
export function safeText(
  raw: string,
  windows: boolean,
  maxBytes: number = maxElementBytes
): string | undefined {
  let text = raw.replace(removed, '').replace(unprintable, '_')
  // Where only dots and joiners are, the joiners would hide what the dots mean.
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
 * The name of a torrent's file or folder: as {@link safeElement}, and with an underscore for a leading dot. Only this name meets what
 * the user has in the folder, and there such a name is a setting of some program.
 */
export function safeName(raw: Uint8Array, windows?: boolean): string | undefined {
  return safeElement(raw, windows)?.replace(/^[\u200c\u200d]*\./, '_')
}

/** Whether a name is short, of printable ASCII without separators and tildes, and does not begin with a dot or space. */
function isPlain(raw: Uint8Array): boolean {
  if (raw.length === 0 || raw.length > maxElementBytes || raw[0] === 0x2e || raw[0] === 0x20) return false
  for (const byte of raw) {
    if (byte < 0x20 || byte > 0x7d || byte === 0x2f || byte === 0x5c) return false
  }
  return true
}

/** The text if it has at most so many bytes of UTF-8, else its beginning with its extension, if that is short. */
function shortened(text: string, maxBytes: number): string {
  if (Buffer.byteLength(text) <= maxBytes) return text
  const dot = text.lastIndexOf('.')
  const extension = dot > 0 && text.length - dot <= maxExtensionLength + 1 ? text.slice(dot) : ''
  return beginning(text, maxBytes - Buffer.byteLength(extension)) + extension
}

/** Returns the name with a suffix before its extension; the stem gets shorter where both would be too long. */
export function suffixed(name: string, suffix: string): string {
  const dot = name.lastIndexOf('.')
  const stem = dot > 0 ? name.slice(0, dot) : name
  const extension = dot > 0 ? name.slice(dot) : ''
  const room = maxElementBytes - suffix.length - Buffer.byteLength(extension)
  if (Buffer.byteLength(stem) <= room) return stem + suffix + extension
  const short = beginning(stem, room)
  return short === '' ? beginning(name, maxElementBytes - suffix.length) + suffix : short + suffix + extension
}

/** As many whole characters as fit, without a joiner that would join nothing any more. */
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

/** Returns a spelling that two names share if some file system takes them for one: without case, Unicode composition and joiners. */
export function folded(element: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern covers all of ASCII
  if (/^[\u0000-\u007f]*$/.test(element)) return element.toLowerCase()
  return element.replace(joiners, '').normalize('NFC').toUpperCase().toLowerCase().normalize('NFC')
}
