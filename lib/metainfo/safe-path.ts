import { toLatin1 } from '../util/bytes.ts'
import { runSteps, type Steps } from '../util/turn-share.ts'
import { spellsRecordFolder } from './record-folder.ts'

/** How padding was named before BEP 47 gave it an attribute. */
export const padNamePrefix: string = '_____padding_file_'
/** Most bytes of an element in UTF-8: what file systems take. */
export const maxElementBytes: number = 255
const maxExtensionLength = 10

/**
 * Characters that separate folders, hide the end of a name or reverse it: slashes, bidirectional marks, zero-width and invisible
 * characters. The joiners U+200C and U+200D stay: Persian, Indic scripts and emoji are spelled with them.
 */
const removed = /[/\\\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]/g
const joiners = /[\u200c\u200d]/g
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it is about
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
  return safeText(decoder.decode(raw), windows)
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

/** A spelling that two names share if some file system takes them for one: without case, Unicode composition and joiners. */
function folded(element: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is what it is about
  if (/^[\u0000-\u007f]*$/.test(element)) return element.toLowerCase()
  return element.replace(joiners, '').normalize('NFC').toUpperCase().toLowerCase().normalize('NFC')
}

/** A path as elements that are safe one by one; `yields` when another file of the same name goes first. */
export interface PathRequest {
  readonly elements: readonly string[]
  readonly yields: boolean
}

/** A folder of the torrent, with names as {@link folded}. */
interface Folder {
  readonly folders: Map<string, Folder>
  /** What files in it are called. */
  readonly asked: Set<string>
  /** Names that are settled, and the last suffix of those that had to be changed; made when the first is. */
  taken: Set<string> | undefined
  suffixes: Map<string, number> | undefined
}

/** Paths that are looked at without a pause. */
const pathsOfStep = 1000

/**
 * Joins the elements with `/`, and renames (`a.txt` to `a.1.txt`) each file whose path is that of an earlier file or of a
 * folder, without regard to case and Unicode composition; the name stays within 255 bytes. The same list always gives the same names.
 */
export function uniquePaths(requests: readonly PathRequest[]): string[] {
  return runSteps(uniquePathSteps(requests))
}

/** As {@link uniquePaths}, in parts. */
export function* uniquePathSteps(requests: readonly PathRequest[]): Steps<string[]> {
  const root = newFolder()
  const parents: Folder[] = []
  const keys: string[] = []
  let before: readonly string[] = []
  let parent = root
  let count = 0
  for (const { elements } of requests) {
    if (++count % pathsOfStep === 0) yield
    // Neighbours often share their folder.
    const depth = elements.length - 1
    let same = before.length === elements.length
    for (let n = 0; same && n < depth; n++) same = before[n] === elements[n]
    before = elements
    if (!same) parent = root
    for (let n = 0; !same && n < depth; n++) {
      const key = folded(elements[n] ?? '')
      let folder = parent.folders.get(key)
      if (folder === undefined) parent.folders.set(key, (folder = newFolder()))
      parent = folder
    }
    const key = folded(elements.at(-1) ?? '')
    parents.push(parent)
    keys.push(key)
    parent.asked.add(key)
  }
  const paths: string[] = []
  for (const yielding of [false, true]) {
    for (let at = 0; at < requests.length; at++) {
      if (at % pathsOfStep === pathsOfStep - 1) yield
      const request = requests[at]
      const folder = parents[at]
      if (request === undefined || folder === undefined || request.yields !== yielding) continue
      const { elements } = request
      const key = keys[at] ?? ''
      folder.taken ??= new Set()
      folder.suffixes ??= new Map()
      const isFree = !folder.taken.has(key) && !folder.folders.has(key)
      if (isFree) folder.taken.add(key)
      paths[at] = isFree
        ? elements.join('/')
        : [...elements.slice(0, -1), freeName(folder, key, elements.at(-1) ?? '_')].join('/')
    }
  }
  return paths
}

function newFolder(): Folder {
  return { folders: new Map(), asked: new Set(), taken: undefined, suffixes: undefined }
}

/** Takes the first name in a folder with a suffix that nobody asks for. */
function freeName({ folders, asked, taken, suffixes }: Folder, key: string, name: string): string {
  let suffix = suffixes?.get(key) ?? 0
  let renamed: string
  let renamedKey: string
  do {
    renamed = suffixed(name, `.${++suffix}`)
    renamedKey = folded(renamed)
  } while (asked.has(renamedKey) || taken?.has(renamedKey) === true || folders.has(renamedKey))
  suffixes?.set(key, suffix)
  taken?.add(renamedKey)
  return renamed
}

/** The name with a suffix before its extension; the stem gets shorter where both would be too long. */
function suffixed(name: string, suffix: string): string {
  const dot = name.lastIndexOf('.')
  const stem = dot > 0 ? name.slice(0, dot) : name
  const extension = dot > 0 ? name.slice(dot) : ''
  const room = maxElementBytes - suffix.length - Buffer.byteLength(extension)
  if (Buffer.byteLength(stem) <= room) return stem + suffix + extension
  const short = beginning(stem, room)
  return short === '' ? beginning(name, maxElementBytes - suffix.length) + suffix : short + suffix + extension
}
