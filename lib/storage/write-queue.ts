import type { Layout } from '../metainfo/layout.ts'
import { monotonicMs } from '../util/clock.ts'
import { debug } from '../util/debug.ts'
import { asError } from '../util/errors.ts'
import { NumberMap } from '../util/number-map.ts'
import type { PieceBuffer } from './piece-buffer.ts'
import type { Storage } from './storage.ts'

const log = debug('storage')

/** Adjacent pieces are written together up to this many bytes; larger pieces are written alone. */
const mostRunBytes = 1 << 20
/**
 * Bounds of the limit on concurrent writes, which grows with the piece length. Concurrent writes proceed while the event loop is busy, but
 * small pieces that wait a little can be written together.
 */
const fewestWrites = 4
const mostWrites = 16

/** Queue of verified pieces to be written; adjacent pieces are written together. */
export class WriteQueue {
  readonly #layout: Layout
  readonly #storage: Storage
  readonly #onWritten: (buffer: PieceBuffer, failure: Error | undefined) => void
  readonly #buffers = new NumberMap<PieceBuffer>()
  /** Pieces that wait to be written, oldest first; may include pieces already written with an adjacent one. */
  readonly #waiting: number[] = []
  #writers = 0
  readonly #mostWriters: number

  /** Calls `onWritten` with the result of each piece, after the piece has left the queue. */
  constructor(
    layout: Layout,
    storage: Storage,
    onWritten: (buffer: PieceBuffer, failure: Error | undefined) => void
  ) {
    this.#layout = layout
    this.#storage = storage
    this.#onWritten = onWritten
    const together = Math.floor((mostWrites * layout.pieceLength) / mostRunBytes)
    this.#mostWriters = Math.max(fewestWrites, Math.min(mostWrites, together))
  }

  /** Number of pieces that are not stored yet. */
  get size(): number {
    return this.#buffers.size
  }

  /** Returns the buffer of a piece that is not stored yet. */
  get(piece: number): PieceBuffer | undefined {
    return this.#buffers.get(piece)
  }

  /** Queues a piece. Returns a promise when a new writer starts, which may write other pieces too. */
  add(buffer: PieceBuffer): Promise<void> | undefined {
    this.#buffers.set(buffer.piece, buffer)
    buffer.waits = true
    this.#waiting.push(buffer.piece)
    if (this.#writers >= this.#mostWriters) return undefined
    this.#writers++
    return this.#writeWaiting()
  }

  /** Frees the memory of the empty queue. */
  clear(): void {
    this.#buffers.clear()
  }

  async #writeWaiting(): Promise<void> {
    // Lets other pieces that complete in the same turn join the run.
    await undefined
    for (let run = this.#nextRun(); run !== undefined; run = this.#nextRun()) await this.#write(run)
    this.#writers--
  }

  /** Returns the oldest waiting piece and the waiting pieces adjacent to it, in order. */
  #nextRun(): PieceBuffer[] | undefined {
    let oldest: PieceBuffer | undefined
    while (oldest === undefined) {
      const piece = this.#waiting.shift()
      if (piece === undefined) return undefined
      oldest = this.#takeWaiting(piece)
    }
    const most = Math.max(1, Math.floor(mostRunBytes / this.#layout.pieceLength))
    const run = [oldest]
    for (let piece = oldest.piece - 1; run.length < most; piece--) {
      const buffer = this.#takeWaiting(piece)
      if (buffer === undefined) break
      run.unshift(buffer)
    }
    for (let piece = oldest.piece + 1; run.length < most; piece++) {
      const buffer = this.#takeWaiting(piece)
      if (buffer === undefined) break
      run.push(buffer)
    }
    return run
  }

  #takeWaiting(piece: number): PieceBuffer | undefined {
    const buffer = this.#buffers.get(piece)
    if (buffer?.waits !== true) return undefined
    buffer.waits = false
    return buffer
  }

  async #write(run: readonly PieceBuffer[]): Promise<void> {
    const first = run[0]?.piece ?? 0
    const startedAt = log.enabled ? monotonicMs() : 0
    let failure: Error | undefined
    try {
      await this.#storage.write(
        this.#layout.pieceOffset(first),
        run.map(({ bytes }) => bytes)
      )
    } catch (thrown) {
      failure = asError(thrown)
    }
    if (log.enabled) {
      const tookMs = Math.round(monotonicMs() - startedAt)
      const end = failure === undefined ? 'written' : `not written (${failure.message})`
      log(
        'pieces %d to %d: %s after %d ms, %d wait',
        first,
        first + run.length - 1,
        end,
        tookMs,
        this.#waiting.length
      )
    }
    for (const buffer of run) {
      this.#buffers.delete(buffer.piece)
      this.#onWritten(buffer, failure)
    }
  }
}
