import type { Stats } from 'node:fs'
import { lstat, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { storageError } from '../storage/storage-error.ts'
import { TorrentError } from '../util/errors.ts'
import { makeFolder } from '../util/make-folder.ts'

/** Mode of folders that the user did not choose. */
export const privateMode = 0o700

/** Permissions of group and others. */
const anyAccess = 0o077
const writeAccess = 0o022

/** How {@link DefaultFolders} are set up. */
export interface DefaultFoldersOptions {
  readonly onWarning: (warning: Error) => void
  /** Folder for temporary files; by default that of the system. */
  readonly temporary?: string
  /** The user who must own the folders, by default that of the process; `false` (the default on Windows) is for systems without owners. */
  readonly uid?: number | false
}

/**
 * Folders of torrents for which nobody chose one: `piecewise-<uid>/<infoHash>` in the system's folder for temporary files, where every
 * user may create any name first. A folder is used only if it is a directory and no link, belongs to this user, and gives nobody else
 * access. The folder of 0.1.0, `piecewise/<infoHash>`, could be made readable by the umask, so that of it only writing matters.
 * On Windows that folder is the user's own, has no owner to compare, and `piecewise/<infoHash>` is used as ever.
 */
export class DefaultFolders {
  readonly #onWarning: (warning: Error) => void
  readonly #temporary: string | undefined
  readonly #uid: number | false
  /** Used instead of one that somebody else has; one for the life of this object. */
  #fresh: Promise<string> | undefined

  constructor({ onWarning, temporary, uid = process.geteuid?.() ?? false }: DefaultFoldersOptions) {
    this.#onWarning = onWarning
    this.#temporary = temporary
    this.#uid = uid
  }

  /** The folder of a torrent whose data lie elsewhere; nothing is made or looked at. */
  name(infoHash: string): string {
    return path.join(this.#usual, infoHash)
  }

  /**
   * The folder of a torrent: one in which an earlier run left data (`before` is where that was), else one in a private folder, which is
   * made if it is missing.
   * @throws TorrentError ERR_STORAGE_* when no private folder can be made.
   */
  async find(infoHash: string, before?: string): Promise<string> {
    const old = path.join(this.#folder, 'piecewise')
    const candidates = [...(before === undefined ? [] : [path.dirname(before)]), this.#usual, old]
    for (const folder of candidates) {
      const access = folder === this.#usual ? anyAccess : writeAccess
      const data = path.join(folder, infoHash)
      if ((await this.#isOurs(folder, access)) && (await this.#isOurs(data, writeAccess))) return data
    }
    return path.join(await this.#make(), infoHash)
  }

  get #folder(): string {
    return path.resolve(this.#temporary ?? tmpdir())
  }

  get #usual(): string {
    return path.join(this.#folder, this.#uid === false ? 'piecewise' : `piecewise-${this.#uid}`)
  }

  async #make(): Promise<string> {
    const folder = this.#usual
    try {
      // EEXIST: something that is no folder has the name.
      await makeFolder(folder, { mode: privateMode }).catch(() => {})
      if (await this.#isOurs(folder, anyAccess)) return folder
      this.#fresh ??= this.#makeFresh(folder)
      return await this.#fresh
    } catch (error) {
      this.#fresh = undefined
      throw storageError(error, 'write', folder)
    }
  }

  async #makeFresh(taken: string): Promise<string> {
    const folder = await mkdtemp(`${taken}-`)
    const message =
      `${taken} is not a private folder of this user, so data goes to ${folder}: ` +
      'choose a folder with the option path, or see to it that the first one belongs to this user and has mode 0700'
    this.#onWarning(new TorrentError('ERR_STORAGE_PATH', message, { details: { path: taken, folder } }))
    return folder
  }

  /** Whether a path is a folder of this user on which no other user has the permissions in `access`. */
  async #isOurs(folder: string, access: number): Promise<boolean> {
    const stats: Stats | undefined = await lstat(folder).catch(() => undefined)
    if (stats?.isDirectory() !== true) return false
    return this.#uid === false || (stats.uid === this.#uid && (stats.mode & access) === 0)
  }
}
