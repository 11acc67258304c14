import type { BigIntStats } from 'node:fs'
import { dirname, isAbsolute, join, parse, sep } from 'node:path'
import { TorrentError } from '../util/errors.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import type { StorageLink } from './storage.ts'
import { isMissing, type StorageFs } from './storage-fs.ts'

/** The limit of Linux. */
const mostLinks = 40

export interface LinksOptions {
  readonly fs: StorageFs
  /** Links that an earlier storage of the torrent accepted; if given, all others are refused. */
  readonly recorded?: readonly StorageLink[] | undefined
  /** User whose links are accepted, by default the user of the process; `false` on systems without owners (the default on Windows). */
  readonly uid?: number | false
}

/**
 * Decides which symbolic links in a torrent's folder are followed: links that existed when the torrent was added and belong to this user or
 * root, as must every link that they lead through. The resume record lists the links of the first run. Device and inode are compared only
 * within a run: the device number of a disk changes with a reboot, and FAT, exFAT and FUSE renumber files at each mount.
 */
export class Links {
  readonly #fs: StorageFs
  readonly #uid: number | false
  readonly #accepted = new LazyMap<string, StorageLink>()
  /** Whether new links are still accepted. */
  #accepting: boolean

  constructor({ fs, recorded, uid = process.geteuid?.() ?? false }: LinksOptions) {
    this.#fs = fs
    this.#uid = uid
    this.#accepting = recorded === undefined
    for (const link of recorded ?? []) this.#accepted.set(link.path, link)
  }

  /** Links accepted in this run and earlier ones. */
  get accepted(): StorageLink[] {
    return [...this.#accepted.values()]
  }

  /** Stops accepting new links; call it after all files were looked up. */
  seal(): void {
    this.#accepting = false
  }

  /**
   * Follows a link. `name` is its path in the torrent, `path` its real path.
   * @throws TorrentError ERR_STORAGE_PATH for a link that is not accepted or leads nowhere.
   */
  async follow(name: string, path: string): Promise<{ path: string; stats: BigIntStats }> {
    let target: string
    try {
      target = await this.#fs.realpath(path)
    } catch (error) {
      if (!isMissing(error)) throw error
      throw refused(path, 'its target does not exist', 'restore the target or remove the link')
    }
    await this.#checkOwners(dirname(path), [path.slice(dirname(path).length)], path)
    const known = this.#accepted.get(name)
    if (known === undefined && !this.#accepting) {
      throw refused(path, 'it was not there when the torrent was added', again)
    }
    if (known !== undefined && known.target !== target) {
      throw refused(
        path,
        `it leads to ${target}, but led to ${known.target} when the torrent was added`,
        again
      )
    }
    const stats = await this.#fs.lstat(target, { bigint: true })
    if (known === undefined) this.#accepted.set(name, { path: name, target })
    return { path: target, stats }
  }

  /**
   * Accepts the location of the torrent's folder, which the user chose together with all links that lead there. If the location changed
   * since an earlier run, the owners of these links are checked.
   */
  async chosen(nominal: string, target: string): Promise<void> {
    if (target === nominal) return
    if (!this.#accepting && this.#accepted.get(rootName)?.target !== target) {
      const { root } = parse(nominal)
      await this.#checkOwners(root, nominal.slice(root.length).split(sep), nominal)
    }
    this.#accepted.set(rootName, { path: rootName, target })
  }

  /** Walks from a real folder along the elements of a path; throws when a link on the way belongs to another user. */
  async #checkOwners(folder: string, elements: readonly string[], path: string): Promise<void> {
    if (this.#uid === false) return
    let at = folder
    const rest = [...elements]
    for (let links = 0; rest.length > 0; ) {
      const element = rest.shift() ?? ''
      if (element === '..') at = dirname(at)
      if (['', '.', '..'].includes(element)) continue
      const next = join(at, element)
      const stats = await this.#fs.lstat(next, { bigint: true })
      if (!stats.isSymbolicLink()) {
        at = next
        continue
      }
      if (stats.uid !== 0n && stats.uid !== BigInt(this.#uid)) {
        const which = next === path ? 'it' : `${next}, through which it leads,`
        throw refused(path, `${which} belongs to another user`, 'remove it')
      }
      if (++links > mostLinks) throw Object.assign(new Error('too many links'), { code: 'ELOOP' })
      const target = await this.#fs.readlink(next)
      if (isAbsolute(target)) at = parse(target).root
      rest.unshift(...target.split(sep))
    }
  }
}

/** Name of the torrent's root folder in lists of links and created files. */
const rootName = './'
const again = 'remove it or, if it is intended, add the torrent with the option verify'

function refused(path: string, why: string, remedy: string): TorrentError {
  const message = `The symbolic link ${path} is not followed, because ${why}: ${remedy}`
  return new TorrentError('ERR_STORAGE_PATH', message, { details: { path } })
}
