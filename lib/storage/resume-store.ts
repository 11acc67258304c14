import { basename, join, resolve } from 'node:path'
import { isHexHash } from '../metainfo/info-hashes.ts'
import { recordFolder } from '../metainfo/record-folder.ts'
import { asError, TorrentError } from '../util/errors.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import { yieldToEventLoop } from '../util/slices.ts'
import { readWhole, replaceFile, temporaryPath } from './atomic-write.ts'
import { RealFolders } from './real-folders.ts'
import type { RecordSeal } from './record-seal.ts'
import {
  encodeResume,
  type LoadedRecord,
  maxRecordLength,
  openResume,
  type ResumeRecord
} from './resume-record.ts'
import { storageError } from './storage-error.ts'
import { isMissing, nodeFs, type StorageFs } from './storage-fs.ts'

/** Options of a {@link ResumeStore}. */
export interface ResumeStoreOptions {
  /** Folder of the records; created with mode 0o700 when the first one is saved. */
  readonly folder: string
  /** Decides which records are trusted and signs new ones; without it all records are trusted. */
  readonly seal?: RecordSeal | undefined
  /** Called for each record that is unusable and treated as absent. */
  readonly onWarning?: (warning: Error) => void
  /** Replaces the real file system. */
  readonly fs?: StorageFs
}

/**
 * Resume records in a folder: `<info hash>.resume`, and `<info hash>.torrent` for a torrent that came from a magnet link. Files are
 * replaced atomically: a crash leaves the old one or the new one.
 */
export class ResumeStore {
  readonly #folder: string
  readonly #onWarning: ((warning: Error) => void) | undefined
  readonly #seal: RecordSeal | undefined
  readonly #fs: StorageFs
  /** Set for records beside the data, where other programs may put links. */
  readonly #folders: RealFolders | undefined
  /** Last change of each file; serializes changes of the same file. */
  readonly #changes = new LazyMap<string, Promise<void>>()

  constructor({ folder, seal, onWarning, fs = nodeFs }: ResumeStoreOptions) {
    this.#folder = resolve(folder)
    if (basename(this.#folder) === recordFolder) {
      this.#folders = new RealFolders({ fs, root: this.#folder, rootMode: 0o700 })
    }
    this.#seal = seal
    this.#onWarning = onWarning
    this.#fs = fs
  }

  /** Returns the record of a torrent; undefined when there is none, and with a warning when it is unusable. */
  async load(infoHash: string): Promise<LoadedRecord | undefined> {
    const path = this.#path(infoHash, 'resume')
    const bytes = await this.#read(path)
    if (bytes === undefined) return undefined
    const pause = yieldToEventLoop()
    if (pause !== undefined) await pause
    try {
      const { record, json, mac } = openResume(bytes)
      if (record.infoHash === infoHash)
        return { record, trust: this.#seal === undefined ? 'trusted' : await this.#seal.trust(json, mac) }
      this.#warn(path, new Error(`it belongs to ${record.infoHash}`))
    } catch (error) {
      this.#warn(path, error)
    }
    return undefined
  }

  /** Replaces the record of a torrent; resolves when the new one is on disk. */
  async save(record: ResumeRecord): Promise<void> {
    const path = this.#path(record.infoHash, 'resume')
    await this.#change(path, async () => {
      const sign = await this.#seal?.signer()
      await this.#makeFolder()
      await replaceFile(this.#fs, path, encodeResume(record, sign))
    })
  }

  /** Returns the bytes saved by {@link saveTorrent}, or undefined. They are as trustworthy as the folder. */
  loadTorrent(infoHash: string): Promise<Uint8Array | undefined> {
    return this.#read(this.#path(infoHash, 'torrent'))
  }

  /** Saves the bytes of a .torrent file beside the record. */
  async saveTorrent(infoHash: string, torrent: Uint8Array): Promise<void> {
    const path = this.#path(infoHash, 'torrent')
    await this.#change(path, async () => {
      await this.#makeFolder()
      await replaceFile(this.#fs, path, torrent)
    })
  }

  /** Deletes the record and the saved .torrent; does nothing when there are none. */
  async remove(infoHash: string): Promise<void> {
    for (const kind of ['resume', 'torrent'] as const) {
      const path = this.#path(infoHash, kind)
      await this.#change(path, async () => {
        if (this.#folders !== undefined && (await this.#folders.current(this.#folder)) === undefined) return
        for (const file of [path, temporaryPath(path)]) {
          await this.#fs.unlink(file).catch((error: unknown) => {
            if (!isMissing(error)) throw error
          })
        }
      })
    }
  }

  /** Resolves when no change is running. */
  async close(): Promise<void> {
    await Promise.all([...this.#changes.values()])
  }

  #path(infoHash: string, kind: 'resume' | 'torrent'): string {
    if (!isHexHash(infoHash)) {
      const message = `infoHash must be 40 or 64 lower-case hexadecimal digits, not ${JSON.stringify(infoHash)}`
      throw new TorrentError('ERR_STORAGE_RESUME', message, { details: { infoHash } })
    }
    return join(this.#folder, `${infoHash}.${kind}`)
  }

  async #change(path: string, task: () => Promise<void>): Promise<void> {
    const change = (this.#changes.get(path) ?? Promise.resolve()).then(task)
    const settled = change.then(
      () => {},
      () => {}
    )
    this.#changes.set(path, settled)
    try {
      await change
    } catch (error) {
      throw storageError(error, 'write', path)
    } finally {
      if (this.#changes.get(path) === settled) this.#changes.delete(path)
    }
  }

  /** Creates the folder; throws when its path leads elsewhere than when a record was read. */
  async #makeFolder(): Promise<void> {
    await this.#folders?.makeSynced(this.#folder)
  }

  async #read(path: string): Promise<Uint8Array | undefined> {
    try {
      await this.#folders?.find(this.#folder)
      this.#folders?.links.seal()
      return await readWhole(this.#fs, path, maxRecordLength)
    } catch (error) {
      this.#warn(path, error)
      return undefined
    }
  }

  #warn(path: string, cause: unknown): void {
    const message = `${path} is ignored: ${asError(cause).message}`
    this.#onWarning?.(new TorrentError('ERR_STORAGE_RESUME', message, { cause, details: { path } }))
  }
}
