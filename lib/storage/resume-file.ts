import { hashKey } from '../metainfo/info-hashes.ts'
import type { Metainfo } from '../metainfo/metainfo.ts'
import { parseTorrentInSlices } from '../metainfo/parse-torrent.ts'
import { monotonicMs } from '../util/clock.ts'
import { asError } from '../util/errors.ts'
import type { RecordSeal } from './record-seal.ts'
import type { LoadedRecord, ResumeRecord } from './resume-record.ts'
import { ResumeStore } from './resume-store.ts'

/** Minimum time between saves; saving also takes at most a tenth of the time. */
const saveEveryMs = 1000

/** Loads the resume record of one torrent and saves it soon after each change, one save at a time. */
export class ResumeFile {
  readonly #store: ResumeStore
  readonly #infoHash: string
  readonly #onWarning: (warning: Error) => void
  #loaded: Promise<LoadedRecord | undefined> | undefined
  #make: (() => Promise<ResumeRecord>) | undefined
  #timer: NodeJS.Timeout | undefined
  #saving: Promise<void> | undefined
  #dirty = false
  #closed = false

  constructor(folder: string, infoHash: string, seal: RecordSeal, onWarning: (warning: Error) => void) {
    this.#store = new ResumeStore({ folder, seal, onWarning })
    this.#infoHash = infoHash
    this.#onWarning = onWarning
  }

  /** Whether anything has changed in this run, saved or not. */
  get isTouched(): boolean {
    return this.#make !== undefined
  }

  /** Returns the record of the last run; reads it once, so that a corrupt one causes one warning. */
  load(): Promise<LoadedRecord | undefined> {
    this.#loaded ??= this.#store.load(this.#infoHash)
    return this.#loaded
  }

  /** Returns the metadata that an earlier run saved, if it matches the info hash. */
  async loadMetainfo(): Promise<Metainfo | undefined> {
    const bytes = await this.#store.loadTorrent(this.#infoHash)
    try {
      // Metadata that an earlier version accepted stays readable, even if the limits are lower now.
      const metainfo =
        bytes === undefined ? undefined : await parseTorrentInSlices(bytes, { unlimited: true })
      return metainfo && hashKey(metainfo.infoHashes) === this.#infoHash ? metainfo : undefined
    } catch {
      return undefined
    }
  }

  /** Saves a .torrent file beside the record; a failure is a warning. */
  async keepTorrent(bytes: Uint8Array): Promise<void> {
    try {
      await this.#store.saveTorrent(this.#infoHash, bytes)
    } catch (thrown) {
      this.#onWarning(asError(thrown))
    }
  }

  /** Schedules a save of the record that `make` returns then. */
  touch(make: () => Promise<ResumeRecord>): void {
    this.#make = make
    this.#dirty = true
    if (this.#timer === undefined && this.#saving === undefined) this.#arm(saveEveryMs)
  }

  /** Saves the record that `make` returns, and resolves when it is on disk; a failure is a warning. */
  async saveNow(make: () => Promise<ResumeRecord>): Promise<void> {
    this.#make = make
    // A running save may have missed the latest change.
    while (this.#saving !== undefined) await this.#saving
    if (this.#closed) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#saving = this.#save()
    await this.#saving
  }

  /** Saves the last record of this run; rejects on failure. */
  async finish(record: ResumeRecord): Promise<void> {
    await this.stop()
    await this.#store.save(record)
  }

  /** Stops saving; resolves when no save is running. */
  async stop(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#saving
    await this.#store.close()
  }

  /** Stops saving and deletes the record and the saved .torrent. */
  async remove(): Promise<void> {
    await this.stop()
    await this.#store.remove(this.#infoHash)
  }

  #arm(delayMs: number): void {
    if (this.#closed) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#saving = this.#save()
    }, delayMs)
    this.#timer.unref()
  }

  async #save(): Promise<void> {
    const began = monotonicMs()
    this.#dirty = false
    try {
      const record = await this.#make?.()
      if (record !== undefined) await this.#store.save(record)
    } catch (thrown) {
      if (!this.#closed) this.#onWarning(asError(thrown))
    }
    this.#saving = undefined
    if (this.#dirty) this.#arm(Math.max(saveEveryMs, 10 * (monotonicMs() - began)))
  }
}
