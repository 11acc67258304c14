import { runSteps, type Steps } from '../util/slices.ts'
import { NameTable } from './name-table.ts'
import { folded, suffixed } from './safe-path.ts'

/** A path whose elements are safe; with `lowPriority`, another file of the same path keeps the name. */
export interface PathRequest {
  readonly elements: readonly string[]
  readonly lowPriority: boolean
}

/** Names that are compared before yielding to the event loop. */
const looksOfStep = 2000
/** Number of the top folder. */
const root = 0

/**
 * Makes paths unique, ignoring case and Unicode composition. A file is renamed (`a.txt` to `a.1.txt`) if its path is that of an
 * earlier file or of a folder; the name stays within 255 bytes. The same list always gives the same names. Names are stored as
 * {@link folded} returns them.
 */
export class UniquePaths {
  /** Prefix of each path. */
  readonly #prefix: string
  /** Folders by parent folder; entry n is folder n + 1. */
  readonly #folders = new NameTable()
  /** The requested files, then the renamed ones. */
  readonly #files = new NameTable()
  /** For each added path, twice its entry in {@link #files}, plus 1 if it has `lowPriority`. */
  readonly #added: number[] = []
  /** The last suffix used for each entry that was requested more than once. */
  readonly #suffixes = new Map<number, number>()
  #previous: readonly string[] = []
  /** The parent folders of the previous file, from the top. */
  readonly #parents: number[] = [root]
  /** The path of the previous file, without its name. */
  #path: string

  /** Starts with no paths; `prefix` begins each. */
  constructor(prefix: string) {
    this.#prefix = prefix
    this.#path = prefix
  }

  /** Adds a path and returns its elements joined with `/`. */
  add({ elements, lowPriority }: PathRequest): string {
    const depth = elements.length - 1
    const previousDepth = this.#previous.length - 1
    let same = 0
    // Consecutive files often share their folder.
    while (same < depth && same < previousDepth && elements[same] === this.#previous[same]) same++
    if (same < depth || depth !== previousDepth) {
      for (let n = same; n < depth; n++) {
        this.#parents[n + 1] = this.#folders.add(this.#parents[n] ?? root, folded(elements[n] ?? '')) + 1
      }
      this.#path = depth === 0 ? this.#prefix : `${this.#prefix}${elements.slice(0, -1).join('/')}/`
    }
    this.#previous = elements
    const name = elements.at(-1) ?? ''
    const entry = this.#files.add(this.#parents[depth] ?? root, folded(name))
    this.#added.push(2 * entry + Number(lowPriority))
    return this.#path + name
  }

  /** Decides all paths in order, those with `lowPriority` last. Calls `rename` for each file that cannot have the name that `nameOf` returns. */
  *settleSteps(nameOf: (path: number) => string, rename: (path: number, name: string) => void): Steps<void> {
    const taken = new Uint8Array(this.#files.size)
    let looks = 0
    for (const lowPriority of [0, 1]) {
      for (let path = 0; path < this.#added.length; path++) {
        if (++looks % looksOfStep === 0) yield
        const added = this.#added[path] ?? 0
        if ((added & 1) !== lowPriority) continue
        const entry = added >> 1
        if (taken[entry] === 0 && !this.#folders.has(this.#files.folder(entry), this.#files.name(entry)))
          taken[entry] = 1
        else rename(path, yield* this.#freeNameSteps(nameOf(path), entry))
      }
    }
  }

  /** Reserves the first name with a suffix that is free in the folder of an entry. */
  *#freeNameSteps(name: string, entry: number): Steps<string> {
    const folder = this.#files.folder(entry)
    let suffix = this.#suffixes.get(entry) ?? 0
    let renamed: string
    let key: string
    do {
      if (++suffix % looksOfStep === 0) yield
      renamed = suffixed(name, `.${suffix}`)
      key = folded(renamed)
    } while (this.#files.has(folder, key) || this.#folders.has(folder, key))
    this.#suffixes.set(entry, suffix)
    this.#files.add(folder, key)
    return renamed
  }
}

/** Joins the elements of each path with `/` and makes the paths unique; see {@link UniquePaths}. */
export function uniquePaths(requests: readonly PathRequest[]): string[] {
  return runSteps(uniquePathSteps(requests))
}

/** {@link uniquePaths} in steps. */
export function* uniquePathSteps(requests: readonly PathRequest[]): Steps<string[]> {
  const unique = new UniquePaths('')
  const paths: string[] = []
  for (const request of requests) {
    if (paths.length % looksOfStep === looksOfStep - 1) yield
    paths.push(unique.add(request))
  }
  const rename = (path: number, name: string): void => {
    const { elements = [] } = requests[path] ?? {}
    paths[path] = [...elements.slice(0, -1), name].join('/')
  }
  yield* unique.settleSteps((path) => requests[path]?.elements.at(-1) ?? '_', rename)
  return paths
}
