import { dirname, join, sep } from 'node:path'
import { LazyMap } from '../util/lazy-collections.ts'
import { isBelow } from './real-folder.ts'
import type { RealFolders } from './real-folders.ts'

/** Location of a folder that may not exist. */
export interface FolderPlace {
  readonly path: string
  readonly exists: boolean
}

/** Finds folders, whether they exist or not. During a lookup of many files, each missing folder is looked up once. */
export class FolderPlaces {
  readonly #folders: RealFolders
  /** Results of the current lookup of many files. */
  #placed: Map<string, Promise<FolderPlace>> | undefined
  /** Expected paths of missing folders. */
  readonly #absent = new LazyMap<string, string>()

  constructor(folders: RealFolders) {
    this.#folders = folders
  }

  /** Runs a task that looks up many files and caches missing folders while it runs. */
  async remembering<T>(task: () => Promise<T>): Promise<T> {
    this.#placed = new Map()
    try {
      return await task()
    } finally {
      this.#placed = undefined
      this.#absent.clear()
    }
  }

  /** Returns the expected path of a folder that {@link remembering} found missing, or that is below such a folder; otherwise undefined. */
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

  /** Finds a folder, or where it would be. */
  async place(nominal: string): Promise<FolderPlace> {
    if (this.#placed === undefined) return this.#find(nominal)
    // Outermost first, so that nothing is looked up or cached below a missing folder.
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

  /** Yields the folders above a path and below the root, outermost first; none if the path is not below the root. */
  *#above(nominal: string): Generator<string> {
    const { root } = this.#folders
    if (root === undefined || nominal === root || !isBelow(nominal, root)) return
    for (let end = nominal.indexOf(sep, root.length + 1); end >= 0; end = nominal.indexOf(sep, end + 1))
      yield nominal.slice(0, end)
  }
}
