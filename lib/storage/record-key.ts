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

/** Name of the key's file in the user's state folder. */
export const keyFileName = 'record.key'

/** The calls that {@link RecordKey} makes. */
export interface KeyFs extends StorageFs {
  link(from: string, to: string): Promise<void>
}

/** The real file system. */
export const keyFs: KeyFs = { ...nodeFs, link }

const keyLength = 32
/** Bits of a mode that let others read or write, and those that let them replace what is in a folder. */
const othersAccess = 0o077n
const othersWrite = 0o022n
const log = debug('storage:record-key')

/**
 * The secret of a user that seals records: random bytes in a file that nobody else can read, in a folder that nobody else can write
 * to. A file of which that is not true is not used. Processes that make it at the same time agree on one.
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

  /** Returns the key, or undefined when there is none that can be used. */
  async find(): Promise<Uint8Array | undefined> {
    if (this.folder === undefined) return undefined
    this.#key ??= await this.#read(this.folder).catch(ignored)
    return this.#key
  }

  /** Returns the key, which is made if it is missing; undefined when that cannot be, which is tried once. */
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
    // One that others can read or that is another user's is left alone.
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

  /** Gives the new file its name, unless there is a key by now; a torn one is replaced. */
  async #publish(next: string, path: string): Promise<void> {
    try {
      await this.#fs.link(next, path)
    } catch (error) {
      const isTaken = systemCode(error) === 'EEXIST'
      if (isTaken && (await this.#size(path)) === keyLength) return
      // Without hard links the last of several processes wins, and records that another one sealed are proven once more.
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

  /** Whether a file is this user's alone, or missing. */
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
  // Windows has no such numbers; there the profile folder is the user's own.
  return process.getuid === undefined || uid === BigInt(process.getuid())
}

function hasBits(mode: bigint, bits: bigint): boolean {
  return process.platform !== 'win32' && (mode & bits) !== 0n
}

function ignored(error: unknown): undefined {
  if (!isMissing(error)) log('no key: %s', error)
  return undefined
}
