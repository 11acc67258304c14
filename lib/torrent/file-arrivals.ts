import type { Layout, Range } from '../metainfo/layout.ts'
import type { PieceTable } from '../pieces/piece-table.ts'
import type { Storage } from '../storage/storage.ts'
import { LazySet } from '../util/lazy-collections.ts'
import { yieldToEventLoop } from '../util/slices.ts'

/** Files that are examined before yielding to the event loop. */
const filesPerSlice = 5000

/** Callbacks of {@link FileArrivals}. */
export interface ArrivalsMediator {
  /** Returns whether a file of the layout is selected, even in part. */
  isSelected(fileIndex: number): boolean
  /** Called once every byte of a file is verified and stored in the file itself. */
  arrived(fileIndex: number): void
}

/**
 * Reports each file once every byte is verified and stored in the file itself: when its last piece is stored, or when its bytes have
 * moved from the parts file. A file that has lost bytes is reported again once it is complete.
 */
export class FileArrivals {
  readonly #layout: Layout
  readonly #table: PieceTable
  readonly #storage: Pick<Storage, 'inPlace'>
  readonly #mediator: ArrivalsMediator
  /** 1 for each file of the layout that was reported, or was complete at the start. */
  readonly #reported: Uint8Array
  /** Selected files with bytes that are still in the parts file. */
  readonly #moving = new LazySet<number>()

  constructor(
    layout: Layout,
    table: PieceTable,
    storage: Pick<Storage, 'inPlace'>,
    mediator: ArrivalsMediator
  ) {
    this.#layout = layout
    this.#table = table
    this.#storage = storage
    this.#mediator = mediator
    this.#reported = new Uint8Array(layout.files.length)
  }

  /** Returns whether every byte of a file of the layout is verified and stored in the file itself. */
  isStored(fileIndex: number): boolean {
    return this.#table.counts.isFileStored(fileIndex) && this.#isInPlace(fileIndex)
  }

  /** Whether no selected file has bytes in the parts file. */
  get isSettled(): boolean {
    return this.#moving.size === 0
  }

  /** Marks files that are complete when the storage opens, so that they are not reported. */
  async begin(): Promise<void> {
    for (let fileIndex = 0; fileIndex < this.#reported.length; fileIndex++) {
      if (fileIndex % filesPerSlice === filesPerSlice - 1) await yieldToEventLoop()
      if (this.isStored(fileIndex)) this.#reported[fileIndex] = 1
    }
  }

  /** Reports files that are complete with this stored piece. */
  stored(piece: number): void {
    const { start, end } = this.#layout.filesOf(piece)
    for (let fileIndex = start; fileIndex < end; fileIndex++) {
      if (!this.#isEmpty(fileIndex)) this.#reportIfHere(fileIndex)
    }
  }

  /** Marks the files of a lost piece as incomplete. */
  lost(piece: number): void {
    const { start, end } = this.#layout.filesOf(piece)
    for (let fileIndex = start; fileIndex < end; fileIndex++) {
      if (!this.#isEmpty(fileIndex)) this.#reported[fileIndex] = 0
    }
  }

  /** Handles a changed selection of the files `[start, end)` of the layout. Call it before storage is told. */
  reselected({ start, end }: Range): void {
    if (this.#storage.inPlace === undefined) return
    for (let index = start; index < end; index++) {
      if (this.#layout.files[index]?.pad !== false || this.#isInPlace(index)) continue
      if (this.#mediator.isSelected(index)) this.#moving.add(index)
    }
  }

  /** Reports files after storage has applied the selection: bytes are moved, and empty files are created. */
  moved(): void {
    for (const fileIndex of this.#moving) {
      if (this.#isInPlace(fileIndex) || !this.#mediator.isSelected(fileIndex)) this.#moving.delete(fileIndex)
    }
    for (let fileIndex = 0; fileIndex < this.#reported.length; fileIndex++) this.#reportIfHere(fileIndex)
  }

  #reportIfHere(fileIndex: number): void {
    if (this.#reported[fileIndex] === 1 || !this.isStored(fileIndex)) return
    this.#reported[fileIndex] = 1
    this.#mediator.arrived(fileIndex)
  }

  #isInPlace(fileIndex: number): boolean {
    return this.#storage.inPlace?.(fileIndex) !== false
  }

  #isEmpty(fileIndex: number): boolean {
    return this.#layout.files[fileIndex]?.length === 0
  }
}
