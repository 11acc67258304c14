import type { Layout, Range } from '../metainfo/layout.ts'
import type { PieceTable } from '../pieces/piece-table.ts'
import type { Storage } from '../storage/storage.ts'
import { partsOf, piecesOfTurn } from '../storage/verification.ts'
import { asError } from '../util/errors.ts'
import { shareTurn } from '../util/turn-share.ts'
import type { ContentEvents } from './content-events.ts'
import type { Download } from './download.ts'
import type { TorrentFiles } from './torrent-files.ts'

/** The parts that {@link WantedPieces} work with. */
export interface WantedPiecesOptions {
  readonly layout: Layout
  readonly table: PieceTable
  readonly files: TorrentFiles
  readonly download: Download
  readonly storage: Storage
  /** Storage has made and moved the files that are wanted now. */
  moved(): void
  readonly events: Pick<ContentEvents, 'changed' | 'error'>
}

/** Applies a selection: its priorities count at once, and picker and storage hear once of all that is changed in one go. */
export class WantedPieces {
  readonly #options: WantedPiecesOptions
  /** Pieces whose new priority the picker does not know yet. */
  #reselected: number[][] = []
  #applying = false
  #opened = false
  #closed = false
  /** Storage does not know yet which files are wanted. */
  #failed = false

  constructor(options: WantedPiecesOptions) {
    this.#options = options
  }

  /** For each file of the layout whether it has its place on disk. */
  files(): boolean[] {
    return this.#options.files.wanted()
  }

  /** Sets the priorities of all pieces, and returns the pieces of which `tellPriorities` is to tell the picker. */
  async begin(): Promise<readonly number[]> {
    const { layout, table, files } = this.#options
    const { pieceCount } = layout
    const selected: number[] = []
    for (let start = 0; start < pieceCount; start += piecesOfTurn) {
      const turn = shareTurn()
      if (turn !== undefined) await turn
      const range = { start, end: Math.min(pieceCount, start + piecesOfTurn) }
      for (const piece of table.setPriorities(start, files.selection.pieces(range))) selected.push(piece)
      if (this.#closed) break
    }
    return selected
  }

  /** The storage is open and hears of wanted files from now on. */
  opened(): void {
    this.#opened = true
  }

  /** The selection of these pieces has changed. */
  select(pieces: Range): void {
    const { table, files } = this.#options
    this.#reselected.push(table.setPriorities(pieces.start, files.selection.pieces(pieces)))
    if (this.#applying) return
    this.#applying = true
    queueMicrotask(() => void this.#apply())
  }

  /** Tells the picker of pieces that have other priorities now. */
  async tellPriorities(pieces: readonly number[]): Promise<void> {
    const { download } = this.#options
    for (const part of partsOf(pieces)) {
      const turn = shareTurn()
      if (turn !== undefined) await turn
      if (this.#closed) return
      download.change((picker, now) => picker.reselected(part, now))
    }
  }

  /** Tells storage which files are wanted now. */
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

  /** Tells storage again, if it has failed. */
  recover(): void {
    if (this.#failed) this.tellFiles()
  }

  /** Tells nothing more; idempotent. */
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
