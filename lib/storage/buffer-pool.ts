import { LazySet } from '../util/lazy-collections.ts'
import type { MemoryAccount } from '../util/memory-budget.ts'
import { PieceBuffer } from './piece-buffer.ts'

/** Buffers kept for the next pieces while some are under way, in bytes: new memory costs more than all else that a piece costs. */
const spareBytes = 24 << 20
/** Part of the budget that they may fill, less what is in use: as much as pieces without readers may have. */
const sparePart = 3 / 4

/** The memory of whole pieces: reserved in an account while it is in use, and as spare memory of the budget until the next piece needs it. */
export class BufferPool {
  readonly #pieceLength: number
  readonly #account: MemoryAccount
  readonly #most: number
  readonly #spare: PieceBuffer[] = []
  /** Buffers that are read beside the life of their piece, and so are not used again when it is over. */
  readonly #pinned = new LazySet<PieceBuffer>()
  readonly #stopReclaiming: () => void

  /** A pool of buffers for pieces of at most `pieceLength` bytes. */
  constructor(pieceLength: number, account: MemoryAccount) {
    this.#pieceLength = pieceLength
    this.#account = account
    const bytes = Math.min(spareBytes, account.budget.limit / 2)
    this.#most = Math.max(1, Math.floor(bytes / pieceLength))
    this.#stopReclaiming = account.budget.reclaimer(() => this.#drop())
  }

  /** Reserves memory for a piece: gives a spare buffer, or undefined if one is to be made with the first block; false when there is no memory. */
  reserve(urgent: boolean): PieceBuffer | undefined | false {
    const { budget } = this.#account
    const spare = this.#spare.pop()
    // Its memory is counted once.
    if (spare !== undefined) budget.exchangeSpare(this.#pieceLength)
    if (this.#account.reserve(this.#pieceLength, urgent)) return spare
    if (spare !== undefined) {
      budget.exchangeSpare(-this.#pieceLength)
      this.#spare.push(spare)
    }
    return false
  }

  /** A buffer for memory that is reserved. */
  make(): PieceBuffer {
    return new PieceBuffer(Buffer.allocUnsafeSlow(this.#pieceLength))
  }

  /** Ends the reservation of a piece. Its buffer is kept for another one if it is given and there is room for it. */
  release(buffer?: PieceBuffer): void {
    this.#account.release(this.#pieceLength)
    if (buffer === undefined || this.#pinned.has(buffer) || this.#spare.length >= this.#most) return
    if (this.#account.budget.reserveSpare(this.#pieceLength, sparePart)) this.#spare.push(buffer)
  }

  /** Keeps a buffer from being used again until work with it is over, and passes on what came of that. */
  async pinned<T>(buffer: PieceBuffer, work: Promise<T>): Promise<T> {
    this.#pinned.add(buffer)
    try {
      return await work
    } finally {
      this.#pinned.delete(buffer)
    }
  }

  /** Gives all spare memory back. */
  clear(): void {
    while (this.#drop());
  }

  /** Gives all spare memory back for good. */
  close(): void {
    this.#stopReclaiming()
    this.clear()
  }

  #drop(): boolean {
    if (this.#spare.pop() === undefined) return false
    this.#account.budget.releaseSpare(this.#pieceLength)
    return true
  }
}
