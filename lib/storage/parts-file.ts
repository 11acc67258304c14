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
  /** Offset of the first byte in the torrent. */
  readonly start: number
  /** End offset in the torrent, exclusive. */
  readonly end: number
  /** Offset of the record's header in the parts file; the bytes follow the header. */
  readonly position: number
}

/** Options of {@link PartsFile}. */
export interface PartsFileOptions {
  readonly fs: StorageFs
  readonly folders: RealFolders
  /** Path of the file, which may not exist yet. */
  readonly path: string
  /** Length of the torrent in bytes; a file made for another length counts as absent. */
  readonly layoutLength: number
  readonly readOnly: boolean
}

/**
 * Bytes of unwanted files, in one file. A header is followed by records of `magic u32 | live u32 | torrent offset u64 | length u32 |
 * checksum u32 | bytes`. Records are only appended, overwritten with bytes of the same range, or marked dead. The index is rebuilt from the
 * headers and a torn tail is cut off, so a crash loses only the last writes. Live records never overlap. The file is created by the first
 * write and removed with its last record.
 */
export class PartsFile {
  readonly path: string
  readonly #fs: StorageFs
  readonly #folders: RealFolders
  readonly #layoutLength: number
  readonly #readOnly: boolean
  #handle: StorageHandle | undefined
  /** Sorted by `start`. */
  #records: PartRecord[] = []
  #end = headerLength
  #dirty = false
  #isNew = false
  /** Whether a file at the path is not a parts file and must not be replaced. */
  #blocked = false
  /** Serializes writes: each consults the index before it appends. */
  #tail: Promise<unknown> = Promise.resolve()

  constructor({ fs, folders, path, layoutLength, readOnly }: PartsFileOptions) {
    this.#fs = fs
    this.#folders = folders
    this.path = resolve(path)
    this.#layoutLength = layoutLength
    this.#readOnly = readOnly
  }

  /** Whether the file holds no bytes. */
  get isEmpty(): boolean {
    return this.#records.length === 0
  }

  /** Path and folder under which other threads may read the file. */
  get place(): Pick<StorageSegment, 'path' | 'folder'> {
    const folder = this.#folder
    return { path: folder === undefined ? this.path : this.#pathIn(folder), folder }
  }

  /** Sorted byte ranges of the torrent in the file; adjacent ranges are joined. */
  get ranges(): Range[] {
    const ranges: { start: number; end: number }[] = []
    for (const { start, end } of this.#records) {
      const last = ranges.at(-1)
      if (last !== undefined && last.end === start) last.end = end
      else ranges.push({ start, end })
    }
    return ranges
  }

  /** Returns size and time of the file, or undefined when there is none. */
  async stat(): Promise<FileStat | undefined> {
    if (this.#handle === undefined) return undefined
    return fileStat(await this.#handle.stat({ bigint: true }))
  }

  /** Opens an existing file and reads its index. */
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

  /** Returns the position of a byte of the torrent in the parts file and the end of its record in the torrent, or undefined. */
  find(byteOffset: number): { position: number; end: number } | undefined {
    const record = this.#records[this.#indexAfter(byteOffset) - 1]
    if (record === undefined || record.end <= byteOffset) return undefined
    return { position: record.position + headerLength + byteOffset - record.start, end: record.end }
  }

  /** Returns the start of the first record after `byteOffset`, Infinity when there is none. */
  nextStart(byteOffset: number): number {
    return this.#records[this.#indexAfter(byteOffset)]?.start ?? Number.POSITIVE_INFINITY
  }

  /** Returns the first byte from `byteOffset` on that the file holds, Infinity when there is none. */
  firstFrom(byteOffset: number): number {
    return this.find(byteOffset) === undefined ? this.nextStart(byteOffset) : byteOffset
  }

  /** Reads into `target` from a position returned by `find`; returns fewer bytes only when the file was truncated meanwhile. */
  async read(position: number, target: Uint8Array): Promise<number> {
    if (this.#handle === undefined) return 0
    try {
      return await readAll(this.#handle, target, position)
    } catch (error) {
      throw storageError(error, 'read', this.path)
    }
  }

  /** Stores bytes of one file of the torrent; do not change `bytes` until the promise settles. */
  write(byteOffset: number, bytes: Uint8Array): Promise<void> {
    return this.#queued(() => this.#write(byteOffset, bytes))
  }

  /** Removes the records of a range and flushes the change. No record is split, because each belongs to one file. */
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

  /** Flushes all earlier writes to disk. */
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

  /** Closes the file; idempotent. */
  async close(): Promise<void> {
    await this.#tail
    const handle = this.#handle
    this.#handle = undefined
    await handle?.close()
  }

  /** Closes and deletes the file. */
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
      // Otherwise leftover bytes behind a shorter next record could look like a header.
      await handle.truncate(record.position).catch(() => {})
      throw error
    }
  }

  async #create(): Promise<StorageHandle> {
    if (this.#blocked) {
      const message = `${this.path} is not a parts file of piecewise, which needs this path: move it away`
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
    // Truncated only after the open has confirmed its folder.
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
    // If a power cut restored the file, its bytes would hide newer bytes in the real files.
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
    // Otherwise bytes after a torn record could look like headers once more is appended.
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
