import { basename, dirname, sep } from 'node:path'
import { isHexHash } from '../metainfo/info-hashes.ts'
import { plainName } from '../metainfo/record-folder.ts'
import { TorrentError } from '../util/errors.ts'
import { type FileId, FoldersAbove, fileIdOf, realPathOf } from './real-path.ts'
import type { StorageFs } from './storage-fs.ts'

/** Matches files of a state folder as spelled by {@link plainName}; suffixes are added to their names while they are written. */
const clientFile = /^(?:client\.(?:session|lock)|dht\.nodes|record\.key)/
/** Matches the part after the info hash in names of files of one torrent. */
const torrentFile = /^(?:resume|torrent|parts|seed)/
/** Matches a short (8.3) name, which may be an alias of any of these files. */
const shortName = /^[^.]{1,8}~\d+(?:\.[^.]{0,3})?$/

interface Reserved {
  /** Real path. */
  readonly path: string
  readonly elements: readonly string[]
  /**
   * Whether the folder contains the data, as when an application keeps everything in one folder; then only our own files in it are
   * reserved.
   */
  readonly holdsData: boolean
  /** Set once the folder exists. */
  id: FileId | undefined
}

/**
 * Folders of resume records and other state, in which a torrent may not write or read files. Real paths are compared by name; names that
 * are equal on any file system count as equal. Before a write, devices and inodes are compared too.
 */
export class ReservedFolders {
  readonly #fs: StorageFs
  readonly #nominal: readonly string[]
  readonly #root: string
  #reserved: Promise<readonly Reserved[]> | undefined
  /** Folders that contain no reserved file; folders below them may. */
  readonly #apart = new Set<string>()
  /** Folders that are neither above nor below a reserved one, so that nothing below them is reserved. */
  readonly #far = new Set<string>()
  /** Folders whose device and inode were compared with those of all reserved ones. */
  readonly #compared = new Set<string>()

  /** Reserves `folders`; `root` is the folder of the data. */
  constructor(fs: StorageFs, folders: readonly string[], root: string) {
    this.#fs = fs
    this.#nominal = [...new Set(folders)]
    this.#root = root
  }

  /**
   * Checks the real path of a file, which may not exist yet, by name.
   * @throws TorrentError ERR_STORAGE_PATH when it is reserved.
   */
  check(path: string): Promise<void> | undefined {
    return this.isApart(path) ? undefined : this.#check(path)
  }

  /** Returns whether the folder of a file is already known to contain no reserved file. */
  isApart(path: string): boolean {
    if (this.#apart.has(parentOf(path))) return true
    if (this.#far.size === 0) return false
    for (const above of foldersAbove(path)) if (this.#far.has(above)) return true
    return false
  }

  /**
   * Checks an existing real folder and all above it by device and inode.
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

  /** Returns whether a file would be in a reserved folder or block its path. */
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
      // The names match exactly, or only on some file systems; in that case the inodes decide if both exist.
      const at = path.split(sep).slice(0, reserved.path.split(sep).length).join(sep)
      return at === reserved.path || this.#mayBeOne(at, reserved.path)
    }
    // The file would be where a folder above the reserved one must be.
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
      // A reserved folder that does not exist yet cannot be this folder, which exists.
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

/** Returns whether a name is an info hash followed by one of our suffixes. */
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

/** Yields the folders above a path, outermost first. */
function* foldersAbove(path: string): Generator<string> {
  for (let end = path.indexOf(sep, 1); end >= 0; end = path.indexOf(sep, end + 1)) yield path.slice(0, end)
}

/** Returns whether files in a folder must be checked one by one. */
function isNear(elements: readonly string[], reserved: Reserved): boolean {
  const [above, inside] = [isAbove(elements, reserved), isInside(elements, reserved)]
  return reserved.holdsData ? above && inside : above || inside
}

/** Returns whether a folder is the reserved one or above it. */
function isAbove(elements: readonly string[], reserved: Reserved): boolean {
  return startsWith(reserved.elements, elements)
}

/** Returns whether a folder is the reserved one or inside it. */
function isInside(elements: readonly string[], reserved: Reserved): boolean {
  return startsWith(elements, reserved.elements)
}

function startsWith(elements: readonly string[], start: readonly string[]): boolean {
  return elements.length >= start.length && start.every((element, n) => element === elements[n])
}

function refusal(path: string, reserved: string): TorrentError {
  const message =
    `The torrent may not use ${path}, because ${reserved} holds the state of piecewise: ` +
    'choose another folder for the data or for the state'
  return new TorrentError('ERR_STORAGE_PATH', message, { details: { path } })
}
