import type { Layout, Range } from '../metainfo/layout.ts'
import type { PieceTable } from '../pieces/piece-table.ts'
import type { Storage } from '../storage/storage.ts'
import { LazySet } from '../util/lazy-collections.ts'
import { shareTurn } from '../util/turn-share.ts'

/** Files that are looked at without a pause. */
const filesOfTurn = 5000

/** Callbacks of {@link FileArrivals}. */
export interface ArrivalsMediator {
  /** Whether a file of the layout is selected, even in part. */
  isSelected(fileIndex: number): boolean
  /** Every byte of a file is verified and stored in its own file. */
  arrived(fileIndex: number): void
}

/**
 * Tells of each file once every byte of it is verified and stored in its own file: when its last piece is stored, or when bytes that
 * were kept elsewhere have moved to it. A file that has lost bytes is told of again.
 */
export class FileArrivals {
  readonly #layout: Layout
  readonly #table: PieceTable
  readonly #storage: Pick<Storage, 'inPlace'>
  readonly #mediator: ArrivalsMediator
  /** 1 for each file of the layout that was told of, or was there from the start. */
  readonly #told: Uint8Array
  /** Files that were selected while bytes of them were kept elsewhere, until these have moved. */
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
    this.#told = new Uint8Array(layout.files.length)
  }

  /** Whether every byte of a file of the layout is verified and stored in its own file. */
  isHere(fileIndex: number): boolean {
    return this.#table.counts.isFileStored(fileIndex) && this.#isInPlace(fileIndex)
  }

  /** Whether no selected file waits for bytes that are kept elsewhere. */
  get isSettled(): boolean {
    return this.#moving.size === 0
  }

  /** The storage is open: files that are here already are not told of. */
  async begin(): Promise<void> {
    for (let fileIndex = 0; fileIndex < this.#told.length; fileIndex++) {
      if (fileIndex % filesOfTurn === filesOfTurn - 1) await shareTurn()
      if (this.isHere(fileIndex)) this.#told[fileIndex] = 1
    }
  }

  /** A piece is stored. */
  stored(piece: number): void {
    const { start, end } = this.#layout.filesOf(piece)
    for (let fileIndex = start; fileIndex < end; fileIndex++) {
      if (!this.#isEmpty(fileIndex)) this.#look(fileIndex)
    }
  }

  /** A piece is lost. */
  lost(piece: number): void {
    const { start, end } = this.#layout.filesOf(piece)
    for (let fileIndex = start; fileIndex < end; fileIndex++) {
      if (!this.#isEmpty(fileIndex)) this.#told[fileIndex] = 0
    }
  }

  /** The selection of the files `[start, end)` of the layout has changed, and storage is about to hear of it. */
  reselected({ start, end }: Range): void {
    if (this.#storage.inPlace === undefined) return
    for (let index = start; index < end; index++) {
      if (this.#layout.files[index]?.pad !== false || this.#isInPlace(index)) continue
      if (this.#mediator.isSelected(index)) this.#moving.add(index)
    }
  }

  /** Storage has done what `reselected` announced: kept bytes are in their files, and empty files were made. */
  moved(): void {
    for (const fileIndex of this.#moving) {
      if (this.#isInPlace(fileIndex) || !this.#mediator.isSelected(fileIndex)) this.#moving.delete(fileIndex)
    }
    for (let fileIndex = 0; fileIndex < this.#told.length; fileIndex++) this.#look(fileIndex)
  }

  #look(fileIndex: number): void {
    if (this.#told[fileIndex] === 1 || !this.isHere(fileIndex)) return
    this.#told[fileIndex] = 1
    this.#mediator.arrived(fileIndex)
  }

  #isInPlace(fileIndex: number): boolean {
    return this.#storage.inPlace?.(fileIndex) !== false
  }

  #isEmpty(fileIndex: number): boolean {
    return this.#layout.files[fileIndex]?.length === 0
  }
}
