import { basename, dirname, join, resolve } from 'node:path'
import type { Range } from '../metainfo/layout.ts'
import { systemCode, TorrentError } from '../util/errors.ts'
import type { RealFolder } from './real-folder.ts'
import type { RealFolders } from './real-folders.ts'
import type { FileStat, StorageSegment } from './storage.ts'
import { storageError } from './storage-error.ts'
import {
  fileStat,
  isMissing,
  openFlags,
  readAll,
  type StorageFs,
  type StorageHandle,
  syncFolder,
  writeAll
} from './storage-fs.ts'

const magic = 0x70775031
const headerLength = 24
const recordMagic = 0x50617274
const live = 1
const dead = 0

interface PartRecord {
  /** First byte in the torrent. */
  readonly start: number
  /** One past the last byte in the torrent. */
  readonly end: number
  /** Where the header stands in the parts file; the bytes follow it. */
  readonly position: number
}

/** Options of {@link PartsFile}. */
export interface PartsFileOptions {
  readonly fs: StorageFs
  readonly folders: RealFolders
  /** Where the file is or will be. */
  readonly path: string
  /** Bytes of the torrent; a file made for another length counts as absent. */
  readonly layoutLength: number
  readonly readOnly: boolean
}

/**
 * The bytes of files that may not appear, in one file: a header, then records of
 * `magic u32 | live u32 | torrent offset u64 | length u32 | checksum u32 | bytes`, only ever appended, overwritten with
 * bytes of the same place, or marked dead. The index is rebuilt from the headers, and a torn tail is cut off, so that
 * no crash loses more than the last writes. No two live records overlap. The file appears with the first write and
 * goes when its last record is removed.
 */
export class PartsFile {
  readonly path: string
  readonly #fs: StorageFs
  readonly #folders: RealFolders
  readonly #layoutLength: number
  readonly #readOnly: boolean
  #handle: StorageHandle | undefined
  /** In the order of `start`. */
  #records: PartRecord[] = []
  #end = headerLength
  #dirty = false
  #isNew = false
  /** Whether something stands at the path that is no parts file, and is not to be replaced. */
  #blocked = false
  /** Writes run one after the other, because each decides by the index what to append. */
  #tail: Promise<unknown> = Promise.resolve()

  constructor({ fs, folders, path, layoutLength, readOnly }: PartsFileOptions) {
    this.#fs = fs
    this.#folders = folders
    this.path = resolve(path)
    this.#layoutLength = layoutLength
    this.#readOnly = readOnly
  }

  /** Whether no byte is kept. */
  get isEmpty(): boolean {
    return this.#records.length === 0
  }

  /** Where others may read the file. */
  get place(): Pick<StorageSegment, 'path' | 'folder'> {
    const folder = this.#folder
    return { path: folder === undefined ? this.path : this.#pathIn(folder), folder }
  }

  /** The torrent's byte ranges that are kept, in order; neighbours are joined. */
  get ranges(): Range[] {
    const ranges: { start: number; end: number }[] = []
    for (const { start, end } of this.#records) {
      const last = ranges.at(-1)
      if (last !== undefined && last.end === start) last.end = end
      else ranges.push({ start, end })
    }
    return ranges
  }

  /** Size and time of the file, or undefined when there is none. */
  async stat(): Promise<FileStat | undefined> {
    if (this.#handle === undefined) return undefined
    return fileStat(await this.#handle.stat({ bigint: true }))
  }

  /** Reads the index of a file that exists. */
  async open(): Promise<void> {
    try {
      const folder = await this.#folders.find(dirname(this.path))
      if (folder === undefined) return
      const flags = this.#readOnly ? openFlags.read : openFlags.update
      this.#handle = await this.#folders.open(folder, this.#pathIn(folder), flags)
    } catch (error) {
      if (isMissing(error)) return
      throw storageError(error, 'read', this.path)
    }
    try {
      await this.#load(this.#handle)
    } catch (error) {
      await this.close()
      throw storageError(error, 'read', this.path)
    }
  }

  /** Where a byte of the torrent stands in the parts file and how far it goes on there, or undefined. */
  find(byteOffset: number): { position: number; end: number } | undefined {
    const record = this.#records[this.#indexAfter(byteOffset) - 1]
    if (record === undefined || record.end <= byteOffset) return undefined
    return { position: record.position + headerLength + byteOffset - record.start, end: record.end }
  }

  /** The first byte after `byteOffset` at which a record begins; Infinity when there is none. */
  nextStart(byteOffset: number): number {
    return this.#records[this.#indexAfter(byteOffset)]?.start ?? Number.POSITIVE_INFINITY
  }

  /** The first byte from `byteOffset` on that is kept; Infinity when there is none. */
  firstFrom(byteOffset: number): number {
    return this.find(byteOffset) === undefined ? this.nextStart(byteOffset) : byteOffset
  }

  /** Fills `target` from a position that `find` gave; fewer bytes only when the file was cut meanwhile. */
  async read(position: number, target: Uint8Array): Promise<number> {
    if (this.#handle === undefined) return 0
    try {
      return await readAll(this.#handle, target, position)
    } catch (error) {
      throw storageError(error, 'read', this.path)
    }
  }

  /** Keeps bytes of one file of the torrent; `bytes` is borrowed until the promise settles. */
  write(byteOffset: number, bytes: Uint8Array): Promise<void> {
    return this.#queued(() => this.#write(byteOffset, bytes))
  }

  /** Drops what is kept of a range, safe against a power cut; records are never split, as each lies in one file. */
  remove({ start, end }: Range): Promise<void> {
    return this.#queued(async () => {
      const isGone = (record: PartRecord): boolean => record.start >= start && record.end <= end
      const gone = this.#records.filter(isGone)
      if (gone.length === 0 || this.#handle === undefined) return
      const left = this.#records.filter((record) => !isGone(record))
      if (left.length === 0) return this.#unlink()
      for (const record of gone) await writeAll(this.#handle, [header(record, dead)], record.position)
      await this.#handle.datasync()
      this.#records = left
    })
  }

  /** Resolves when everything written before is safe against a power cut. */
  sync(): Promise<void> {
    return this.#queued(async () => {
      if (!this.#dirty || this.#handle === undefined) return
      this.#dirty = false
      try {
        await this.#handle.datasync()
        if (this.#isNew) await syncFolder(this.#fs, dirname(this.path))
        this.#isNew = false
      } catch (error) {
        this.#dirty = true
        throw error
      }
    })
  }

  /** Releases the file; idempotent. */
  async close(): Promise<void> {
    await this.#tail
    const handle = this.#handle
    this.#handle = undefined
    await handle?.close()
  }

  /** Closes and removes the file. */
  delete(): Promise<void> {
    return this.#queued(() => this.#unlink())
  }

  async #queued(task: () => Promise<void>): Promise<void> {
    const done = this.#tail.then(task)
    this.#tail = done.catch(() => {})
    try {
      await done
    } catch (error) {
      throw storageError(error, 'write', this.path)
    }
  }

  async #write(byteOffset: number, bytes: Uint8Array): Promise<void> {
    const handle = (this.#handle ??= await this.#create())
    this.#dirty = true
    for (let at = 0; at < bytes.byteLength; ) {
      const start = byteOffset + at
      const kept = this.find(start)
      const end = Math.min(byteOffset + bytes.byteLength, kept?.end ?? this.nextStart(start))
      const part = bytes.subarray(at, end - byteOffset)
      if (kept !== undefined) await writeAll(handle, [part], kept.position)
      else {
        const record = { start, end, position: this.#end }
        await this.#append(handle, record, part)
        this.#end += headerLength + part.byteLength
        this.#records.splice(this.#indexAfter(start), 0, record)
      }
      at = end - byteOffset
    }
  }

  async #append(handle: StorageHandle, record: PartRecord, bytes: Uint8Array): Promise<void> {
    try {
      await writeAll(handle, [header(record, live), bytes], record.position)
    } catch (error) {
      // Bytes behind a shorter record that comes next could look like a header.
      await handle.truncate(record.position).catch(() => {})
      throw error
    }
  }

  async #create(): Promise<StorageHandle> {
    if (this.#blocked) {
      const message = `${this.path} is no file of piecewise, which needs its place: move it away`
      throw new TorrentError('ERR_STORAGE_PATH', message, { details: { path: this.path } })
    }
    await this.#folders.makeSynced(dirname(this.path))
    const folder = this.#folder
    if (folder === undefined) throw Object.assign(new Error('its folder is gone'), { code: 'ENOENT' })
    const handle = await this.#openNew(folder)
    try {
      const start = Buffer.alloc(headerLength)
      start.writeUInt32BE(magic, 0)
      start.writeUIntBE(this.#layoutLength, 10, 6)
      await writeAll(handle, [start], 0)
    } catch (error) {
      await handle.close()
      throw error
    }
    this.#end = headerLength
    this.#isNew = true
    return handle
  }

  get #folder(): RealFolder | undefined {
    return this.#folders.known(dirname(this.path))
  }

  async #openNew(folder: RealFolder): Promise<StorageHandle> {
    const path = this.#pathIn(folder)
    try {
      return await this.#folders.open(folder, path, openFlags.create, 0o600)
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error
    }
    // Emptied only once it is known to be the right one.
    const handle = await this.#folders.open(folder, path, openFlags.update)
    try {
      await handle.truncate(0)
    } catch (error) {
      await handle.close()
      throw error
    }
    return handle
  }

  #pathIn(folder: RealFolder): string {
    return join(folder.path, basename(this.path))
  }

  async #unlink(): Promise<void> {
    const handle = this.#handle
    this.#handle = undefined
    this.#records = []
    this.#dirty = false
    await handle?.close()
    const folder = await this.#folders.current(dirname(this.path))
    if (folder === undefined) return
    try {
      await this.#fs.unlink(this.#pathIn(folder))
    } catch (error) {
      if (!isMissing(error)) throw error
      return
    }
    // If a power cut brought it back, its bytes would hide those that have been written elsewhere since.
    await syncFolder(this.#fs, folder.path)
  }

  async #load(handle: StorageHandle): Promise<void> {
    const size = Number((await handle.stat({ bigint: true })).size)
    const head = Buffer.alloc(headerLength)
    const count = await readAll(handle, head, 0)
    const known =
      count === headerLength &&
      head.readUInt32BE(0) === magic &&
      head.readUIntBE(10, 6) === this.#layoutLength
    if (!known) {
      // A crash may have left part of a header, or zeros.
      const start = Buffer.alloc(4)
      start.writeUInt32BE(magic)
      const begun = head.subarray(0, count)
      this.#blocked =
        !begun.subarray(0, 4).equals(start.subarray(0, count)) && begun.some((byte) => byte !== 0)
      this.#handle = undefined
      await handle.close()
      return
    }
    let position = headerLength
    while (position + headerLength <= size) {
      await readAll(handle, head, position)
      const record = this.#parse(head, position)
      if (record === undefined || position + headerLength + (record.end - record.start) > size) break
      if (head.readUInt32BE(4) === live) this.#insert(record)
      position += headerLength + record.end - record.start
    }
    this.#end = position
    // What follows a torn record could look like headers once more has been appended.
    if (position < size && !this.#readOnly) await handle.truncate(position)
  }

  #parse(head: Buffer, position: number): PartRecord | undefined {
    const start = head.readUIntBE(10, 6)
    const length = head.readUInt32BE(16)
    const record = { start, end: start + length, position }
    const same = header(record, head.readUInt32BE(4)).equals(head)
    return same && length > 0 && record.end <= this.#layoutLength ? record : undefined
  }

  #insert(record: PartRecord): void {
    const index = this.#indexAfter(record.start)
    const before = this.#records[index - 1]
    const after = this.#records[index]
    const free =
      (before === undefined || before.end <= record.start) &&
      (after === undefined || after.start >= record.end)
    if (free) this.#records.splice(index, 0, record)
  }

  /** Index of the first record that begins after the byte. */
  #indexAfter(byteOffset: number): number {
    let low = 0
    let high = this.#records.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#records[middle]?.start ?? 0) <= byteOffset) low = middle + 1
      else high = middle
    }
    return low
  }
}

function header({ start, end }: PartRecord, state: number): Buffer {
  const bytes = Buffer.alloc(headerLength)
  const length = end - start
  bytes.writeUInt32BE(recordMagic, 0)
  bytes.writeUInt32BE(state, 4)
  bytes.writeUIntBE(start, 10, 6)
  bytes.writeUInt32BE(length, 16)
  bytes.writeUInt32BE((Math.imul((start % 0x100000000) ^ length, 0x9e3779b1) ^ recordMagic) >>> 0, 20)
  return bytes
}
