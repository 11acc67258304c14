import type { Layout } from '../metainfo/layout.ts'
import type { FileOwnership } from '../storage/file-ownership.ts'
import { pieceTrust } from '../storage/resume-check.ts'
import type { StorageStats } from '../storage/storage.ts'

/** Callbacks of {@link ExistingFiles}. */
export interface ExistingFilesMediator {
  readonly layout: Layout
  readonly ownership: Pick<
    FileOwnership,
    'accept' | 'acceptAll' | 'decided' | 'isBlank' | 'isWritten' | 'onAccepted' | 'protect' | 'refusal'
  >
  /** Pieces that were held may be fetched. */
  release(pieces: readonly number[]): void
  /** Pieces are to be hashed again. */
  recheck(pieces: readonly number[]): void
  /** Whether bytes of a file are kept elsewhere than in the file. */
  isKept(fileIndex: number): boolean
  /** It is known whether a file may be written, or it shows when its bytes are: those that are kept may move to it. */
  decided(fileIndex: number): void
  /** A wanted file is something else than the torrent's: nothing is fetched until `reconsider`. */
  refused(error: Error): void
}

interface Judgement {
  /** Pieces that are still to be hashed. */
  left: number
  /** Whether it shows only when pieces come, or are proven, whose the file is. */
  isOpen: boolean
  /** Its first and its last piece, where these could not be hashed for want of other files. */
  readonly open: number[]
  /** Whether those may be fetched. */
  isWaiting: boolean
  /** Whether it is not the torrent's, and was not wanted when that was found out. */
  isLeft: boolean
  isRefused: boolean
}

/**
 * Files that were there before the torrent, and of which no record says that they are the torrent's. Such a file belongs to it as soon as
 * one of its pieces is verified, and nobody misses one of zeros alone. Until that is known no piece that it shares is fetched; if all of
 * its pieces are wrong, the torrent stops with ERR_STORAGE_EXISTS.
 */
export class ExistingFiles {
  readonly #mediator: ExistingFilesMediator
  readonly #files = new Map<number, Judgement>()
  /** For each piece that is held, how many of these files it touches; 0 for others. */
  #holders: Uint32Array
  /** 1 for each piece that is to be hashed. */
  #pending: Uint8Array
  /** Decisions are made one after the other, as a file may have to be read for them. */
  #deciding: Promise<void> = Promise.resolve()
  #closed = false

  constructor(mediator: ExistingFilesMediator, files: readonly number[]) {
    const { pieceCount } = mediator.layout
    this.#mediator = mediator
    this.#holders = new Uint32Array(files.length === 0 ? 0 : pieceCount)
    this.#pending = new Uint8Array(files.length === 0 ? 0 : pieceCount)
    mediator.ownership.protect(files)
    mediator.ownership.onAccepted = (index) => this.#accept(index)
    for (const index of files)
      this.#files.set(index, {
        left: 0,
        isOpen: false,
        open: [],
        isWaiting: false,
        isLeft: false,
        isRefused: false
      })
  }

  /**
   * Takes what is known of the pieces, codes of {@link pieceTrust}, and returns those that are missing and must not be fetched
   * yet. What is unknown is about to be hashed.
   */
  begin(pieces: Uint8Array, stats: StorageStats): number[] {
    const held: number[] = []
    for (const [index, file] of this.#files) {
      const { start, end } = this.#mediator.layout.filePieces(index)
      for (let piece = start; piece < end; piece++) {
        if (pieces[piece] === pieceTrust.unknown) {
          file.left++
          this.#pending[piece] = 1
        } else if (pieces[piece] === pieceTrust.missing) {
          if (this.#hold(piece)) held.push(piece)
          if (this.#reaches(index, piece, stats)) file.open.push(piece)
        } else file.isOpen = true
      }
      if (file.open.length > 0) file.isOpen = true
    }
    return held
  }

  /** The pieces that {@link begin} has returned are marked: decides about files of which nothing is to be hashed. */
  start(): void {
    for (const [index, file] of this.#files) if (file.left === 0) this.#decide(index)
  }

  /** Whether a piece that is not verified must not be fetched yet. */
  isHeld(piece: number): boolean {
    return (this.#holders[piece] ?? 0) > 0
  }

  /** A piece is verified: the files that it touches belong to the torrent. */
  verified(piece: number): void {
    if (this.#files.size === 0) return
    const { start, end } = this.#mediator.layout.filesOf(piece)
    for (let index = start; index < end; index++) if (this.#files.has(index)) this.#accept(index)
  }

  /** A piece was hashed and is wrong; whether it must not be fetched yet. */
  failed(piece: number): boolean {
    if (this.#files.size === 0) return false
    const isPending = this.#pending[piece] === 1
    this.#pending[piece] = 0
    const held = this.isHeld(piece) || this.#hold(piece)
    if (!isPending) return held
    const { start, end } = this.#mediator.layout.filesOf(piece)
    for (let index = start; index < end; index++) {
      const file = this.#files.get(index)
      if (file !== undefined && --file.left === 0) this.#decide(index)
    }
    return held
  }

  /** The user has had the torrent go on: looks again at the files that were in its way. */
  reconsider(): void {
    const again: number[] = []
    for (const [index, file] of this.#files) {
      if (!file.isRefused) continue
      const { start, end } = this.#mediator.layout.filePieces(index)
      for (let piece = start; piece < end; piece++) {
        if (!this.isHeld(piece) || this.#pending[piece] === 1) continue
        this.#pending[piece] = 1
        again.push(piece)
      }
    }
    for (const [index, file] of this.#files) {
      const { start, end } = this.#mediator.layout.filePieces(index)
      file.left = 0
      for (let piece = start; piece < end; piece++) file.left += this.#pending[piece] ?? 0
      file.isRefused = false
      if (file.left === 0) this.#decide(index)
    }
    if (again.length > 0) this.#mediator.recheck(again)
  }

  /** Other files are wanted now. */
  reselected(): void {
    for (const [index, { left, isRefused }] of this.#files) {
      if (left === 0 && !isRefused && this.#mediator.ownership.isWritten(index)) this.#decide(index)
    }
  }

  /** All files may be overwritten. */
  acceptAll(): void {
    for (const index of [...this.#files.keys()]) this.#accept(index)
    this.#mediator.ownership.acceptAll()
  }

  /** Decides nothing more; resolves when nothing is under way. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#deciding
  }

  #decide(index: number): void {
    this.#deciding = this.#deciding.then(() => this.#look(index))
  }

  async #look(index: number): Promise<void> {
    if (this.#closed || !this.#files.has(index)) return
    const { ownership } = this.#mediator
    const isBlank = await ownership.isBlank(index).catch(() => false)
    const file = this.#files.get(index)
    if (this.#closed || file === undefined) return
    if (isBlank) this.#accept(index)
    else if (!ownership.isWritten(index)) this.#leave(index, file)
    else if (file.isOpen || this.#mediator.isKept(index)) {
      // It shows when bytes come, or are moved, that the file has to hold.
      ownership.decided(index)
      if (!file.isWaiting && !file.isLeft) this.#free(file.open)
      file.isWaiting = true
      this.#mediator.decided(index)
    } else if (!file.isRefused) {
      file.isRefused = true
      this.#mediator.refused(ownership.refusal(index))
    }
  }

  /** A file is not changed as long as it is not wanted, and so keeps nothing from being fetched. */
  #leave(index: number, file: Judgement): void {
    this.#mediator.ownership.decided(index)
    const held = this.#heldBy(index)
    file.isLeft = true
    this.#free(held)
  }

  #accept(index: number): void {
    this.#mediator.ownership.accept(index)
    this.#settle(index)
    this.#mediator.decided(index)
  }

  /** It is known whose a file is: pieces that no other one holds may be fetched. */
  #settle(index: number): void {
    const file = this.#files.get(index)
    if (file === undefined) return
    const held = this.#heldBy(index)
    this.#files.delete(index)
    this.#free(held)
    if (this.#files.size > 0) return
    this.#holders = new Uint32Array()
    this.#pending = new Uint8Array()
  }

  #heldBy(index: number): number[] {
    const { start, end } = this.#mediator.layout.filePieces(index)
    const held: number[] = []
    for (let piece = start; piece < end; piece++) {
      if (this.isHeld(piece) && this.#holds(index, piece)) held.push(piece)
    }
    return held
  }

  /** One file less holds these pieces. */
  #free(pieces: readonly number[]): void {
    const free: number[] = []
    for (const piece of pieces) {
      const holders = this.#holders[piece] ?? 0
      this.#holders[piece] = Math.max(0, holders - 1)
      if (holders === 1) free.push(piece)
    }
    if (free.length > 0) this.#mediator.release(free)
  }

  /** Whether a piece touches any of the files, which hold it from now on. */
  #hold(piece: number): boolean {
    if (this.isHeld(piece)) return false
    const { start, end } = this.#mediator.layout.filesOf(piece)
    let holders = 0
    for (let index = start; index < end; index++) if (this.#holds(index, piece)) holders++
    this.#holders[piece] = holders
    return holders > 0
  }

  /** Whether a piece must not be fetched because of a file that it touches. */
  #holds(index: number, piece: number): boolean {
    const file = this.#files.get(index)
    return file !== undefined && !file.isLeft && !(file.isWaiting && file.open.includes(piece))
  }

  /** Whether all that a piece has of a file is on disk, so that it is another file that lacks bytes. */
  #reaches(index: number, piece: number, stats: StorageStats): boolean {
    const { layout } = this.#mediator
    const file = layout.files[index]
    if (file === undefined) return false
    const end = Math.min(layout.pieceOffset(piece) + layout.pieceSize(piece), file.offset + file.length)
    return (stats.files[index]?.size ?? 0) >= end - file.offset
  }
}
