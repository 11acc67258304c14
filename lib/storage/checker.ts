import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises'
import type { HashPool } from '../hash/hash-pool.ts'
import { movedCode } from '../hash/open-segment.ts'
import { type HashAlgorithm, RunningHash } from '../hash/running-hash.ts'
import type { Layout, Range } from '../metainfo/layout.ts'
import { equalBytes } from '../util/bytes.ts'
import { monotonicMs } from '../util/clock.ts'
import { abortable, type Deferred, deferred } from '../util/concurrency.ts'
import { debug } from '../util/debug.ts'
import { asError, TorrentError } from '../util/errors.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import { NumberMap } from '../util/number-map.ts'
import { TokenBucket } from '../util/token-bucket.ts'
import type { Storage, StorageSegment } from './storage.ts'
import { storageClosed } from './storage-error.ts'

/** Options of a {@link Checker}. */
export interface CheckerOptions {
  /** Must be open. */
  readonly storage: Storage
  readonly layout: Layout
  /** Returns the digest of a piece; a piece without one always fails. */
  readonly expected: (piece: number) => Uint8Array | undefined
  /** Default `sha1`. */
  readonly algorithm?: HashAlgorithm
  /** Threads for background checks, used when the storage has `segments` and `bytesPerSecond` is unlimited. The caller closes it. */
  readonly pool?: HashPool
  /** Limit of background checks; `checkNow` ignores it. Default `Infinity`. */
  readonly bytesPerSecond?: number
}

/** Options of a single check. */
export interface CheckOptions {
  /** Aborts this check; its promise rejects with the reason. */
  readonly signal?: AbortSignal
  /** Called once for each piece, in any order; `error` is set when its bytes exist and could not be read. */
  readonly onResult?: (piece: number, ok: boolean, error?: Error) => void
  /** Checks with a higher priority go first. Default 0. */
  readonly priority?: number
}

/** Result of a check. */
export interface CheckSummary {
  /** Number of pieces that are stored and whose hash matches. */
  readonly good: number
  /** Number of pieces that are missing, corrupt or unreadable. */
  readonly bad: number
}

const queued = 1
const inFlight = 2
const done = 3

interface Run {
  readonly pieces: readonly number[]
  /** State by piece: `queued`, `inFlight`, `done`, or 0 for pieces outside this check. */
  readonly state: Uint8Array
  readonly priority: number
  readonly onResult: ((piece: number, ok: boolean, error?: Error) => void) | undefined
  readonly result: Deferred<CheckSummary>
  /** Index into `pieces` of the next one. */
  next: number
  good: number
  bad: number
}

const sliceLength = 256 * 1024
const turnMs = 8
const log = debug('storage:checker')

/**
 * Compares stored pieces with their digests. Background checks run on all cores if there are files and a pool, otherwise on this thread in
 * short slices. `checkNow` does not wait for them.
 */
export class Checker {
  readonly #options: CheckerOptions
  readonly #algorithm: HashAlgorithm
  readonly #bucket: TokenBucket
  /** Made on demand: most torrents have nothing to check. */
  #closing: AbortController | undefined
  #closed = false
  /** Sorted by priority, highest first; replaced, never mutated. */
  #runs: readonly Run[] = []
  #pump: Promise<void> | undefined
  readonly #urgent = new LazyMap<number, Promise<boolean>>()
  #poolFailed = false
  #turnAtMs = 0

  constructor(options: CheckerOptions) {
    const { bytesPerSecond = Number.POSITIVE_INFINITY, algorithm = 'sha1' } = options
    if (!(bytesPerSecond > 0)) throw new RangeError(`bytesPerSecond must be positive, not ${bytesPerSecond}`)
    this.#options = options
    this.#algorithm = algorithm
    this.#bucket = new TokenBucket(bytesPerSecond, monotonicMs())
  }

  /** Checks pieces in the given order, after checks with a higher priority and earlier ones with the same priority. */
  async check(pieces: Range | readonly number[], options: CheckOptions = {}): Promise<CheckSummary> {
    const { signal, onResult, priority = 0 } = options
    if (this.#closed) throw storageClosed()
    signal?.throwIfAborted()
    const { pieceCount } = this.#options.layout
    const state = new Uint8Array(pieceCount)
    const list: number[] = []
    for (const piece of isRange(pieces) ? numbers(pieces) : pieces) {
      if (!Number.isInteger(piece) || piece < 0 || piece >= pieceCount) {
        throw new RangeError(`there is no piece ${piece}: the torrent has ${pieceCount} pieces`)
      }
      if (state[piece] === 0) list.push(piece)
      state[piece] = queued
    }
    const run: Run = { pieces: list, state, priority, onResult, result: deferred(), next: 0, good: 0, bad: 0 }
    if (list.length === 0) return { good: 0, bad: 0 }
    const before = this.#runs.findIndex((other) => other.priority < priority)
    this.#runs = this.#runs.toSpliced(before < 0 ? this.#runs.length : before, 0, run)
    this.#pump ??= this.#work()
    try {
      return await abortable(run.result.promise, signal)
    } finally {
      this.#remove(run)
    }
  }

  /**
   * Checks one piece immediately, with a read of its own; other checks that wait for the piece get the result too. Returns false also when
   * the piece cannot be read.
   */
  async checkNow(piece: number, signal?: AbortSignal): Promise<boolean> {
    if (this.#closed) throw storageClosed()
    signal?.throwIfAborted()
    let running = this.#urgent.get(piece)
    if (running === undefined) {
      running = this.#checkHere(piece).finally(() => this.#urgent.delete(piece))
      this.#urgent.set(piece, running)
    }
    return abortable(running, signal)
  }

  /** Aborts all checks, which reject with ERR_STORAGE_CLOSED, and waits until no read is under way; idempotent. */
  async close(): Promise<void> {
    this.#closed = true
    this.#closing?.abort(storageClosed())
    for (const { result } of this.#runs) result.reject(storageClosed())
    this.#runs = []
    await Promise.allSettled([this.#pump, ...this.#urgent.values()])
  }

  /** Aborted by `close`. */
  get #signal(): AbortSignal {
    if (this.#closing === undefined) {
      this.#closing = new AbortController()
      if (this.#closed) this.#closing.abort(storageClosed())
    }
    return this.#closing.signal
  }

  async #work(): Promise<void> {
    const { pool, storage } = this.#options
    // Checks that begin in the same turn must be sorted by priority first.
    await turn()
    const threaded = pool !== undefined && storage.segments !== undefined && this.#bucket.rate === Infinity
    try {
      while (this.#runs.length > 0) {
        if (threaded && !this.#poolFailed) await this.#workOnThreads(pool)
        else await this.#workHere()
      }
    } catch (error) {
      for (const { result } of this.#runs) result.reject(error)
      this.#runs = []
    } finally {
      this.#pump = undefined
    }
  }

  async #workOnThreads(pool: HashPool): Promise<void> {
    const doubtful: number[] = []
    const given = new NumberMap<readonly StorageSegment[]>()
    try {
      await pool.hash(this.#jobs(given, doubtful), {
        algorithm: this.#algorithm,
        signal: this.#signal,
        onResult: (piece, digest, fault) => {
          const ok = digest !== undefined && this.#isRight(piece, digest)
          const before = given.get(piece)
          given.delete(piece)
          // If the file has moved, the piece is read through the storage, which knows where it is now.
          const isMoved = fault?.details['code'] === movedCode
          if (ok || (!isMoved && before !== undefined && sameSegments(before, this.#segments(piece))))
            this.#settle(piece, ok, fault)
          else doubtful.push(piece)
        }
      })
    } catch (error) {
      if (this.#closed) return
      log('hash threads failed, continuing on this thread: %s', error)
      this.#poolFailed = true
      this.#requeue()
      return
    }
    // Threads could not read these pieces, or their bytes have moved to another file meanwhile.
    for (const piece of doubtful) {
      if (this.#closed) return
      if (this.#runs.some(({ state }) => state[piece] === inFlight)) await this.#checkHere(piece)
    }
  }

  *#jobs(
    given: NumberMap<readonly StorageSegment[]>,
    doubtful: number[]
  ): Generator<{ index: number; segments: readonly StorageSegment[] }> {
    for (let piece = this.#take(); piece !== undefined; piece = this.#take()) {
      const segments = this.#segments(piece)
      if (segments === undefined) doubtful.push(piece)
      else {
        given.set(piece, segments)
        yield { index: piece, segments }
      }
    }
  }

  #segments(piece: number): readonly StorageSegment[] | undefined {
    const { storage, layout } = this.#options
    try {
      return storage.segments?.(layout.pieceOffset(piece), layout.pieceSize(piece))
    } catch {
      return undefined
    }
  }

  async #workHere(): Promise<void> {
    const piece = this.#take()
    if (piece === undefined) return this.#requeue()
    const waitMs = this.#bucket.waitMs(monotonicMs())
    if (waitMs > 0) await delay(waitMs, undefined, { signal: this.#signal }).catch(() => {})
    if (this.#closed) return
    if (!this.#runs.some(({ state }) => state[piece] === inFlight)) return
    this.#bucket.take(this.#options.layout.pieceSize(piece), monotonicMs())
    await this.#checkHere(piece)
  }

  /** Returns the next piece of the check with the highest priority and marks it in flight. */
  #take(): number | undefined {
    for (const run of this.#runs) {
      while (run.next < run.pieces.length) {
        const piece = run.pieces[run.next++]
        if (piece === undefined || run.state[piece] !== queued) continue
        run.state[piece] = inFlight
        return piece
      }
    }
    return undefined
  }

  /** Queues pieces again that were in flight without a result. */
  #requeue(): void {
    for (const run of this.#runs) {
      run.next = 0
      for (const piece of run.pieces) if (run.state[piece] === inFlight) run.state[piece] = queued
    }
  }

  /** Reads and hashes a piece on this thread, and reports to all checks that wait for it. */
  async #checkHere(piece: number): Promise<boolean> {
    let ok = false
    let fault: Error | undefined
    try {
      const digest = await this.#hash(piece)
      ok = digest !== undefined && this.#isRight(piece, digest)
    } catch (error) {
      // An error of a closed storage is no result.
      if (this.#closed || isClosed(error)) throw error
      fault = asError(error)
      log('piece %d cannot be read: %s', piece, error)
    }
    this.#settle(piece, ok, fault)
    return ok
  }

  async #hash(piece: number): Promise<Uint8Array | undefined> {
    const { storage, layout } = this.#options
    const hash = new RunningHash(this.#algorithm)
    const size = layout.pieceSize(piece)
    const slice = new Uint8Array(Math.min(size, sliceLength))
    for (let at = 0; at < size; at += slice.byteLength) {
      const part = slice.subarray(0, Math.min(slice.byteLength, size - at))
      const count = await storage.read(layout.pieceOffset(piece) + at, part, this.#signal)
      if (count < part.byteLength) return undefined
      hash.update(part)
      // Reads from memory never yield to the event loop.
      if (monotonicMs() - this.#turnAtMs > turnMs) {
        await turn()
        this.#turnAtMs = monotonicMs()
      }
    }
    return hash.digest()
  }

  #isRight(piece: number, digest: Uint8Array): boolean {
    const expected = this.#options.expected(piece)
    return expected !== undefined && equalBytes(digest, expected)
  }

  #settle(piece: number, ok: boolean, error?: Error): void {
    for (const run of this.#runs) {
      const state = run.state[piece]
      if (state !== queued && state !== inFlight) continue
      run.state[piece] = done
      if (ok) run.good++
      else run.bad++
      try {
        run.onResult?.(piece, ok, error)
      } catch (thrown) {
        run.result.reject(thrown)
        this.#remove(run)
        continue
      }
      if (run.good + run.bad < run.pieces.length) continue
      this.#remove(run)
      run.result.resolve({ good: run.good, bad: run.bad })
    }
  }

  #remove(run: Run): void {
    this.#runs = this.#runs.filter((other) => other !== run)
  }
}

function isClosed(error: unknown): boolean {
  return error instanceof TorrentError && error.code === 'ERR_STORAGE_CLOSED'
}

function isRange(pieces: Range | readonly number[]): pieces is Range {
  return !Array.isArray(pieces)
}

function* numbers({ start, end }: Range): Generator<number> {
  for (let number = start; number < end; number++) yield number
}

function sameSegments(a: readonly StorageSegment[], b: readonly StorageSegment[] | undefined): boolean {
  return (
    b !== undefined &&
    a.length === b.length &&
    a.every(({ path, fileOffset }, index) => path === b[index]?.path && fileOffset === b[index]?.fileOffset)
  )
}
