import type { Layout, Range } from '../metainfo/layout.ts'
import type { PieceTable } from '../pieces/piece-table.ts'
import type { Storage } from '../storage/storage.ts'
import { partsOf, piecesPerSlice } from '../storage/verification.ts'
import { asError } from '../util/errors.ts'
import { yieldToEventLoop } from '../util/slices.ts'
import type { ContentEvents } from './content-events.ts'
import type { Download } from './download.ts'
import type { TorrentFiles } from './torrent-files.ts'

/** Dependencies of {@link WantedPieces}. */
export interface WantedPiecesOptions {
  readonly layout: Layout
  readonly table: PieceTable
  readonly files: TorrentFiles
  readonly download: Download
  readonly storage: Storage
  /** Called when storage has created or moved the wanted files. */
  moved(): void
  readonly events: Pick<ContentEvents, 'changed' | 'error'>
}

/** Applies a selection: sets priorities at once, and updates picker and storage once for all changes of a tick. */
export class WantedPieces {
  readonly #options: WantedPiecesOptions
  /** Pieces with changed priorities that the picker was not told yet. */
  #reselected: number[][] = []
  #applying = false
  #opened = false
  #closed = false
  /** Whether storage failed to apply the wanted files. */
  #failed = false

  constructor(options: WantedPiecesOptions) {
    this.#options = options
  }

  /** Returns for each file of the layout whether its bytes belong in the file itself, not in the parts file. */
  files(): boolean[] {
    return this.#options.files.wanted()
  }

  /** Sets the priorities of all pieces. Returns the pieces for `tellPriorities`. */
  async begin(): Promise<readonly number[]> {
    const { layout, table, files } = this.#options
    const { pieceCount } = layout
    const selected: number[] = []
    for (let start = 0; start < pieceCount; start += piecesPerSlice) {
      const pause = yieldToEventLoop()
      if (pause !== undefined) await pause
      const range = { start, end: Math.min(pieceCount, start + piecesPerSlice) }
      for (const piece of table.setPriorities(start, files.selection.pieces(range))) selected.push(piece)
      if (this.#closed) break
    }
    return selected
  }

  /** Marks the storage as open, so that it is told of wanted files from now on. */
  opened(): void {
    this.#opened = true
  }

  /** Applies a changed selection to these pieces. */
  select(pieces: Range): void {
    const { table, files } = this.#options
    this.#reselected.push(table.setPriorities(pieces.start, files.selection.pieces(pieces)))
    if (this.#applying) return
    this.#applying = true
    queueMicrotask(() => void this.#apply())
  }

  /** Tells the picker of pieces with changed priorities, yielding to the event loop. */
  async tellPriorities(pieces: readonly number[]): Promise<void> {
    const { download } = this.#options
    for (const part of partsOf(pieces)) {
      const pause = yieldToEventLoop()
      if (pause !== undefined) await pause
      if (this.#closed) return
      download.change((picker, now) => picker.reselected(part, now))
    }
  }

  /** Tells storage which files are wanted. */
  tellFiles(): void {
    if (!this.#opened) return
    const { storage, moved, events } = this.#options
    this.#failed = false
    const selected = storage.select?.(this.files()) ?? Promise.resolve()
    selected.then(
      () => {
        if (this.#closed) return
        moved()
        events.changed()
      },
      (thrown) => {
        this.#failed = true
        if (!this.#closed) events.error(asError(thrown))
      }
    )
  }

  /** Tells storage again if it has failed. */
  recover(): void {
    if (this.#failed) this.tellFiles()
  }

  /** Stops all updates. Idempotent. */
  close(): void {
    this.#closed = true
  }

  async #apply(): Promise<void> {
    while (this.#reselected.length > 0) {
      const lists = this.#reselected
      this.#reselected = []
      const [first = []] = lists
      await this.tellPriorities(lists.length === 1 ? first : [...new Set(lists.flat())])
      if (this.#closed) return
    }
    this.#applying = false
    this.tellFiles()
    this.#options.events.changed()
  }
}
