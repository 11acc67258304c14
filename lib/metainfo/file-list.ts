import type { Cursor } from '../bencode/cursor.ts'
import type { Outline } from '../bencode/outline.ts'
import { isBytes } from '../util/bytes.ts'
import type { Steps } from '../util/slices.ts'
import { invalid, shown } from './invalid.ts'
import { maxAttributeBytes, maxPathDepth, maxPathElements } from './limits.ts'
import type { FileEntry } from './metainfo.ts'
import { padNamePrefix } from './safe-path.ts'
import { elementHasOtherSpellings, type Spelling, spellElement } from './spelling.ts'
import { UniquePaths } from './unique-paths.ts'

/** Files and path elements that are read before yielding to the event loop. */
const readsOfStep = 2000
const [link, pad, executable, hidden] = [0x6c, 0x70, 0x78, 0x68] as const

/** How names are spelled, and how many there may be. */
export interface Naming {
  readonly spelling: Spelling
  /** Whether another spelling may give another name for one that was read. */
  hasOtherSpellings: boolean
  /** Whether to ignore {@link maxPathElements}, for a torrent that was accepted before; see `NamesOptions`. */
  readonly unlimited: boolean
}

/** Returns the flags of a file (BEP 47). */
export function readFlags(attributes: Uint8Array | undefined): { executable: boolean; hidden: boolean } {
  return {
    executable: attributes?.includes(executable) === true,
    hidden: attributes?.includes(hidden) === true
  }
}

/**
 * Reads the files of a torrent one at a time, so that only one file and the results are in memory. `folder` is the torrent's name,
 * which begins each path.
 */
export function* readFileList(list: Outline, folder: string, naming: Naming): Steps<FileEntry[]> {
  const cursor = list.cursor()
  const reader = new FileReader(cursor, naming)
  const unique = new UniquePaths(`${folder}/`)
  const files: FileEntry[] = []
  let offset = 0
  let index = 0
  let pause = readsOfStep
  cursor.enter()
  for (; !cursor.leave(); index++) {
    if (index + reader.elementCount >= pause) {
      yield
      pause = index + reader.elementCount + readsOfStep
    }
    reader.begin(index)
    while (!reader.find()) yield
    const file = reader.read(index)
    if (file === undefined) continue
    const { elements, length, attributes } = file
    const name = elements.at(-1) ?? '_'
    const isPad = attributes?.includes(pad) === true || name.startsWith(padNamePrefix)
    const path = unique.add({ elements, lowPriority: isPad })
    const moved = index === files.length ? undefined : { listIndex: index }
    files.push({ path, name, length, offset, pad: isPad, ...readFlags(attributes), ...moved })
    offset += length
    if (offset > Number.MAX_SAFE_INTEGER) throw invalid('its files together exceed 2^53 bytes')
  }
  if (index === 0) throw invalid("'files' is empty")
  yield* unique.settleSteps(
    (file) => files[file]?.name ?? '_',
    (file, name) => {
      const entry = files[file]
      if (entry === undefined) return
      const path = entry.path.slice(0, entry.path.length - entry.name.length) + name
      files[file] = { ...entry, path, name }
    }
  )
  // A grown array has spare capacity; a copy has none.
  return files.slice()
}

/** A file of the list, without its offset in the torrent. */
interface ListedFile {
  /** Path elements below the torrent's name, at least one. */
  readonly elements: readonly string[]
  readonly length: number
  /** A view, not a copy. */
  readonly attributes: Uint8Array | undefined
}

type FileKey = 'length' | 'attr' | 'path' | 'path.utf-8'

/** Reads the dictionaries of files; their bencoding was checked before. */
class FileReader {
  /** Path elements read so far. */
  elementCount = 0
  readonly #cursor: Cursor
  readonly #naming: Naming
  /** Offsets of the values of a file's keys; undefined for missing keys. */
  readonly #at: { [key in FileKey]?: number | undefined } = {}
  /** The path elements of the previous file: their offsets and spellings. Many files share their folders. */
  readonly #starts = new Int32Array(maxPathDepth)
  readonly #ends = new Int32Array(maxPathDepth)
  readonly #spelled: (string | undefined)[] = []

  constructor(cursor: Cursor, naming: Naming) {
    this.#cursor = cursor
    this.#naming = naming
  }

  /** Enters the dictionary of the next file. */
  begin(index: number): void {
    const found = this.#at
    if (this.#cursor.kind !== 'dict') throw invalid(`file ${index} is not a dictionary`)
    found.length = undefined
    found.attr = undefined
    found.path = undefined
    found['path.utf-8'] = undefined
    this.#cursor.enter()
  }

  /** Finds the values of the file; the first of equal keys wins. Returns false when it must be called again, because there are many keys. */
  find(): boolean {
    const cursor = this.#cursor
    const found = this.#at
    for (let n = 0; n < readsOfStep; n++) {
      if (cursor.leave()) return true
      const end = cursor.string()
      const key = this.#key(end)
      cursor.at = end
      if (key !== undefined) found[key] ??= end
      cursor.skip()
    }
    return false
  }

  /** Returns the file, or undefined for a symbolic link, which has no bytes and could point anywhere. */
  read(index: number): ListedFile | undefined {
    const cursor = this.#cursor
    const { at: end } = cursor
    const attributes = this.#attributes()
    let file: ListedFile | undefined
    if (attributes?.includes(link) !== true) {
      const length = this.#length(index)
      const otherwise = attributes?.includes(pad) === true ? ['.pad', `${length}`] : undefined
      file = { elements: this.#path(index, otherwise), length, attributes }
    }
    cursor.at = end
    return file
  }

  /** Returns the key at the cursor if it is one that is read. */
  #key(end: number): FileKey | undefined {
    const length = end - this.#cursor.at
    if (length === 6) return this.#is('length')
    if (length === 10) return this.#is('path.utf-8')
    return length === 4 ? (this.#is('path') ?? this.#is('attr')) : undefined
  }

  #is(key: FileKey): FileKey | undefined {
    const { bytes, at } = this.#cursor
    for (let n = 0; n < key.length; n++) if (bytes[at + n] !== key.charCodeAt(n)) return undefined
    return key
  }

  #scalar(at: number | undefined): number | bigint | Uint8Array | undefined {
    if (at === undefined) return undefined
    this.#cursor.at = at
    return this.#cursor.scalar()
  }

  #attributes(): Uint8Array | undefined {
    const value = this.#scalar(this.#at.attr)
    return isBytes(value) ? value.subarray(0, maxAttributeBytes) : undefined
  }

  #length(index: number): number {
    const value = this.#scalar(this.#at.length)
    if (typeof value === 'number' && value >= 0) return value
    throw badLength(`file ${index}`, value, this.#at.length !== undefined)
  }

  /** Returns the elements of a path, or `otherwise`, if given, for a file without a path. */
  #path(index: number, otherwise: string[] | undefined): string[] {
    const cursor = this.#cursor
    const at = this.#listAt(this.#at['path.utf-8']) ?? this.#listAt(this.#at.path)
    const fail = (what: string): Error => invalid(`the path of file ${index} ${what}`)
    const elements: string[] = []
    let depth = 0
    if (at !== undefined) {
      cursor.at = at
      cursor.enter()
      for (; !cursor.leave(); depth++) {
        if (depth >= maxPathDepth) throw fail(`has more than ${maxPathDepth} elements`)
        if (cursor.kind !== 'string') throw fail('must be a list of byte strings')
        const element = this.#element(depth)
        if (element !== undefined) elements.push(element)
      }
    }
    if (depth === 0) {
      if (otherwise !== undefined) return otherwise
      throw fail('must be a list of byte strings')
    }
    this.elementCount += depth
    if (this.elementCount > maxPathElements && !this.#naming.unlimited)
      throw invalid(`the paths of its files have more than ${maxPathElements} elements`)
    return elements.length === 0 ? ['_'] : elements
  }

  #listAt(at: number | undefined): number | undefined {
    if (at === undefined) return undefined
    this.#cursor.at = at
    return this.#cursor.kind === 'list' ? at : undefined
  }

  /** Moves past an element and returns its spelling; undefined for `.` and `..`. */
  #element(depth: number): string | undefined {
    const cursor = this.#cursor
    const { bytes } = cursor
    const end = cursor.string()
    const start = cursor.at
    cursor.at = end
    const before = this.#starts[depth] ?? 0
    let isSame = depth < this.#spelled.length && (this.#ends[depth] ?? 0) - before === end - start
    for (let n = 0; isSame && n < end - start; n++) isSame = bytes[before + n] === bytes[start + n]
    if (isSame) return this.#spelled[depth]
    const raw = bytes.subarray(start, end)
    this.#naming.hasOtherSpellings ||= elementHasOtherSpellings(raw)
    this.#starts[depth] = start
    this.#ends[depth] = end
    const spelled = spellElement(raw, this.#naming.spelling)
    this.#spelled[depth] = spelled
    return spelled
  }
}

/** Returns the error for an invalid file length. */
export function badLength(file: string, value: unknown, isThere: boolean): Error {
  return invalid(`the length of ${file} must be an integer from 0 to 2^53 - 1, not ${shown(value, isThere)}`)
}
