import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { TorrentError } from '../util/errors.ts'
import { hashInline } from './hash-inline.ts'
import {
  type HashBatch,
  type HashBatchResult,
  type HashJob,
  type OnHashed,
  readError,
  type SegmentFolder
} from './hash-job.ts'
import { digestLength, type HashAlgorithm } from './running-hash.ts'

/** Options of a hash call. */
export interface HashOptions {
  /** Default `sha1`. */
  readonly algorithm?: HashAlgorithm
  readonly onResult: OnHashed
  /** Stops the work, even within a batch; the promise then rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

/** Work of fewer bytes is finished on this thread before a worker would have started. */
const inlineBytes = 4 * 2 ** 20
const maxInlinePieces = 4096
/** Bytes per batch. Hashing takes a few milliseconds: long beside the cost of a message, short enough for a quick abort. */
const batchBytes = 8 * 2 ** 20
const maxBatchPieces = 512
const maxBatchSegments = 4096
/** One being hashed and one queued, so that a worker never waits for the main thread. */
const batchesPerWorker = 2

/** A call of `hash` under way. */
interface Run {
  readonly id: number
  readonly jobs: Iterator<HashJob>
  readonly algorithm: HashAlgorithm
  readonly onResult: OnHashed
  readonly cancelled: Int32Array
  /** Batches sent without a result yet. */
  outstanding: number
  exhausted: boolean
  failed: boolean
  error: unknown
  readonly settle: () => void
}

interface Thread {
  readonly worker: Worker
  /** Piece indices of each batch sent to the worker, oldest first. */
  readonly batches: (readonly number[])[]
}

/**
 * Hashes pieces of files on several threads, which read the files themselves, so that only digests are transferred. Threads start when
 * there is enough work, are shared round-robin by all calls, and end with the last call, so an idle pool holds nothing. Hashes on this
 * thread if no worker can be started: in a bundle without the worker file, or if Node's permission model forbids worker threads.
 */
export class HashPool {
  readonly #limit: number
  readonly #startWorker: () => Worker
  /** Whether a thread could be started; undefined until one is first needed. */
  #canStart: Promise<boolean> | undefined
  readonly #threads = new Set<Thread>()
  readonly #ending = new Set<Promise<unknown>>()
  #runs: Run[] = []
  #nextRun = 0
  #closed = false

  /** Makes a pool of at most `threads` threads, by default one for each core. */
  constructor(threads: number = availableParallelism(), start: () => Worker = startWorker) {
    this.#limit = Math.max(1, Math.floor(threads))
    this.#startWorker = start
  }

  /** Number of running threads. */
  get threads(): number {
    return this.#threads.size
  }

  /**
   * Hashes pieces and resolves after `onResult` was called for each. Pulls from `jobs` only as threads become free. Missing and short files
   * give no digest, other read errors give a fault; neither rejects.
   * @throws TorrentError ERR_HASH_WORKER when a thread dies or the pool is closed; the signal's reason; errors of `jobs` and `onResult`.
   */
  async hash(jobs: Iterable<HashJob>, { algorithm = 'sha1', onResult, signal }: HashOptions): Promise<void> {
    signal?.throwIfAborted()
    if (this.#closed) throw closedError()
    const iterator = jobs[Symbol.iterator]()
    const first: HashJob[] = []
    let bytes = 0
    while (bytes < inlineBytes && first.length < maxInlinePieces) {
      const { value, done } = iterator.next()
      if (done) return hashInline(first, algorithm, onResult, signal)
      first.push(value)
      for (const { length } of value.segments) bytes += length
    }
    const all = resumed(first, iterator)
    this.#canStart ??= this.#tryThread()
    const canStart = await this.#canStart
    if (this.#closed) throw closedError()
    if (!canStart) return hashInline(all, algorithm, onResult, signal)
    try {
      await this.#run(all, algorithm, onResult, signal)
    } finally {
      if (this.#runs.length === 0) this.#endThreads()
      if (this.#threads.size === 0) await Promise.all(this.#ending)
    }
  }

  /** Stops all work, whose promises reject, and ends the threads; idempotent. */
  async close(): Promise<void> {
    this.#closed = true
    this.#failAll(closedError())
    await Promise.all(this.#ending)
  }

  #run(
    jobs: Iterator<HashJob>,
    algorithm: HashAlgorithm,
    onResult: OnHashed,
    signal: AbortSignal | undefined
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => this.#fail(run, signal?.reason)
      const run: Run = {
        id: this.#nextRun++,
        jobs,
        algorithm,
        onResult,
        cancelled: new Int32Array(new SharedArrayBuffer(4)),
        outstanding: 0,
        exhausted: false,
        failed: false,
        error: undefined,
        settle: () => {
          signal?.removeEventListener('abort', onAbort)
          if (run.failed) reject(run.error)
          else resolve()
        }
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#runs.push(run)
      if (signal?.aborted) onAbort()
      else this.#dispatch()
    })
  }

  /** Sends batches until every thread has enough or no run has more. */
  #dispatch(): void {
    for (;;) {
      const thread = this.#freeThread()
      if (thread === undefined && this.#threads.size >= this.#limit) return
      const batch = this.#nextBatch()
      if (batch === undefined) return
      const target = thread ?? this.#startThread()
      target.batches.push(batch.indices)
      target.worker.postMessage(batch)
    }
  }

  /** Returns the thread with the least work; undefined when all have enough, or all have some and another one may start. */
  #freeThread(): Thread | undefined {
    let best: Thread | undefined
    for (const thread of this.#threads) {
      if (thread.batches.length < (best?.batches.length ?? batchesPerWorker)) best = thread
    }
    return best !== undefined && best.batches.length > 0 && this.#threads.size < this.#limit
      ? undefined
      : best
  }

  /** Returns the next batch, round-robin over the runs. */
  #nextBatch(): HashBatch | undefined {
    for (const run of [...this.#runs]) {
      const batch = run.exhausted ? undefined : this.#fillBatch(run)
      if (batch === undefined) {
        this.#finishIfDone(run)
        continue
      }
      run.outstanding++
      this.#runs = [...this.#runs.filter((other) => other !== run), run]
      return batch
    }
    return undefined
  }

  #fillBatch(run: Run): HashBatch | undefined {
    const indices: number[] = []
    const counts: number[] = []
    const paths = new Map<string, number>()
    const folders: (SegmentFolder | undefined)[] = []
    const segments: number[] = []
    let bytes = 0
    try {
      while (
        bytes < batchBytes &&
        indices.length < maxBatchPieces &&
        segments.length < 3 * maxBatchSegments
      ) {
        const { value, done } = run.jobs.next()
        if (done) {
          run.exhausted = true
          break
        }
        indices.push(value.index)
        counts.push(value.segments.length)
        for (const { path, fileOffset, length, folder } of value.segments) {
          let at = path === undefined ? -1 : paths.get(path)
          if (at === undefined) {
            at = paths.size
            if (path !== undefined) paths.set(path, at)
            folders.push(folder)
          }
          segments.push(at, fileOffset, length)
          bytes += length
        }
      }
    } catch (error) {
      this.#fail(run, error)
      return undefined
    }
    if (indices.length === 0) return undefined
    const { id, algorithm, cancelled } = run
    return {
      run: id,
      algorithm,
      indices,
      counts,
      paths: [...paths.keys()],
      folders,
      segments: Float64Array.from(segments),
      cancelled
    }
  }

  /** Starts the first thread; resolves with false if it exits before it is ready. */
  #tryThread(): Promise<boolean> {
    return new Promise((resolve) => {
      try {
        const { worker } = this.#startThread()
        worker.once('message', () => resolve(true))
        worker.once('exit', () => resolve(false))
      } catch {
        resolve(false)
      }
    })
  }

  #startThread(): Thread {
    const worker = this.#startWorker()
    const thread: Thread = { worker, batches: [] }
    this.#threads.add(thread)
    // The first message means that the worker is ready.
    worker.once('message', () => {
      worker.on('message', (result: HashBatchResult) => this.#receive(thread, result))
    })
    worker.on('error', (cause) => this.#lose(thread, cause))
    worker.on('exit', () => this.#lose(thread, undefined))
    return thread
  }

  #receive(thread: Thread, { run: id, digests, complete, faults }: HashBatchResult): void {
    const indices = thread.batches.shift() ?? []
    const run = this.#runs.find((candidate) => candidate.id === id)
    if (run !== undefined) {
      run.outstanding--
      const size = digestLength(run.algorithm)
      const errors = new Map(faults)
      for (const [n, index] of indices.entries()) {
        // An onResult may abort the run; no more results are reported then.
        if (run.failed) break
        try {
          if (complete[n] === 1) run.onResult(index, digests.subarray(n * size, (n + 1) * size))
          else {
            const fault = errors.get(n)
            run.onResult(index, undefined, fault === undefined ? undefined : readError(fault))
          }
        } catch (error) {
          this.#fail(run, error)
        }
      }
      this.#finishIfDone(run)
    }
    this.#dispatch()
  }

  #finishIfDone(run: Run): void {
    if (!run.exhausted || run.outstanding > 0 || !this.#runs.includes(run)) return
    this.#runs = this.#runs.filter((other) => other !== run)
    for (const { worker } of this.#threads) worker.postMessage({ finished: run.id })
    run.settle()
  }

  /** Fails a run: takes no more jobs and drops its results. The run settles when no thread works on it any more. */
  #fail(run: Run, error: unknown): void {
    if (run.failed || !this.#runs.includes(run)) return
    run.failed = true
    run.error = error
    Atomics.store(run.cancelled, 0, 1)
    if (!run.exhausted) {
      run.exhausted = true
      try {
        run.jobs.return?.()
      } catch {
        // The run has failed already, and its first error is more useful.
      }
    }
    this.#finishIfDone(run)
  }

  #lose(thread: Thread, cause: unknown): void {
    if (!this.#threads.delete(thread)) return
    this.#failAll(
      new TorrentError('ERR_HASH_WORKER', 'A hashing thread ended before its work was done', { cause })
    )
  }

  #failAll(error: Error): void {
    for (const run of [...this.#runs]) {
      run.outstanding = 0
      this.#fail(run, error)
      // A run that failed before was waiting for threads that no longer answer.
      this.#finishIfDone(run)
    }
    this.#endThreads()
  }

  #endThreads(): void {
    for (const { worker } of this.#threads) {
      const ended = worker.terminate().catch(() => {})
      this.#ending.add(ended)
      void ended.then(() => this.#ending.delete(ended))
    }
    this.#threads.clear()
  }
}

function startWorker(): Worker {
  // A URL inside `new Worker()` makes webpack build a browser's worker; this way it copies the file.
  const file = new URL('./hash-worker.js', import.meta.url)
  return new Worker(file, {
    name: 'piecewise-hash',
    // Workers may reject flags that the process accepts.
    execArgv: []
  })
}

function* resumed(first: readonly HashJob[], rest: Iterator<HashJob>): Generator<HashJob> {
  let finished = false
  try {
    yield* first
    for (let next = rest.next(); !next.done; next = rest.next()) yield next.value
    finished = true
  } finally {
    if (!finished) rest.return?.()
  }
}

function closedError(): TorrentError {
  return new TorrentError('ERR_HASH_WORKER', 'The hash pool is closed')
}

const shared = new HashPool()

/** Options of {@link hashPieces}. */
export interface HashPiecesOptions extends HashOptions {
  /** Maximum number of threads, started for this call alone. Default: a pool that all calls in the process share, one thread per core. */
  readonly threads?: number
}

/** Hashes pieces as {@link HashPool.hash} does, on threads shared by the process. */
export async function hashPieces(jobs: Iterable<HashJob>, options: HashPiecesOptions): Promise<void> {
  if (options.threads === undefined) return shared.hash(jobs, options)
  const pool = new HashPool(options.threads)
  try {
    await pool.hash(jobs, options)
  } finally {
    await pool.close()
  }
}
