import type { Layout } from '../metainfo/layout.ts'
import type { Spelling } from '../metainfo/spelling.ts'
import type { PieceTable } from '../pieces/piece-table.ts'
import type { Selection } from '../pieces/selection.ts'
import { bitsOf } from '../util/bits.ts'
import type { ResumeFile } from './resume-file.ts'
import type { LoadedRecord, ResumeRecord } from './resume-record.ts'
import type { Storage } from './storage.ts'

/** Facts of a resume record apart from the data. */
export type RecordExtras = Pick<ResumeRecord, 'peers' | 'trackers' | 'paused' | 'private'>

/** For incomplete pieces the blocks that are stored. */
export type PartialPieces = ReadonlyMap<number, readonly number[]>

/** The totals of a torrent's payload, for its record. */
export interface RecordedTransfer {
  /** Payload bytes of this run, both ways. */
  readonly moved: number
  remember(): Pick<ResumeRecord, 'uploaded' | 'downloaded' | 'secondsActive' | 'addedMs' | 'completed'>
}

/** The parts that a {@link ResumeWriter} looks at. */
export interface ResumeWriterOptions {
  readonly resumeFile: ResumeFile
  /** The record of the last run. */
  readonly before: LoadedRecord | undefined
  /** The v1 info hash in hexadecimal. */
  readonly infoHash: string
  /** Folder of the data. */
  readonly path: string
  readonly layout: Layout
  /** How the names of the files are spelled, if there are other ways. */
  readonly spelling: Spelling | undefined
  readonly storage: Storage
  /** A bit for each file of the layout that is the torrent's, or with `planned` may become so; undefined when storage does not tell. */
  owned(planned: boolean): Uint8Array | undefined
  readonly table: PieceTable
  readonly selection: Selection
  readonly transfer: RecordedTransfer
  remember(): RecordExtras
}

/** Writes down what is there of a torrent for the next run. */
export class ResumeWriter {
  readonly #options: ResumeWriterOptions
  readonly #makeNow: () => Promise<ResumeRecord>

  constructor(options: ResumeWriterOptions) {
    this.#options = options
    this.#makeNow = () => this.#make(options.table.counts.complete, new Map())
  }

  /** The record is saved soon. A complete torrent is not written any more, so that even a crash leaves it as it was. */
  touch(): void {
    this.#options.resumeFile.touch(this.#makeNow)
  }

  /** Saves a record at once that names the files which are about to be written. */
  async own(): Promise<void> {
    await this.#options.resumeFile.saveNow(this.#makeNow)
  }

  /**
   * Saves the last record of this run. Without `partial` there is nothing to say, because the data was not looked at, and
   * the record of the last run stays. Rejects when saving fails.
   */
  async close(partial: PartialPieces | undefined): Promise<void> {
    const { resumeFile } = this.#options
    await resumeFile.stop()
    if (partial === undefined || this.#isUntouched(partial)) return
    await resumeFile.finish(await this.#make(true, partial))
  }

  /** Forgets the torrent. */
  async remove(): Promise<void> {
    await this.#options.resumeFile.remove()
  }

  /** Whether a record would say nothing that the last one, or its absence, does not: so a thousand idle torrents close at once. */
  #isUntouched(partial: PartialPieces): boolean {
    const { resumeFile, before, storage, table, transfer, remember } = this.#options
    if (resumeFile.isTouched || before?.record.clean === false || partial.size > 0) return false
    // This run has proven pieces that the record left unproven.
    if (before !== undefined && before.trust !== 'trusted') return false
    if (table.counts.uncheckedCount > 0 || table.counts.unprovenCount > 0) return false
    if (transfer.moved > 0) return false
    // The next run accepts no others than those that were there when the torrent was added.
    if ((storage.links?.length ?? 0) !== (before?.record.links?.length ?? 0)) return false
    const { peers, trackers } = remember()
    return peers.length === 0 && trackers.length === (before?.record.trackers.length ?? 0)
  }

  /** Syncs the storage and says what is in it: first the data, then the record that claims it. */
  async #make(clean: boolean, partial: PartialPieces): Promise<ResumeRecord> {
    const { infoHash, path, layout, spelling, storage, table, selection, transfer, remember } = this.#options
    const verified = table.storedBits()
    await storage.sync()
    const stats = await storage.stats?.()
    // The next run must hash pieces that were not hashed yet.
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
