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
  /** Number of spare buffers whose memory counts as the reservation of a piece that has not taken its buffer yet, not as spare memory. */
  #promised = 0
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

  /** Reserves memory for a piece; returns false when there is none. `take` gives the buffer when the first block arrives. */
  reserve(urgent: boolean): boolean {
    const { budget } = this.#account
    // Avoids counting the memory of a spare buffer twice.
    const isSpare = this.#spare.length > this.#promised
    if (isSpare) {
      this.#promised++
      budget.exchangeSpare(this.#pieceLength)
    }
    if (this.#account.reserve(this.#pieceLength, urgent)) return true
    if (isSpare) {
      this.#promised--
      budget.exchangeSpare(-this.#pieceLength)
    }
    return false
  }

  /** Returns a buffer for memory already reserved: the spare one used last, whose memory is still cached, or a new one. */
  take(): PieceBuffer {
    const spare = this.#spare.pop()
    if (spare === undefined) return new PieceBuffer(Buffer.allocUnsafeSlow(this.#pieceLength))
    if (this.#promised > 0) this.#promised--
    else this.#account.budget.releaseSpare(this.#pieceLength)
    return spare
  }

  /** Cancels the reservation of a piece whose buffer was not taken. */
  cancel(): void {
    this.#account.release(this.#pieceLength)
    this.waive()
  }

  /** Notes that a piece whose buffer was not taken will not take one: its reservation now serves something else. */
  waive(): void {
    if (this.#promised === 0) return
    this.#promised--
    if (!this.#account.budget.reserveSpare(this.#pieceLength, sparePart)) this.#spare.pop()
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
    this.#spare.length = 0
    this.#promised = 0
  }

  /** Frees all spare memory for good. */
  close(): void {
    this.#stopReclaiming()
    this.clear()
  }

  #drop(): boolean {
    if (this.#spare.length <= this.#promised) return false
    this.#spare.pop()
    this.#account.budget.releaseSpare(this.#pieceLength)
    return true
  }
}
