import type { Layout } from '../metainfo/layout.ts'
import type { Assembly } from '../storage/assembly.ts'
import type { Storage } from '../storage/storage.ts'
import { abortable, type Deferred, deferred } from '../util/concurrency.ts'
import { TorrentError } from '../util/errors.ts'

/** What a {@link VerifiedReader} asks of its torrent. */
export interface ReaderQuestions {
  /** Whether the piece is had. */
  has(piece: number): boolean
  /** Whether a piece that is had is proven, or resolves (false: it was lost) once it was hashed. */
  prove(piece: number): true | Promise<boolean>
  /** A piece that was had could not be read: resolves (false: it is fetched anew) once it was looked at. */
  missing(piece: number): Promise<boolean>
}

/** Serves verified bytes to streams: from memory while a piece is being written, else from storage; waits for what is missing. */
export class VerifiedReader {
  readonly #layout: Layout
  readonly #storage: Storage
  readonly #assembly: Assembly
  readonly #questions: ReaderQuestions
  readonly #waiting = new Map<number, Deferred<void>>()
  #failure: Error | undefined

  constructor(layout: Layout, storage: Storage, assembly: Assembly, questions: ReaderQuestions) {
    this.#layout = layout
    this.#storage = storage
    this.#assembly = assembly
    this.#questions = questions
  }

  /** A piece is verified: whoever waits for it goes on. */
  verified(piece: number): void {
    this.#waiting.get(piece)?.resolve()
    this.#waiting.delete(piece)
  }

  /** All open and later reads reject with `error`, until `recover`. */
  fail(error: Error): void {
    this.#failure = error
    for (const waiting of this.#waiting.values()) waiting.reject(error)
    this.#waiting.clear()
  }

  /** Reads are served again. */
  recover(): void {
    this.#failure = undefined
  }

  /** Verified bytes from `byteOffset` on, at least one and at most `maxLength`; see `ByteSource.readVerified`. */
  async read(byteOffset: number, maxLength: number, signal: AbortSignal): Promise<Uint8Array> {
    for (;;) {
      signal.throwIfAborted()
      if (this.#failure !== undefined) throw this.#failure
      const piece = this.#layout.pieceAt(byteOffset)
      if (!this.#questions.has(piece)) {
        await this.#wait(piece, signal)
        continue
      }
      const proof = this.#questions.prove(piece)
      if (proof !== true && !(await abortable(proof, signal))) continue
      const inPiece = this.#layout.pieceOffset(piece) + this.#layout.pieceSize(piece) - byteOffset
      const length = Math.min(maxLength, this.#runLength(piece, inPiece, maxLength))
      const held = this.#assembly.read(byteOffset, Math.min(inPiece, length))
      if (held !== undefined) return held
      const bytes = Buffer.allocUnsafeSlow(length)
      const got = await abortable(this.#storage.read(byteOffset, bytes, signal), signal)
      if (got > 0) return got === length ? bytes : bytes.subarray(0, got)
      if (await abortable(this.#questions.missing(piece), signal)) {
        throw new TorrentError(
          'ERR_STORAGE_READ',
          `piece ${piece} is no longer in storage: recheck the torrent`
        )
      }
    }
  }

  /** Bytes from an offset on that are had and proven without a break and held by storage, as far as `maxLength`. */
  #runLength(piece: number, inPiece: number, maxLength: number): number {
    let length = inPiece
    for (let next = piece + 1; length < maxLength && next < this.#layout.pieceCount; next++) {
      if (!this.#questions.has(next) || this.#assembly.holds(next)) break
      const proof = this.#questions.prove(next)
      if (proof !== true) {
        // It will be read next, and whether it can be is told then.
        proof.catch(() => {})
        break
      }
      length += this.#layout.pieceSize(next)
    }
    return length
  }

  async #wait(piece: number, signal: AbortSignal): Promise<void> {
    let waiting = this.#waiting.get(piece)
    if (waiting === undefined) this.#waiting.set(piece, (waiting = deferred()))
    await abortable(waiting.promise, signal)
  }
}
