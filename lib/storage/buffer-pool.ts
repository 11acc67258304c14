import { LazySet } from '../util/lazy-collections.ts'
import type { MemoryAccount } from '../util/memory-budget.ts'
import { PieceBuffer } from './piece-buffer.ts'

/** Limit of spare buffers, in bytes. They are kept because new memory costs more than all other work on a piece. */
const spareBytes = 24 << 20
/** Spare buffers are kept only in this share of the budget; the rest stays free for pieces that readers need. */
const sparePart = 3 / 4

/** Buffers for whole pieces: reserved in an account while in use, and counted as spare memory of the budget until reused. */
export class BufferPool {
  readonly #pieceLength: number
  readonly #account: MemoryAccount
  readonly #most: number
  readonly #spare: PieceBuffer[] = []
  /** Buffers that background work still uses; one that is released meanwhile is not reused. */
  readonly #pinned = new LazySet<PieceBuffer>()
  readonly #stopReclaiming: () => void

  /** Makes a pool of buffers for pieces of at most `pieceLength` bytes. */
  constructor(pieceLength: number, account: MemoryAccount) {
    this.#pieceLength = pieceLength
    this.#account = account
    const bytes = Math.min(spareBytes, account.budget.limit / 2)
    this.#most = Math.max(1, Math.floor(bytes / pieceLength))
    this.#stopReclaiming = account.budget.reclaimer(() => this.#drop())
  }

  /**
   * Reserves memory for a piece. Returns a spare buffer, undefined if the buffer is to be made with the first block, or false when there is
   * no memory.
   */
  reserve(urgent: boolean): PieceBuffer | undefined | false {
    const { budget } = this.#account
    const spare = this.#spare.pop()
    // Avoids counting its memory twice.
    if (spare !== undefined) budget.exchangeSpare(this.#pieceLength)
    if (this.#account.reserve(this.#pieceLength, urgent)) return spare
    if (spare !== undefined) {
      budget.exchangeSpare(-this.#pieceLength)
      this.#spare.push(spare)
    }
    return false
  }

  /** Allocates a buffer for memory already reserved. */
  make(): PieceBuffer {
    return new PieceBuffer(Buffer.allocUnsafeSlow(this.#pieceLength))
  }

  /** Releases the reservation of a piece. Keeps its buffer, if given, for reuse when there is room. */
  release(buffer?: PieceBuffer): void {
    this.#account.release(this.#pieceLength)
    if (buffer === undefined || this.#pinned.has(buffer) || this.#spare.length >= this.#most) return
    if (this.#account.budget.reserveSpare(this.#pieceLength, sparePart)) this.#spare.push(buffer)
  }

  /** Prevents the reuse of a buffer until `work` settles, and returns its result. */
  async pinned<T>(buffer: PieceBuffer, work: Promise<T>): Promise<T> {
    this.#pinned.add(buffer)
    try {
      return await work
    } finally {
      this.#pinned.delete(buffer)
    }
  }

  /** Frees all spare memory. */
  clear(): void {
    while (this.#drop());
  }

  /** Frees all spare memory for good. */
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
