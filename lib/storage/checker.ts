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

/** What a {@link Checker} works with. */
export interface CheckerOptions {
  /** Must be open. */
  readonly storage: Storage
  readonly layout: Layout
  /** The digest that a piece should have; a piece without one is never right. */
  readonly expected: (piece: number) => Uint8Array | undefined
  /** Default `sha1`. */
  readonly algorithm?: HashAlgorithm
  /** Threads for the background, used when the storage has `segments` and there is no limit. Not closed here. */
  readonly pool?: HashPool
  /** Limit of the background; `checkNow` ignores it. Default `Infinity`. */
  readonly bytesPerSecond?: number
}

/** How to check a set of pieces. */
export interface CheckOptions {
  /** Ends this check; its promise rejects with the reason. */
  readonly signal?: AbortSignal
  /** Told of each piece once, in any order; `error` is there when its bytes exist and could not be read. */
  readonly onResult?: (piece: number, ok: boolean, error?: Error) => void
  /** Pieces of a check with more priority go first. Default 0. */
  readonly priority?: number
}

/** How a check ended. */
export interface CheckSummary {
  /** Pieces that are there and right. */
  readonly good: number
  /** Pieces that are missing, wrong or unreadable. */
  readonly bad: number
}

const queued = 1
const inFlight = 2
const done = 3

interface Run {
  readonly pieces: readonly number[]
  /** By piece: `queued`, `inFlight`, `done`, or 0 for pieces of others. */
  readonly state: Uint8Array
  readonly priority: number
  readonly onResult: ((piece: number, ok: boolean, error?: Error) => void) | undefined
  readonly result: Deferred<CheckSummary>
  /** Index into `pieces` of the next one to look at. */
  next: number
  good: number
  bad: number
}

const sliceLength = 256 * 1024
const turnMs = 8
const log = debug('storage:checker')

/**
 * Compares stored pieces with their digests. Checks run in the background, on all cores where there are files and a
 * pool, else on this thread without holding it for long; `checkNow` does not wait for them.
 */
export class Checker {
  readonly #options: CheckerOptions
  readonly #algorithm: HashAlgorithm
  readonly #bucket: TokenBucket
  /** Made when it is first needed: most torrents have nothing to check. */
  #closing: AbortController | undefined
  #closed = false
  /** The most important first; never changed, but replaced. */
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

  /** Checks pieces in the order given, as far as more important checks and `checkNow` leave room. */
  async check(pieces: Range | readonly number[], options: CheckOptions = {}): Promise<CheckSummary> {
    const { signal, onResult, priority = 0 } = options
    if (this.#closed) throw storageClosed()
    signal?.throwIfAborted()
    const { pieceCount } = this.#options.layout
    const state = new Uint8Array(pieceCount)
    const list: number[] = []
    for (const piece of isRange(pieces) ? numbers(pieces) : pieces) {
      if (!Number.isInteger(piece) || piece < 0 || piece >= pieceCount) {
        throw new RangeError(`there is no piece ${piece} among ${pieceCount}`)
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
   * Checks one piece at once, by a read of its own; checks that wait for the same piece get the result too. False also
   * when the piece cannot be read.
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

  /** Ends all checks, which reject with ERR_STORAGE_CLOSED, and waits until no read is under way; idempotent. */
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
    // One turn later, so that checks begun together are ordered by their priority.
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
          // The storage finds out where a file is now, and whether it may be read there.
          const isMoved = fault?.details['code'] === movedCode
          if (ok || (!isMoved && before !== undefined && sameSegments(before, this.#segments(piece))))
            this.#settle(piece, ok, fault)
          else doubtful.push(piece)
        }
      })
    } catch (error) {
      if (this.#closed) return
      log('threads gave up, going on without them: %s', error)
      this.#poolFailed = true
      this.#requeue()
      return
    }
    // Their bytes were moved to another file meanwhile, or lie where nobody may look.
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

  /** The next piece of the most important check, which counts as in flight from now on. */
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

  /** Puts back what was handed out and not answered. */
  #requeue(): void {
    for (const run of this.#runs) {
      run.next = 0
      for (const piece of run.pieces) if (run.state[piece] === inFlight) run.state[piece] = queued
    }
  }

  /** Reads and hashes a piece on this thread, and tells the checks that wait for it. */
  async #checkHere(piece: number): Promise<boolean> {
    let ok = false
    let fault: Error | undefined
    try {
      const digest = await this.#hash(piece)
      ok = digest !== undefined && this.#isRight(piece, digest)
    } catch (error) {
      // A storage that is closed says nothing about its pieces.
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
      // Memory answers without ever leaving this turn of the event loop.
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
