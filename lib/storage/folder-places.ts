import { dirname, join, sep } from 'node:path'
import { LazyMap } from '../util/lazy-collections.ts'
import { isBelow } from './real-folder.ts'
import type { RealFolders } from './real-folders.ts'

/** Where a folder is, or would be if it were there. */
export interface FolderPlace {
  readonly path: string
  readonly exists: boolean
}

/** Where folders are or would be. While many files are looked for, each missing folder is looked for once. */
export class FolderPlaces {
  readonly #folders: RealFolders
  /** Folders that were found or not, while many files are looked for. */
  #placed: Map<string, Promise<FolderPlace>> | undefined
  /** Expected paths of the missing ones. */
  readonly #absent = new LazyMap<string, string>()

  constructor(folders: RealFolders) {
    this.#folders = folders
  }

  /** Runs a task that looks for many files, in which a folder that is missing once counts as missing. */
  async remembering<T>(task: () => Promise<T>): Promise<T> {
    this.#placed = new Map()
    try {
      return await task()
    } finally {
      this.#placed = undefined
      this.#absent.clear()
    }
  }

  /** The expected path of a folder that {@link remembering} knows to be missing, itself or one above it; else undefined. */
  absent(nominal: string): string | undefined {
    if (this.#absent.size === 0) return undefined
    const found = this.#absent.get(nominal)
    if (found !== undefined) return found
    for (const above of this.#above(nominal)) {
      const path = this.#absent.get(above)
      if (path !== undefined) return join(path, nominal.slice(above.length))
    }
    return undefined
  }

  /** Where a folder is or would be. */
  async place(nominal: string): Promise<FolderPlace> {
    if (this.#placed === undefined) return this.#find(nominal)
    // From the outermost on, so that below a missing folder none is looked for and remembered.
    for (const above of this.#above(nominal)) {
      const { path, exists } = await this.#findOnce(above)
      if (!exists) return { path: join(path, nominal.slice(above.length)), exists }
    }
    return this.#findOnce(nominal)
  }

  #findOnce(nominal: string): Promise<FolderPlace> {
    const placed = this.#placed
    const before = placed?.get(nominal)
    if (before !== undefined) return before
    const place = this.#find(nominal)
    if (placed === undefined) return place
    placed.set(nominal, place)
    place.then(
      ({ path, exists }) => {
        if (!exists && this.#placed === placed) this.#absent.set(nominal, path)
      },
      () => {}
    )
    return place
  }

  async #find(nominal: string): Promise<FolderPlace> {
    const folder = await this.#folders.find(nominal)
    if (folder !== undefined) return { path: folder.path, exists: true }
    const parent = dirname(nominal)
    if (parent === nominal) return { path: nominal, exists: false }
    return { path: join((await this.place(parent)).path, nominal.slice(parent.length)), exists: false }
  }

  /** The folders below the root that are above a path, from the outermost on; none if it is not below the root. */
  *#above(nominal: string): Generator<string> {
    const { root } = this.#folders
    if (root === undefined || nominal === root || !isBelow(nominal, root)) return
    for (let end = nominal.indexOf(sep, root.length + 1); end >= 0; end = nominal.indexOf(sep, end + 1))
      yield nominal.slice(0, end)
  }
}
