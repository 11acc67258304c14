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
  /** Allows requests for pieces that were held back. */
  release(pieces: readonly number[]): void
  /** Starts to hash pieces again. */
  recheck(pieces: readonly number[]): void
  /** Returns whether bytes of a file are in the parts file instead of the file itself. */
  isKept(fileIndex: number): boolean
  /** Called once a file may be written, or its next write decides whether it may. Bytes in the parts file may then move to it. */
  decided(fileIndex: number): void
  /** Called when a wanted file does not belong to the torrent. Nothing is requested until `reconsider`. */
  refused(error: Error): void
}

interface Judgement {
  /** Number of pieces that are still to be hashed. */
  unhashed: number
  /** Whether hashing the data on disk cannot decide if the file is the torrent's. A piece that is verified later decides. */
  isUndecided: boolean
  /** The first and last piece, if they could not be hashed because bytes of other files are missing. */
  readonly edgePieces: number[]
  /** Whether the pieces in `edgePieces` may be requested. */
  isDeferred: boolean
  /** Whether the file was not wanted when the decision was due; it then holds back no pieces. */
  isUnwanted: boolean
  isRefused: boolean
}

/**
 * Files that existed before the torrent and that no resume record names. Such a file belongs to the torrent once one of its pieces is
 * verified, or if it contains only zeros. Until that is known, the pieces that touch it are held back, that is, not requested. If all of
 * its pieces are wrong, the torrent stops with ERR_STORAGE_EXISTS.
 */
export class ExistingFiles {
  readonly #mediator: ExistingFilesMediator
  readonly #files = new Map<number, Judgement>()
  /** For each piece, the number of these files that hold it back; 0 if it may be requested. */
  #holders: Uint32Array
  /** 1 for each piece that is still to be hashed. */
  #pending: Uint8Array
  /** The last decision. Decisions are made one after the other, since each may read a file. */
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
        unhashed: 0,
        isUndecided: false,
        edgePieces: [],
        isDeferred: false,
        isUnwanted: false,
        isRefused: false
      })
  }

  /**
   * Takes the state of each piece, a code of {@link pieceTrust}, and returns the missing pieces that are held back. The caller then
   * has the unchecked ones hashed.
   */
  begin(pieces: Uint8Array, stats: StorageStats): number[] {
    const held: number[] = []
    for (const [index, file] of this.#files) {
      const { start, end } = this.#mediator.layout.filePieces(index)
      for (let piece = start; piece < end; piece++) {
        if (pieces[piece] === pieceTrust.unchecked) {
          file.unhashed++
          this.#pending[piece] = 1
        } else if (pieces[piece] === pieceTrust.missing) {
          if (this.#hold(piece)) held.push(piece)
          if (this.#reaches(index, piece, stats)) file.edgePieces.push(piece)
        } else file.isUndecided = true
      }
      if (file.edgePieces.length > 0) file.isUndecided = true
    }
    return held
  }

  /** Decides about files without pieces to hash. Call it after the pieces that {@link begin} returned are marked. */
  start(): void {
    for (const [index, file] of this.#files) if (file.unhashed === 0) this.#decide(index)
  }

  /** Returns whether a missing piece is held back. */
  isHeld(piece: number): boolean {
    return (this.#holders[piece] ?? 0) > 0
  }

  /** Handles a verified piece: the files that it touches belong to the torrent. */
  verified(piece: number): void {
    if (this.#files.size === 0) return
    const { start, end } = this.#mediator.layout.filesOf(piece)
    for (let index = start; index < end; index++) if (this.#files.has(index)) this.#accept(index)
  }

  /** Handles a piece that was hashed and is wrong; returns whether it is held back. */
  failed(piece: number): boolean {
    if (this.#files.size === 0) return false
    const isPending = this.#pending[piece] === 1
    this.#pending[piece] = 0
    const held = this.isHeld(piece) || this.#hold(piece)
    if (!isPending) return held
    const { start, end } = this.#mediator.layout.filesOf(piece)
    for (let index = start; index < end; index++) {
      const file = this.#files.get(index)
      if (file !== undefined && --file.unhashed === 0) this.#decide(index)
    }
    return held
  }

  /** Checks refused files again, after the user has resumed the torrent. */
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
      file.unhashed = 0
      for (let piece = start; piece < end; piece++) file.unhashed += this.#pending[piece] ?? 0
      file.isRefused = false
      if (file.unhashed === 0) this.#decide(index)
    }
    if (again.length > 0) this.#mediator.recheck(again)
  }

  /** Decides about files that are wanted by a new selection. */
  reselected(): void {
    for (const [index, { unhashed, isRefused }] of this.#files) {
      if (unhashed === 0 && !isRefused && this.#mediator.ownership.isWritten(index)) this.#decide(index)
    }
  }

  /** Allows all files to be overwritten. */
  acceptAll(): void {
    for (const index of [...this.#files.keys()]) this.#accept(index)
    this.#mediator.ownership.acceptAll()
  }

  /** Stops deciding; resolves when no decision is in progress. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#deciding
  }

  #decide(index: number): void {
    this.#deciding = this.#deciding.then(() => this.#decideNow(index))
  }

  async #decideNow(index: number): Promise<void> {
    if (this.#closed || !this.#files.has(index)) return
    const { ownership } = this.#mediator
    const isBlank = await ownership.isBlank(index).catch(() => false)
    const file = this.#files.get(index)
    if (this.#closed || file === undefined) return
    if (isBlank) this.#accept(index)
    else if (!ownership.isWritten(index)) this.#releaseUnwanted(index, file)
    else if (file.isUndecided || this.#mediator.isKept(index)) {
      // Decided later, by bytes that are downloaded or moved to the file.
      ownership.decided(index)
      if (!file.isDeferred && !file.isUnwanted) this.#release(file.edgePieces)
      file.isDeferred = true
      this.#mediator.decided(index)
    } else if (!file.isRefused) {
      file.isRefused = true
      this.#mediator.refused(ownership.refusal(index))
    }
  }

  /** Releases the pieces of a file that is not wanted: it is not written, so it need not be protected. */
  #releaseUnwanted(index: number, file: Judgement): void {
    this.#mediator.ownership.decided(index)
    const held = this.#heldBy(index)
    file.isUnwanted = true
    this.#release(held)
  }

  #accept(index: number): void {
    this.#mediator.ownership.accept(index)
    this.#settle(index)
    this.#mediator.decided(index)
  }

  /** Ends the decision about a file and releases pieces that no other file holds back. */
  #settle(index: number): void {
    const file = this.#files.get(index)
    if (file === undefined) return
    const held = this.#heldBy(index)
    this.#files.delete(index)
    this.#release(held)
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

  /** Removes one holder of each piece, and releases pieces without holders. */
  #release(pieces: readonly number[]): void {
    const free: number[] = []
    for (const piece of pieces) {
      const holders = this.#holders[piece] ?? 0
      this.#holders[piece] = Math.max(0, holders - 1)
      if (holders === 1) free.push(piece)
    }
    if (free.length > 0) this.#mediator.release(free)
  }

  /** Holds a piece back if it touches any of the files; returns whether it does. */
  #hold(piece: number): boolean {
    if (this.isHeld(piece)) return false
    const { start, end } = this.#mediator.layout.filesOf(piece)
    let holders = 0
    for (let index = start; index < end; index++) if (this.#holds(index, piece)) holders++
    this.#holders[piece] = holders
    return holders > 0
  }

  /** Returns whether a file holds back a piece that it touches. */
  #holds(index: number, piece: number): boolean {
    const file = this.#files.get(index)
    return file !== undefined && !file.isUnwanted && !(file.isDeferred && file.edgePieces.includes(piece))
  }

  /** Returns whether a file is long enough for its part of a piece, so that the missing bytes are those of another file. */
  #reaches(index: number, piece: number, stats: StorageStats): boolean {
    const { layout } = this.#mediator
    const file = layout.files[index]
    if (file === undefined) return false
    const end = Math.min(layout.pieceOffset(piece) + layout.pieceSize(piece), file.offset + file.length)
    return (stats.files[index]?.size ?? 0) >= end - file.offset
  }
}
