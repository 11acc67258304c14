import type { Layout } from '../metainfo/layout.ts'
import { monotonicMs } from '../util/clock.ts'
import { abortable, type Deferred, deferred } from '../util/concurrency.ts'
import { debug } from '../util/debug.ts'
import { TorrentError } from '../util/errors.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import type { Assembly } from './assembly.ts'
import type { Storage } from './storage.ts'

const log = debug('stream')

/** Bytes read, and the piece that they belong to if it is not verified yet. */
export interface EarlyBytes {
  readonly bytes: Uint8Array
  readonly unverified: number | undefined
}

/** Callbacks with which a {@link VerifiedReader} queries its torrent. */
export interface ReaderMediator {
  /** Returns whether the piece is stored or being written. */
  has(piece: number): boolean
  /** Returns true for a proven piece; otherwise resolves after it was hashed, with false if it was lost. */
  prove(piece: number): true | Promise<boolean>
  /** Called when a stored piece could not be read; resolves after it was checked, with false if it is requested again. */
  missing(piece: number): Promise<boolean>
}

/** Serves verified bytes to streams: from memory while a piece is being written, otherwise from storage. Waits for missing pieces. */
export class VerifiedReader {
  readonly #layout: Layout
  readonly #storage: Storage
  readonly #assembly: Assembly
  readonly #mediator: ReaderMediator
  readonly #waiting = new LazyMap<number, Deferred<void>>()
  /** Readers that accept blocks of unverified pieces. */
  readonly #early = new LazyMap<number, Deferred<void>>()
  readonly #verdicts = new LazyMap<number, Set<(right: boolean) => void>>()
  #failure: Error | undefined

  constructor(layout: Layout, storage: Storage, assembly: Assembly, mediator: ReaderMediator) {
    this.#layout = layout
    this.#storage = storage
    this.#assembly = assembly
    this.#mediator = mediator
  }

  /** Resumes the readers that wait for a piece, because it is verified. */
  verified(piece: number): void {
    this.#waiting.get(piece)?.resolve()
    this.#waiting.delete(piece)
    this.arrived(piece)
    this.#judge(piece, true)
  }

  /** Resumes the early readers of a piece, because a block arrived. */
  arrived(piece: number): void {
    if (this.#early.size === 0) return
    this.#early.get(piece)?.resolve()
    this.#early.delete(piece)
  }

  /** Tells listeners that a piece is complete and its hash does not match. */
  failed(piece: number): void {
    this.#judge(piece, false)
  }

  /** Implements `ByteSource.onVerdict`. */
  onVerdict(piece: number, listener: (right: boolean) => void): () => void {
    const listeners = this.#verdicts.get(piece) ?? new Set()
    this.#verdicts.set(piece, listeners.add(listener))
    return () => {
      if (listeners.delete(listener) && listeners.size === 0) this.#verdicts.delete(piece)
    }
  }

  /** Makes all current and later reads reject with `error`, until `recover`. */
  fail(error: Error): void {
    this.#failure = error
    for (const waiting of [...this.#waiting.values(), ...this.#early.values()]) waiting.reject(error)
    this.#waiting.clear()
    this.#early.clear()
  }

  /** Serves reads again. */
  recover(): void {
    this.#failure = undefined
  }

  /** Returns verified bytes from `byteOffset` on, at least one and at most `maxLength`; see `ByteSource.readVerified`. */
  async read(byteOffset: number, maxLength: number, signal: AbortSignal): Promise<Uint8Array> {
    for (;;) {
      signal.throwIfAborted()
      if (this.#failure !== undefined) throw this.#failure
      const piece = this.#layout.pieceAt(byteOffset)
      if (!this.#mediator.has(piece)) {
        await this.#wait(piece, signal)
        continue
      }
      const proof = this.#mediator.prove(piece)
      if (proof !== true && !(await abortable(proof, signal))) continue
      const inPiece = this.#layout.pieceOffset(piece) + this.#layout.pieceSize(piece) - byteOffset
      const length = Math.min(maxLength, this.#runLength(piece, inPiece, maxLength))
      const held = this.#assembly.whole.read(byteOffset, Math.min(inPiece, length))
      if (held !== undefined) return held
      const bytes = Buffer.allocUnsafeSlow(length)
      const got = await abortable(this.#storage.read(byteOffset, bytes, signal), signal)
      if (got > 0) return got === length ? bytes : bytes.subarray(0, got)
      if (await abortable(this.#mediator.missing(piece), signal)) {
        throw new TorrentError(
          'ERR_STORAGE_READ',
          `storage returned no bytes of piece ${piece}, although its hash is right: recheck the torrent`
        )
      }
    }
  }

  /** Returns blocks as soon as they arrive, unverified; see `ByteSource.readEarly`. */
  async readEarly(byteOffset: number, maxLength: number, signal: AbortSignal): Promise<EarlyBytes> {
    for (;;) {
      signal.throwIfAborted()
      if (this.#failure !== undefined) throw this.#failure
      const piece = this.#layout.pieceAt(byteOffset)
      if (this.#mediator.has(piece)) {
        return { bytes: await this.read(byteOffset, maxLength, signal), unverified: undefined }
      }
      const peeked = this.#assembly.peek(byteOffset, maxLength)
      const bytes = peeked !== undefined && 'then' in peeked ? await abortable(peeked, signal) : peeked
      if (bytes !== undefined && bytes.length > 0) return { bytes, unverified: piece }
      // If the bytes became invalid while they were read, the piece is looked at again.
      if (peeked === undefined || bytes !== undefined) await this.#wait(piece, signal, this.#early)
    }
  }

  #judge(piece: number, right: boolean): void {
    const listeners = this.#verdicts.get(piece)
    if (listeners === undefined) return
    this.#verdicts.delete(piece)
    for (const listener of listeners) listener(right)
  }

  /** Returns how many contiguous bytes from an offset are proven and in storage, at least to the end of the piece. */
  #runLength(piece: number, inPiece: number, maxLength: number): number {
    let length = inPiece
    for (let next = piece + 1; length < maxLength && next < this.#layout.pieceCount; next++) {
      if (!this.#mediator.has(next) || this.#assembly.whole.holds(next)) break
      const proof = this.#mediator.prove(next)
      if (proof !== true) {
        // The next read reports a failure.
        proof.catch(() => {})
        break
      }
      length += this.#layout.pieceSize(next)
    }
    return length
  }

  async #wait(piece: number, signal: AbortSignal, waiters = this.#waiting): Promise<void> {
    let waiting = waiters.get(piece)
    if (waiting === undefined) waiters.set(piece, (waiting = deferred()))
    const startedAt = log.enabled ? monotonicMs() : 0
    await abortable(waiting.promise, signal)
    if (log.enabled) log('a reader waited %d ms for piece %d', Math.round(monotonicMs() - startedAt), piece)
  }
}
