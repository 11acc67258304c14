import { toLatin1 } from '../util/bytes.ts'

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
 * Returns undefined for `.` and `..`, `_` for nothing.
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
  return text === '' ? '_' : text
}

/** Whether a name is short, of printable ASCII without separators, and not of dots alone. */
function isPlain(raw: Uint8Array): boolean {
  if (raw.length === 0 || raw.length > maxElementBytes || raw[0] === 0x2e) return false
  for (const byte of raw) {
    if (byte < 0x20 || byte > 0x7e || byte === 0x2f || byte === 0x5c) return false
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

/**
 * Joins the elements with `/`, and renames (`a.txt` to `a.1.txt`) each file whose path is that of an earlier file or of a
 * folder, without regard to case and Unicode composition. The same list always gives the same names.
 */
export function uniquePaths(requests: readonly PathRequest[]): string[] {
  // Folders by number and not by path, so that each element is looked at once however deep it stands.
  const folders = new Map<string, number>()
  const keys: string[] = []
  const parents: number[] = []
  let before: readonly string[] = []
  let parent = 0
  for (const { elements } of requests) {
    // Neighbours often share their folder.
    const depth = elements.length - 1
    let same = before.length === elements.length
    for (let n = 0; same && n < depth; n++) same = before[n] === elements[n]
    before = elements
    if (!same) parent = 0
    for (let n = 0; !same && n < depth; n++) {
      const key = `${parent}/${folded(elements[n] ?? '')}`
      let folder = folders.get(key)
      if (folder === undefined) folders.set(key, (folder = folders.size + 1))
      parent = folder
    }
    parents.push(parent)
    keys.push(`${parent}/${folded(elements.at(-1) ?? '')}`)
  }
  const asked = new Set(keys)
  if (asked.size === keys.length && !keys.some((key) => folders.has(key))) {
    return requests.map(({ elements }) => elements.join('/'))
  }
  const taken = new Set<string>()
  const suffixes = new Map<string, number>()
  const paths: string[] = []
  const settle = (at: number, elements: readonly string[]): void => {
    const key = keys[at] ?? ''
    let name = elements.at(-1) ?? '_'
    if (taken.has(key) || folders.has(key)) {
      const dot = name.lastIndexOf('.')
      const stem = dot > 0 ? name.slice(0, dot) : name
      const extension = dot > 0 ? name.slice(dot) : ''
      let suffix = suffixes.get(key) ?? 0
      let renamed: string
      do {
        name = `${stem}.${++suffix}${extension}`
        renamed = `${parents[at]}/${folded(name)}`
      } while (asked.has(renamed) || taken.has(renamed) || folders.has(renamed))
      suffixes.set(key, suffix)
      taken.add(renamed)
    } else taken.add(key)
    paths[at] = elements.length > 1 ? `${elements.slice(0, -1).join('/')}/${name}` : name
  }
  for (const [at, { elements, yields }] of requests.entries()) if (!yields) settle(at, elements)
  for (const [at, { elements, yields }] of requests.entries()) if (yields) settle(at, elements)
  return paths
}
