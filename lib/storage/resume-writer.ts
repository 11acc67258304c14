import type { Layout } from '../metainfo/layout.ts'
import type { Spelling } from '../metainfo/spelling.ts'
import type { PieceTable } from '../pieces/piece-table.ts'
import type { Selection } from '../pieces/selection.ts'
import { bitsOf } from '../util/bits.ts'
import type { ResumeFile } from './resume-file.ts'
import type { LoadedRecord, ResumeRecord } from './resume-record.ts'
import type { Storage } from './storage.ts'

/** Fields of a resume record that do not concern the data. */
export type RecordExtras = Pick<ResumeRecord, 'peers' | 'trackers' | 'paused' | 'private'>

/** Stored blocks of incomplete pieces. */
export type PartialPieces = ReadonlyMap<number, readonly number[]>

/** Totals of a torrent for its record. */
export interface RecordedTransfer {
  /** Payload bytes of this run, uploaded plus downloaded. */
  readonly moved: number
  remember(): Pick<ResumeRecord, 'uploaded' | 'downloaded' | 'secondsActive' | 'addedMs' | 'completed'>
}

/** Options of a {@link ResumeWriter}. */
export interface ResumeWriterOptions {
  readonly resumeFile: ResumeFile
  /** Record of the last run. */
  readonly before: LoadedRecord | undefined
  /** Hexadecimal info hash that names the record. */
  readonly infoHash: string
  /** Folder of the data. */
  readonly path: string
  readonly layout: Layout
  /** How file names are spelled on disk; undefined when all spellings are the same. */
  readonly spelling: Spelling | undefined
  readonly storage: Storage
  /**
   * Returns a bit for each file of the layout that belongs to the torrent, with `planned` also for files that may be created; undefined
   * when the storage does not tell.
   */
  owned(planned: boolean): Uint8Array | undefined
  readonly table: PieceTable
  readonly selection: Selection
  readonly transfer: RecordedTransfer
  remember(): RecordExtras
}

/** Makes and saves the resume record of a torrent. */
export class ResumeWriter {
  readonly #options: ResumeWriterOptions
  readonly #makeNow: () => Promise<ResumeRecord>

  constructor(options: ResumeWriterOptions) {
    this.#options = options
    this.#makeNow = () => this.#make(options.table.counts.complete, new Map())
  }

  /**
   * Schedules a save. The record of a complete torrent counts as clean, because no more is written: even a crash leaves the data as it is.
   */
  touch(): void {
    this.#options.resumeFile.touch(this.#makeNow)
  }

  /** Saves a record immediately, with the names of files that are about to be written. */
  async own(): Promise<void> {
    await this.#options.resumeFile.saveNow(this.#makeNow)
  }

  /**
   * Saves the last record of this run; rejects on failure. Without `partial`, the data was not looked at and the record of the last run
   * stays.
   */
  async close(partial: PartialPieces | undefined): Promise<void> {
    const { resumeFile } = this.#options
    await resumeFile.stop()
    if (partial === undefined || this.#isUntouched(partial)) return
    await resumeFile.finish(await this.#make(true, partial))
  }

  /** Deletes the torrent's record. */
  async remove(): Promise<void> {
    await this.#options.resumeFile.remove()
  }

  /** Returns whether a new record would equal the last one, or its absence. Lets a thousand idle torrents close at once. */
  #isUntouched(partial: PartialPieces): boolean {
    const { resumeFile, before, storage, table, transfer, remember } = this.#options
    if (resumeFile.isTouched || before?.record.clean === false || partial.size > 0) return false
    // This run has verified pieces that are unproven in the record.
    if (before !== undefined && before.trust !== 'trusted') return false
    if (table.counts.uncheckedCount > 0 || table.counts.unprovenCount > 0) return false
    if (transfer.moved > 0) return false
    // The next run accepts only the links that existed when the torrent was added.
    if ((storage.links?.length ?? 0) !== (before?.record.links?.length ?? 0)) return false
    const { peers, trackers } = remember()
    return peers.length === 0 && trackers.length === (before?.record.trackers.length ?? 0)
  }

  /** Syncs the storage, then makes the record: data must be on disk before the record claims it. */
  async #make(clean: boolean, partial: PartialPieces): Promise<ResumeRecord> {
    const { infoHash, path, layout, spelling, storage, table, selection, transfer, remember } = this.#options
    const verified = table.storedBits()
    await storage.sync()
    const stats = await storage.stats?.()
    // The next run must hash the pieces that this one did not.
    const isClean = clean && table.counts.unprovenCount === 0 && table.counts.uncheckedCount === 0
    const owned = this.#options.owned(!isClean)
    return {
      clean: isClean,
      ...(owned === undefined ? {} : { owned }),
      files: stats?.files ?? layout.files.map(() => undefined),
      ...(stats?.parts === undefined ? {} : { parts: stats.parts.stat }),
      verified,
      partial: new Map(
        [...partial].map(([piece, blocks]) => [piece, bitsOf(layout.blocksWithPadding(piece), blocks)])
      ),
      ...(spelling === undefined ? {} : { spelling }),
      created: storage.created ?? [],
      ...(storage.links === undefined ? {} : { links: storage.links }),
      infoHash,
      selection: { priorities: selection.files, ranges: selection.ranges },
      path,
      ...transfer.remember(),
      ...remember()
    }
  }
}
