import { randomBytes } from 'node:crypto'
import { link } from 'node:fs/promises'
import { join } from 'node:path'
import { toHex } from '../util/bytes.ts'
import { debug } from '../util/debug.ts'
import { systemCode } from '../util/errors.ts'
import {
  isMissing,
  makeSyncedFolder,
  nodeFs,
  openFlags,
  readAll,
  type StorageFs,
  syncFolder,
  writeAll
} from './storage-fs.ts'

/** File name of the key in the user's state folder. */
export const keyFileName = 'record.key'

/** File system calls of {@link RecordKey}. */
export interface KeyFs extends StorageFs {
  link(from: string, to: string): Promise<void>
}

/** The real file system. */
export const keyFs: KeyFs = { ...nodeFs, link }

const keyLength = 32
/** Mode bits with which others may read or write a file, or replace files in a folder. */
const othersAccess = 0o077n
const othersWrite = 0o022n
const log = debug('storage:record-key')

/**
 * A secret of the user that seals resume records: random bytes in a file that no other user can read, in a folder that no other user can
 * write to. A key with other permissions is not used. Processes that create it concurrently agree on one.
 */
export class RecordKey {
  /** The user's state folder; undefined when there is none. */
  readonly folder: string | undefined
  readonly #fs: KeyFs
  #key: Uint8Array | undefined
  /** Never rejects. */
  #making: Promise<Uint8Array | undefined> | undefined

  constructor(folder: string | undefined, fs: KeyFs = keyFs) {
    this.folder = folder
    this.#fs = fs
  }

  /** Returns the key, or undefined when there is no usable key. */
  async find(): Promise<Uint8Array | undefined> {
    if (this.folder === undefined) return undefined
    this.#key ??= await this.#read(this.folder).catch(ignored)
    return this.#key
  }

  /** Returns the key, creating it if it is missing; undefined when that fails. Creation is tried once. */
  async findOrMake(): Promise<Uint8Array | undefined> {
    const { folder } = this
    const found = await this.find()
    if (found !== undefined || folder === undefined) return found
    this.#making ??= this.#make(folder).catch(ignored)
    this.#key ??= await this.#making
    return this.#key
  }

  async #make(folder: string): Promise<Uint8Array | undefined> {
    const fs = this.#fs
    await makeSyncedFolder(fs, folder, 0o700)
    const path = join(folder, keyFileName)
    // A key that others can read, or that belongs to another user, is left as it is.
    if (!(await this.#isPrivate(folder)) || !(await this.#isOurs(path))) return undefined
    const next = `${path}.${process.pid}.${toHex(randomBytes(4))}.tmp`
    try {
      const handle = await fs.open(next, openFlags.create, 0o600)
      try {
        await writeAll(handle, [randomBytes(keyLength)], 0)
        await handle.datasync()
      } finally {
        await handle.close()
      }
      await this.#publish(next, path)
    } finally {
      await fs.unlink(next).catch(() => {})
    }
    await syncFolder(fs, folder)
    // Another process may have been faster.
    return this.#read(folder)
  }

  /** Links the new file to its final name, unless a key exists by now; an incomplete key is replaced. */
  async #publish(next: string, path: string): Promise<void> {
    try {
      await this.#fs.link(next, path)
    } catch (error) {
      const isTaken = systemCode(error) === 'EEXIST'
      if (isTaken && (await this.#size(path)) === keyLength) return
      // Without hard links the last of several processes wins, and records sealed by the others must be proven again.
      await this.#fs.rename(next, path)
    }
  }

  async #read(folder: string): Promise<Uint8Array | undefined> {
    const path = join(folder, keyFileName)
    if (!(await this.#isPrivate(folder)) || !(await this.#isOurs(path))) return undefined
    const handle = await this.#fs.open(path, openFlags.read)
    try {
      const { size, uid, mode } = await handle.stat({ bigint: true })
      if (size !== BigInt(keyLength) || !isOwn(uid) || hasBits(mode, othersAccess)) return undefined
      const key = new Uint8Array(keyLength)
      return (await readAll(handle, key, 0)) === keyLength ? key : undefined
    } finally {
      await handle.close()
    }
  }

  async #isPrivate(folder: string): Promise<boolean> {
    const stats = await this.#fs.stat(folder, { bigint: true })
    return stats.isDirectory() && isOwn(stats.uid) && !hasBits(stats.mode, othersWrite)
  }

  /** Returns whether a file is missing or accessible to this user alone. */
  async #isOurs(path: string): Promise<boolean> {
    try {
      const stats = await this.#fs.lstat(path, { bigint: true })
      return stats.isFile() && isOwn(stats.uid) && !hasBits(stats.mode, othersAccess)
    } catch (error) {
      if (isMissing(error)) return true
      throw error
    }
  }

  async #size(path: string): Promise<number> {
    return Number((await this.#fs.lstat(path, { bigint: true })).size)
  }
}

function isOwn(uid: bigint): boolean {
  // Windows has no user ids; there the profile folder belongs to the user.
  return process.getuid === undefined || uid === BigInt(process.getuid())
}

function hasBits(mode: bigint, bits: bigint): boolean {
  return process.platform !== 'win32' && (mode & bits) !== 0n
}

function ignored(error: unknown): undefined {
  if (!isMissing(error)) log('no key: %s', error)
  return undefined
}
