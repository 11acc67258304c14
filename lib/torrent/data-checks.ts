import type { Layout, Range } from '../metainfo/layout.ts'
import type { PieceProofs } from '../pieces/piece-proofs.ts'
import type { PieceTable } from '../pieces/piece-table.ts'
import { Checker } from '../storage/checker.ts'
import type { FileStorage } from '../storage/file-storage.ts'
import { foreignFiles } from '../storage/foreign-files.ts'
import { pieceTrust, trustSteps } from '../storage/resume-check.ts'
import type { LoadedRecord } from '../storage/resume-record.ts'
import type { Storage, StorageStats } from '../storage/storage.ts'
import { partsOf, piecesPerSlice, Verification } from '../storage/verification.ts'
import type { Haves } from '../swarm/haves.ts'
import { hasBit } from '../util/bits.ts'
import { type Deferred, deferred } from '../util/concurrency.ts'
import { LazySet } from '../util/lazy-collections.ts'
import { runStepsInSlices, yieldToEventLoop } from '../util/slices.ts'
import type { ContentEvents } from './content-events.ts'
import type { ContentOptions } from './content-options.ts'
import type { Download } from './download.ts'
import { ExistingFiles } from './existing-files.ts'
import type { FileArrivals } from './file-arrivals.ts'
import { closedError } from './torrent-errors.ts'
import type { TorrentHost } from './torrent-host.ts'
import { findVanished } from './vanished.ts'
import type { WantedPieces } from './wanted-pieces.ts'

/** Dependencies of {@link DataChecks}. */
export interface DataChecksOptions extends Pick<TorrentHost, 'hashPool'> {
  readonly layout: Layout
  readonly table: PieceTable
  readonly storage: Storage
  /** `storage`, unless the caller of `add` passed one. */
  readonly fileStorage: FileStorage | undefined
  readonly download: Download
  readonly haves: Haves
  readonly arrivals: FileArrivals
  readonly wanted: WantedPieces
  readonly content: ContentOptions
  /** The resume record of the last run. */
  readonly before: LoadedRecord | undefined
  readonly proofs: PieceProofs
  /** Called when a check finds a stored piece. */
  found(piece: number): void
  /** Called when a verified piece turns out to be missing or wrong. */
  lost(piece: number): void
  readonly events: Pick<ContentEvents, 'changed' | 'warning' | 'error'>
}

/** Determines which pieces storage has: by the resume record, by hashing, and again after `recheck` or a failed read. */
export class DataChecks {
  readonly #options: DataChecksOptions
  readonly #verification: Verification
  #existing: ExistingFiles | undefined
  /** Resolves with whether the storage has opened. */
  #opening: Promise<boolean> | undefined
  /** Resolves in a later turn than `open`, so that the caller of `open` has emitted its events. */
  readonly #begun: Deferred<void> = deferred()
  #opened = false
  #closed = false
  /** Whether a move of bytes out of the parts file is scheduled. */
  #moving = false
  /** Files for which a warning about lost data was emitted. */
  readonly #vanished = new LazySet<number>()

  constructor(options: DataChecksOptions) {
    const { hashPool, layout, table, storage, download, haves, arrivals } = options
    this.#options = options
    const checker = new Checker({
      storage,
      layout,
      expected: (piece) => options.proofs.sha1(piece),
      pool: hashPool
    })
    this.#verification = new Verification(checker, table, {
      unchecked: (pieces) => {
        download.change((picker, now) => picker.unchecked(pieces, now))
        for (const piece of pieces) arrivals.lost(piece)
      },
      missing: (piece) => download.change((picker, now) => picker.lost(piece, now)),
      found: (piece) => {
        download.change((picker, now) => picker.markVerified({ start: piece, end: piece + 1 }, now, true))
        this.#existing?.verified(piece)
        table.tellVerified(piece)
        options.found(piece)
      },
      failed: (piece) => this.#existing?.failed(piece) === true,
      isHeld: (piece) => this.#existing?.isHeld(piece) === true,
      proven: (piece) => {
        this.#existing?.verified(piece)
        haves.got(piece)
      },
      lost: (piece, wasProven) => {
        if (wasProven) void this.#tellVanished(piece)
        options.lost(piece)
        download.change((picker, now) => picker.lost(piece, now))
        options.events.changed()
      },
      warning: (error) => options.events.warning(error)
    })
  }

  /** The checks of single pieces that readers and uploads wait for. */
  get verification(): Verification {
    return this.#verification
  }

  /** Whether the storage is open and its pieces are known, so that a resume record can be written. */
  get opened(): boolean {
    return this.#opened
  }

  /** Resolves with whether the storage has opened; undefined before `open`. */
  get opening(): Promise<boolean> | undefined {
    return this.#opening
  }

  /**
   * Opens the storage and determines which pieces it has: by the resume record, or else by a check in the background.
   * Rejects if the storage cannot be opened.
   */
  async open(): Promise<void> {
    const { layout, storage, arrivals, wanted, content, before } = this.#options
    const opening = storage.open(layout, wanted.files())
    this.#opening = opening.then(
      () => true,
      () => false
    )
    await opening
    const stats = await storage.stats?.()
    await yieldToEventLoop()
    if (this.#closed) return
    const selected = await wanted.begin()
    if (this.#closed) return
    const { complete, verify } = content
    if (complete) await this.#found({ start: 0, end: layout.pieceCount })
    else if (stats !== undefined) await this.#trust(stats, verify ? undefined : before)
    else if (verify) await this.#check(this.#allPieces())
    // Moves bytes from the parts file to files that are now wanted.
    if (!this.#closed && stats?.parts !== undefined) await storage.select?.(wanted.files())
    // Done after the checks, or the picker would plan to request pieces that are stored.
    if (!this.#closed) await wanted.tellPriorities(selected)
    if (!this.#closed) await arrivals.begin()
    if (this.#closed) return
    this.#opened = true
    wanted.opened()
    setImmediate(() => this.#begun.resolve())
  }

  /** Hashes all stored data again. Pieces that are missing or wrong are downloaded again. */
  async recheck(): Promise<void> {
    const { table, download, haves, events } = this.#options
    const pieces = this.#allPieces()
    // Stops requests for missing pieces; complete pieces are still written. Otherwise a fast download could delay `idle` forever.
    for (const part of partsOf(pieces.filter((piece) => !table.isVerified(piece)))) {
      await yieldToEventLoop()
      if (this.#closed) throw closedError()
      const missing = part.filter((piece) => !table.isVerified(piece))
      download.change((picker, now) => picker.unchecked(missing, now))
    }
    await download.assembly.idle()
    if (this.#closed) throw closedError()
    const served = pieces.filter((piece) => table.serves(piece))
    await this.#verification.mark(pieces)
    if (this.#closed) throw closedError()
    events.changed()
    await this.#verification.check(pieces)
    if (this.#closed) throw closedError()
    for (const piece of served) if (!table.serves(piece)) haves.lost(piece)
    this.#vanished.clear()
    events.changed()
  }

  /** Rechecks the files that stopped the torrent with ERR_STORAGE_EXISTS. */
  reconsider(): void {
    this.#existing?.reconsider()
  }

  /** Handles a new selection, after storage was told. */
  reselected(): void {
    this.#existing?.reselected()
  }

  /** Allows overwriting of files that existed before the torrent. */
  allowOverwriting(): void {
    this.#existing?.acceptAll()
  }

  /** Stops new checks. Idempotent. */
  stop(): void {
    this.#closed = true
  }

  /** Cancels all checks; resolves when none is in progress. */
  async close(): Promise<void> {
    this.stop()
    await Promise.all([this.#verification.close(), this.#existing?.close()])
  }

  #allPieces(): number[] {
    return Array.from({ length: this.#options.layout.pieceCount }, (_, piece) => piece)
  }

  /** Marks pieces as stored as far as the resume record is trusted, and has the others checked. */
  async #trust(stats: StorageStats, before: LoadedRecord | undefined): Promise<void> {
    const { layout, table } = this.#options
    const { pieces, partial } = await runStepsInSlices(
      trustSteps(layout, before?.record, stats, before?.trust)
    )
    const held = this.#beginExisting(pieces, stats)
    const unproven: number[] = []
    const unchecked: number[] = []
    for (let start = 0, end = 0; start < pieces.length; start = end) {
      const state = pieces[start]
      while (end < pieces.length && pieces[end] === state) end++
      if (state === pieceTrust.unchecked) for (let piece = start; piece < end; piece++) unchecked.push(piece)
      if (state !== pieceTrust.stored && state !== pieceTrust.unproven) continue
      await this.#found({ start, end })
      if (this.#closed) return
      if (state === pieceTrust.stored) continue
      for (let piece = start; piece < end; piece++) {
        table.setUnproven(piece)
        unproven.push(piece)
      }
    }
    for (const [piece, map] of partial) {
      const blocks = Array.from({ length: layout.blockCount(piece) }, (_, block) => block).filter((block) =>
        hasBit(map, block)
      )
      table.blocks.setKept(piece, blocks)
    }
    if (held.length > 0) await this.#verification.mark(held)
    this.#existing?.start()
    if (unchecked.length > 0) await this.#check(unchecked)
    if (this.#closed) return
    if (unproven.length > 0) void this.#verification.prove(unproven)
  }

  /** Protects files that existed before the torrent; returns the missing pieces that must not be requested yet. */
  #beginExisting(pieces: Uint8Array, stats: StorageStats): number[] {
    const { layout, storage, fileStorage, content, before } = this.#options
    const ownership = fileStorage?.ownership
    if (ownership === undefined || content.overwrite) return []
    const files = foreignFiles(layout, before, stats, content.path)
    this.#existing = new ExistingFiles(
      {
        layout,
        ownership,
        release: (released) => {
          this.#verification.release(released)
          this.#options.events.changed()
        },
        recheck: (again) => void this.#verification.check(again),
        isKept: (fileIndex) => storage.inPlace?.(fileIndex) === false,
        decided: (fileIndex) => this.#moveKept(fileIndex),
        refused: (error) => {
          void this.#begun.promise.then(() => {
            if (!this.#closed) this.#options.events.error(error)
          })
        }
      },
      files
    )
    return this.#existing.begin(pieces, stats)
  }

  /** Moves bytes from the parts file to a file that may now be written. */
  #moveKept(fileIndex: number): void {
    const { layout, storage, arrivals, wanted } = this.#options
    if (this.#moving || storage.inPlace?.(fileIndex) !== false) return
    this.#moving = true
    void this.#begun.promise.then(() => {
      this.#moving = false
      if (this.#closed) return
      arrivals.reselected({ start: 0, end: layout.files.length })
      wanted.tellFiles()
    })
  }

  /** Marks the pieces `[start, end)` as stored without hashing them. */
  async #found({ start, end }: Range): Promise<void> {
    const { download } = this.#options
    for (let first = start; first < end; first += piecesPerSlice) {
      const pause = yieldToEventLoop()
      if (pause !== undefined) await pause
      if (this.#closed) return
      const part = { start: first, end: Math.min(end, first + piecesPerSlice) }
      download.change((picker, now) => picker.markVerified(part, now, true))
    }
  }

  /** Checks pieces in the background; resolves once they are marked unchecked, so that none is requested. */
  async #check(pieces: readonly number[]): Promise<void> {
    await this.#verification.mark(pieces)
    if (!this.#closed) void this.#verification.check(pieces).then(() => this.#options.events.changed())
  }

  /** Warns about lost data, once per file until the next recheck; otherwise each read of a lost piece would warn again. */
  async #tellVanished(piece: number): Promise<void> {
    const { layout, storage, events } = this.#options
    const { start, end } = layout.filesOf(piece)
    const touched = Array.from({ length: end - start }, (_, n) => start + n)
    const fresh = touched.filter((fileIndex) => !this.#vanished.has(fileIndex))
    if (fresh.length === 0) return
    // Added before the check, so that other pieces of these files are not examined meanwhile.
    for (const fileIndex of fresh) this.#vanished.add(fileIndex)
    const { files, warning } = await findVanished(layout, storage, piece)
    for (const fileIndex of fresh) if (!files.includes(fileIndex)) this.#vanished.delete(fileIndex)
    if (!this.#closed && files.some((fileIndex) => fresh.includes(fileIndex))) events.warning(warning)
  }
}
