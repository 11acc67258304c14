import { toLatin1 } from '../util/bytes.ts'
import { runSteps, type Steps } from '../util/turn-share.ts'
import { spellsRecordFolder } from './record-folder.ts'

/** How padding was named before BEP 47 gave it an attribute. */
export const padNamePrefix: string = '_____padding_file_'
/** Most bytes of an element in UTF-8: file systems take 255, and names may still grow by a suffix. */
const maxElementBytes = 240
const maxExtensionLength = 10

/** What can hide the true end of a name or turn it around: bidirectional marks, zero-width and invisible signs. */
const invisible = /[/\\\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]/g
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it is about
const unprintable = /[\u0000-\u001f\u007f-\u009f\ufffd]/g
const windowsForbidden = /["*:<>?|]/g
const windowsReserved = /^(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(?: *\..*)?$/i
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/**
 * One element of a path, fit for any file system of the platform: no separator, no control or direction character, at
 * most 240 bytes. On Windows also none of its forbidden characters, reserved names, or dots and spaces at the end.
 * A name that spells the folder of our own records is changed. Returns undefined for `.` and `..`, `_` for nothing.
 */
export function safeElement(
  raw: Uint8Array,
  windows: boolean = process.platform === 'win32'
): string | undefined {
  // Most names are plain, and torrents may have very many.
  if (!windows && isPlain(raw)) return toLatin1(raw)
  let text = decoder.decode(raw).replace(invisible, '').replace(unprintable, '_')
  if (windows) text = text.replace(windowsForbidden, '_')
  text = shortened(text)
  if (/^\.{1,2}$/.test(text)) return undefined
  if (windows) {
    text = text.replace(/[. ]+$/, '')
    if (windowsReserved.test(text)) text = `_${text}`
  }
  if (spellsRecordFolder(text)) text = `_${text.replace(/^[^\p{L}\p{N}]+/u, '')}`
  return text === '' ? '_' : text
}

/** Whether a name is short, of printable ASCII without separators and tildes, and does not begin with a dot or space. */
function isPlain(raw: Uint8Array): boolean {
  if (raw.length === 0 || raw.length > maxElementBytes || raw[0] === 0x2e || raw[0] === 0x20) return false
  for (const byte of raw) {
    if (byte < 0x20 || byte > 0x7d || byte === 0x2f || byte === 0x5c) return false
  }
  return true
}

function shortened(text: string): string {
  if (Buffer.byteLength(text) <= maxElementBytes) return text
  const dot = text.lastIndexOf('.')
  const extension = dot > 0 && text.length - dot <= maxExtensionLength + 1 ? text.slice(dot) : ''
  const room = maxElementBytes - Buffer.byteLength(extension)
  let bytes = 0
  let stem = ''
  for (const letter of text) {
    bytes += Buffer.byteLength(letter)
    if (bytes > room) break
    stem += letter
  }
  return stem + extension
}

/** A spelling that two names share if some file system takes them for one: without case and Unicode composition. */
function folded(element: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is what it is about
  if (/^[\u0000-\u007f]*$/.test(element)) return element.toLowerCase()
  return element.normalize('NFC').toUpperCase().toLowerCase().normalize('NFC')
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
 * folder, without regard to case and Unicode composition. The same list always gives the same names.
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
  const dot = name.lastIndexOf('.')
  const stem = dot > 0 ? name.slice(0, dot) : name
  const extension = dot > 0 ? name.slice(dot) : ''
  let suffix = suffixes?.get(key) ?? 0
  let renamed: string
  let renamedKey: string
  do {
    renamed = `${stem}.${++suffix}${extension}`
    renamedKey = folded(renamed)
  } while (asked.has(renamedKey) || taken?.has(renamedKey) === true || folders.has(renamedKey))
  suffixes?.set(key, suffix)
  taken?.add(renamedKey)
  return renamed
}
