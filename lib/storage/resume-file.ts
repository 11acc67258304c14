import { hashKey } from '../metainfo/info-hashes.ts'
import type { Metainfo } from '../metainfo/metainfo.ts'
import { parseTorrentInTurns } from '../metainfo/parse-torrent.ts'
import { monotonicMs } from '../util/clock.ts'
import { asError } from '../util/errors.ts'
import type { RecordSeal } from './record-seal.ts'
import type { LoadedRecord, ResumeRecord } from './resume-record.ts'
import { ResumeStore } from './resume-store.ts'

/** A record is saved at most this often, and at most a tenth of the time goes into saving. */
const saveEveryMs = 1000

/** Loads the resume record of one torrent and saves it soon after each change, never two at a time. */
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

  /** Whether something has changed in this run, be it saved by now or not. */
  get isTouched(): boolean {
    return this.#make !== undefined
  }

  /** The record of the last run; read once, so that there is one warning of a torn one. */
  load(): Promise<LoadedRecord | undefined> {
    this.#loaded ??= this.#store.load(this.#infoHash)
    return this.#loaded
  }

  /** The metadata that an earlier run has kept, if it is what the info hash says. */
  async loadMetainfo(): Promise<Metainfo | undefined> {
    const bytes = await this.#store.loadTorrent(this.#infoHash)
    try {
      // It stays readable if an earlier version has taken it, whatever the limits are now.
      const metainfo = bytes === undefined ? undefined : await parseTorrentInTurns(bytes, { unlimited: true })
      return metainfo && hashKey(metainfo.infoHashes) === this.#infoHash ? metainfo : undefined
    } catch {
      return undefined
    }
  }

  /** Keeps a .torrent beside the record. */
  async keepTorrent(bytes: Uint8Array): Promise<void> {
    try {
      await this.#store.saveTorrent(this.#infoHash, bytes)
    } catch (thrown) {
      this.#onWarning(asError(thrown))
    }
  }

  /** Something has changed: what `make` gives then is saved soon. */
  touch(make: () => Promise<ResumeRecord>): void {
    this.#make = make
    this.#dirty = true
    if (this.#timer === undefined && this.#saving === undefined) this.#arm(saveEveryMs)
  }

  /** Saves what `make` gives now, and resolves when it is safe against a power cut; a failure is a warning. */
  async saveNow(make: () => Promise<ResumeRecord>): Promise<void> {
    this.#make = make
    // One that is under way does not know yet what has changed.
    while (this.#saving !== undefined) await this.#saving
    if (this.#closed) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#saving = this.#save()
    await this.#saving
  }

  /** Saves the last record of this run; rejects when that fails. */
  async finish(record: ResumeRecord): Promise<void> {
    await this.stop()
    await this.#store.save(record)
  }

  /** Saves no more; resolves when nothing is under way. */
  async stop(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#saving
    await this.#store.close()
  }

  /** Forgets the torrent. */
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
