import type { Stats } from 'node:fs'
import { lstat, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { storageError } from '../storage/storage-error.ts'
import { TorrentError } from '../util/errors.ts'
import { makeFolder } from '../util/make-folder.ts'

/** Mode of folders that the user did not choose. */
export const privateMode = 0o700

/** Permission bits of group and others. */
const anyAccess = 0o077
const writeAccess = 0o022

/** Options of {@link DefaultFolders}. */
export interface DefaultFoldersOptions {
  readonly onWarning: (warning: Error) => void
  /** Folder for temporary files; default: `os.tmpdir()`. */
  readonly temporary?: string
  /** User id that must own the folders; default: that of the process. `false`, the default on Windows, checks no owner. */
  readonly uid?: number | false
}

/**
 * Default data folders of torrents: `piecewise-<uid>/<infoHash>` in the OS folder for temporary files. Any user can create that name
 * first, so a folder is used only if it is a directory (no link), belongs to this user, and no other user has access. Folders of version
 * 0.1.0, `piecewise/<infoHash>`, may be readable by others, depending on the umask; those are refused only if others can write.
 * On Windows the temporary folder belongs to the user, so `piecewise/<infoHash>` is used and no owner is checked.
 */
export class DefaultFolders {
  readonly #onWarning: (warning: Error) => void
  readonly #temporary: string | undefined
  readonly #uid: number | false
  /** The replacement if the usual folder belongs to another user; created once per object. */
  #fresh: Promise<string> | undefined

  constructor({ onWarning, temporary, uid = process.geteuid?.() ?? false }: DefaultFoldersOptions) {
    this.#onWarning = onWarning
    this.#temporary = temporary
    this.#uid = uid
  }

  /** Returns the usual folder of a torrent without creating or checking it, for torrents whose data is elsewhere. */
  name(infoHash: string): string {
    return path.join(this.#usual, infoHash)
  }

  /**
   * Returns the folder of a torrent: an existing one from an earlier run (`before` is its path then), or else one in a private folder,
   * which is created if it is missing.
   * @throws TorrentError ERR_STORAGE_* if no private folder can be created.
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
      // Fails with EEXIST if a file has the name; then a fresh folder is used.
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
      'choose a folder with the option path, or make this user the owner of the first one, with mode 0700'
    this.#onWarning(new TorrentError('ERR_STORAGE_PATH', message, { details: { path: taken, folder } }))
    return folder
  }

  /** Returns whether a path is a folder of this user on which no other user has the permissions in `access`. */
  async #isOurs(folder: string, access: number): Promise<boolean> {
    const stats: Stats | undefined = await lstat(folder).catch(() => undefined)
    if (stats?.isDirectory() !== true) return false
    return this.#uid === false || (stats.uid === this.#uid && (stats.mode & access) === 0)
  }
}
