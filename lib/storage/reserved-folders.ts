import { basename, dirname, sep } from 'node:path'
import { isHexHash } from '../metainfo/info-hashes.ts'
import { plainName } from '../metainfo/record-folder.ts'
import { TorrentError } from '../util/errors.ts'
import { type FileId, FoldersAbove, fileIdOf, realPathOf } from './real-path.ts'
import type { StorageFs } from './storage-fs.ts'

/** Files of a state folder as {@link plainName} spells them; suffixes are added to their names while they are written. */
const clientFile = /^(?:client\.(?:session|lock)|dht\.nodes|record\.key)/
/** The same for files of one torrent, behind its info hash. */
const torrentFile = /^(?:resume|torrent|parts|seed)/
/** A short (8.3) name, which may be that of any of them. */
const shortName = /^[^.]{1,8}~\d+(?:\.[^.]{0,3})?$/

interface Reserved {
  /** Real path. */
  readonly path: string
  readonly elements: readonly string[]
  /** Whether the data lies in it, as where all of an application has one folder: then only our own files are kept apart. */
  readonly holdsData: boolean
  /** Once it exists. */
  id: FileId | undefined
}

/**
 * Folders of resume records and of other state, into which no torrent may write and of which it reads nothing. Real paths are compared: by
 * their text, in which names count as one that some file system takes for one, and before a write by device and inode.
 */
export class ReservedFolders {
  readonly #fs: StorageFs
  readonly #nominal: readonly string[]
  readonly #root: string
  #reserved: Promise<readonly Reserved[]> | undefined
  /** Folders in which no file can be reserved; files below them may be. */
  readonly #apart = new Set<string>()
  /** Folders that are neither above nor below any of them, so that nothing below these is. */
  readonly #far = new Set<string>()
  /** Folders of which device and inode were compared with those of all reserved ones. */
  readonly #compared = new Set<string>()

  /** `folders` are reserved, `root` is that of the data. */
  constructor(fs: StorageFs, folders: readonly string[], root: string) {
    this.#fs = fs
    this.#nominal = [...new Set(folders)]
    this.#root = root
  }

  /**
   * Checks the real path of a file, as it is or would be, by its text.
   * @throws TorrentError ERR_STORAGE_PATH when it is reserved.
   */
  check(path: string): Promise<void> | undefined {
    return this.isApart(path) ? undefined : this.#check(path)
  }

  /** Whether no file in the folder of this one can be reserved, as far as is known. */
  isApart(path: string): boolean {
    if (this.#apart.has(parentOf(path))) return true
    if (this.#far.size === 0) return false
    for (const above of foldersAbove(path)) if (this.#far.has(above)) return true
    return false
  }

  /**
   * Checks a real folder that exists by device and inode, and all above it.
   * @throws TorrentError ERR_STORAGE_PATH when one of them is reserved.
   */
  checkFolder(folder: string): Promise<void> | undefined {
    return this.#compared.has(folder) ? undefined : this.#compare(folder)
  }

  async #check(path: string): Promise<void> {
    const reserved = await this.#find()
    for (const above of foldersAbove(path)) {
      const elements = elementsOf(above)
      if (reserved.some((one) => isAbove(elements, one) || isInside(elements, one))) continue
      this.#far.add(above)
      return
    }
    const folder = parentOf(path)
    const elements = elementsOf(folder)
    if (reserved.every((one) => !isNear(elements, one))) this.#apart.add(folder)
    else {
      for (const one of reserved) if (await this.#isTaken(path, one)) throw refusal(path, one.path)
    }
  }

  /** Whether a file at a path would be in a reserved folder, or in the place of it. */
  async #isTaken(path: string, reserved: Reserved): Promise<boolean> {
    const elements = elementsOf(path)
    if (reserved.holdsData) {
      const name = plainName(basename(path))
      const isOwn = clientFile.test(name) || isTorrentFile(name) || shortName.test(name)
      return (
        isOwn && elements.length === reserved.elements.length + 1 && startsWith(elements, reserved.elements)
      )
    }
    if (startsWith(elements, reserved.elements)) {
      // The same by text, or by what some file systems make of it: if both are there they can be told apart.
      const at = path.split(sep).slice(0, reserved.path.split(sep).length).join(sep)
      return at === reserved.path || this.#mayBeOne(at, reserved.path)
    }
    // A file where a folder above it would have to be.
    if (!startsWith(reserved.elements, elements)) return false
    return (await fileIdOf(this.#fs, reserved.path)) === undefined
  }

  async #mayBeOne(path: string, reserved: string): Promise<boolean> {
    const [one, other] = await Promise.all([fileIdOf(this.#fs, path), fileIdOf(this.#fs, reserved)])
    return other === undefined || one === other
  }

  async #compare(folder: string): Promise<void> {
    const parent = dirname(folder)
    if (parent !== folder && !this.#compared.has(parent)) await this.#compare(parent)
    const id = await fileIdOf(this.#fs, folder)
    for (const one of await this.#find()) {
      // A folder made later cannot be one that exists now.
      one.id ??= await fileIdOf(this.#fs, one.path)
      if (!one.holdsData && id !== undefined && one.id === id) throw refusal(folder, one.path)
    }
    this.#compared.add(folder)
  }

  #find(): Promise<readonly Reserved[]> {
    this.#reserved ??= this.#look().catch((error: unknown) => {
      this.#reserved = undefined
      throw error
    })
    return this.#reserved
  }

  async #look(): Promise<readonly Reserved[]> {
    const root = await FoldersAbove.of(this.#fs, this.#root)
    const reserved: Reserved[] = []
    for (const folder of this.#nominal) {
      const path = await realPathOf(this.#fs, folder)
      const holdsData = await root.has(path)
      reserved.push({ path, elements: elementsOf(path), holdsData, id: undefined })
    }
    return reserved
  }
}

/** Whether the name is an info hash and a suffix of ours. */
function isTorrentFile(name: string): boolean {
  const [infoHash = '', suffix = ''] = name.split('.', 2)
  return torrentFile.test(suffix) && isHexHash(infoHash)
}

function parentOf(path: string): string {
  const end = sep === '/' ? path.lastIndexOf(sep) : 0
  return end > 0 ? path.slice(0, end) : dirname(path)
}

function elementsOf(path: string): readonly string[] {
  return path.split(sep).flatMap((element) => (element === '' ? [] : [plainName(element)]))
}

/** The folders above a path, from the outermost on. */
function* foldersAbove(path: string): Generator<string> {
  for (let end = path.indexOf(sep, 1); end >= 0; end = path.indexOf(sep, end + 1)) yield path.slice(0, end)
}

/** Whether files in a folder have to be looked at one by one. */
function isNear(elements: readonly string[], reserved: Reserved): boolean {
  const [above, inside] = [isAbove(elements, reserved), isInside(elements, reserved)]
  return reserved.holdsData ? above && inside : above || inside
}

/** Whether a folder is a reserved one, or above it. */
function isAbove(elements: readonly string[], reserved: Reserved): boolean {
  return startsWith(reserved.elements, elements)
}

/** Whether a folder is a reserved one, or in it. */
function isInside(elements: readonly string[], reserved: Reserved): boolean {
  return startsWith(elements, reserved.elements)
}

function startsWith(elements: readonly string[], start: readonly string[]): boolean {
  return elements.length >= start.length && start.every((element, n) => element === elements[n])
}

function refusal(path: string, reserved: string): TorrentError {
  const message =
    `${path} is refused to the torrent, because ${reserved} holds the state of piecewise: ` +
    'choose another folder for the data or for the state'
  return new TorrentError('ERR_STORAGE_PATH', message, { details: { path } })
}
