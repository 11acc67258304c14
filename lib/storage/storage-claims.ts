import { TorrentError } from '../util/errors.ts'

const foldsCase = process.platform === 'win32' || process.platform === 'darwin'

/** Prevents two storages of a process from writing to the same file. A client shares one instance among its storages. */
export class StorageClaims {
  readonly #owners = new Map<string, object>()
  readonly #claims = new WeakMap<object, string[]>()

  /**
   * Claims all of the absolute paths for `owner`, or none. Throws ERR_STORAGE_IN_USE with the first path that has another owner; paths that
   * `owner` already has are fine.
   */
  claim(owner: object, paths: Iterable<string>): void {
    const keys: string[] = []
    for (const path of paths) {
      const key = foldsCase ? path.toLowerCase() : path
      const other = this.#owners.get(key)
      if (other !== undefined && other !== owner) {
        const message = `Another torrent writes to ${path} already: remove that torrent or choose another folder`
        throw new TorrentError('ERR_STORAGE_IN_USE', message, { details: { path } })
      }
      if (other === undefined) keys.push(key)
    }
    const mine = this.#claims.get(owner) ?? []
    this.#claims.set(owner, mine)
    for (const key of keys) {
      // The same path may be given twice.
      if (this.#owners.has(key)) continue
      this.#owners.set(key, owner)
      mine.push(key)
    }
  }

  /** Releases all paths of `owner`. */
  release(owner: object): void {
    for (const key of this.#claims.get(owner) ?? []) this.#owners.delete(key)
    this.#claims.delete(owner)
  }
}
