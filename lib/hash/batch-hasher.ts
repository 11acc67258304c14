import { closeSync, readSync } from 'node:fs'
import { type HashBatch, type HashBatchResult, isMissing, type ReadFault, readFault } from './hash-job.ts'
import { openSegmentSync } from './open-segment.ts'
import { digestLength, hashOf, RunningHash } from './running-hash.ts'

/** Large enough that system calls cost little beside hashing, small enough to stay in the CPU cache. */
const bufferBytes = 2 ** 20
/** Open files per thread. Pieces come in order, so files are rarely needed again. */
const maxOpenFiles = 4

/**
 * Reads and hashes batches synchronously, in a worker. Adjacent segments are read together, across piece boundaries. Files stay open until
 * their run ends or the limit is reached.
 */
export class BatchHasher {
  readonly #buffer = new Uint8Array(bufferBytes)
  readonly #zeros = new Uint8Array(65536)
  readonly #files = new Map<string, { run: number; descriptor: number }>()
  /** Files found missing in this batch; each is looked up once. */
  readonly #missing = new Set<string>()
  /** The file last accessed. */
  #path = ''
  /** Content of the buffer: path index in this batch, and range in the file. */
  #bufferedPath = -1
  #bufferedStart = 0
  #bufferedEnd = 0

  /** Returns the digests of a batch. File errors are reported in the result, never thrown. */
  hash(batch: HashBatch): HashBatchResult {
    const { run, algorithm, indices, counts, cancelled } = batch
    const size = digestLength(algorithm)
    const digests = new Uint8Array(indices.length * size)
    const complete = new Uint8Array(indices.length)
    const faults: [number, ReadFault][] = []
    this.#missing.clear()
    this.#bufferedPath = -1
    let segment = 0
    for (const [position, count] of counts.entries()) {
      if (Atomics.load(cancelled, 0) !== 0) break
      try {
        const digest = this.#piece(batch, segment, segment + count)
        if (digest !== undefined) {
          digests.set(digest, position * size)
          complete[position] = 1
        }
      } catch (error) {
        faults.push([position, readFault(this.#path, error)])
      }
      segment += count
    }
    return { run, digests, complete, faults }
  }

  /** Closes the files of a run, or of all runs. */
  close(run?: number): void {
    for (const [key, file] of this.#files) {
      if (run !== undefined && file.run !== run) continue
      this.#files.delete(key)
      closeSync(file.descriptor)
    }
  }

  /** Returns the digest of the piece made of the segments `[from, to)`, or undefined when bytes are missing. */
  #piece(batch: HashBatch, from: number, to: number): Uint8Array | undefined {
    const { algorithm, segments, cancelled } = batch
    let left = 0
    for (let n = from; n < to; n++) left += segments[3 * n + 2] ?? 0
    let running: RunningHash | undefined
    for (let n = from; n < to; n++) {
      const path = segments[3 * n] ?? -1
      let offset = segments[3 * n + 1] ?? 0
      let length = segments[3 * n + 2] ?? 0
      while (length > 0) {
        if (Atomics.load(cancelled, 0) !== 0) return undefined
        const part = path < 0 ? this.#zeros.subarray(0, length) : this.#read(batch, n, path, offset, length)
        if (part === undefined) return undefined
        if (running === undefined && part.length === left) return hashOf(algorithm, part)
        running ??= new RunningHash(algorithm)
        running.update(part)
        offset += part.length
        length -= part.length
        left -= part.length
      }
    }
    return running?.digest() ?? hashOf(algorithm, new Uint8Array(0))
  }

  /** Returns up to `length` bytes of a file from the buffer, which is filled if needed; undefined at the end of the file. */
  #read(
    batch: HashBatch,
    segment: number,
    path: number,
    offset: number,
    length: number
  ): Uint8Array | undefined {
    const held = path === this.#bufferedPath && offset >= this.#bufferedStart && offset < this.#bufferedEnd
    if (!held) {
      this.#path = batch.paths[path] ?? ''
      const descriptor = this.#open(batch, path)
      if (descriptor === undefined) return undefined
      const extent = Math.min(
        bufferBytes,
        this.#extent(batch.segments, segment, path, offset + length) - offset
      )
      this.#bufferedPath = -1
      const bytesRead = readSync(descriptor, this.#buffer, 0, extent, offset)
      if (bytesRead === 0) return undefined
      this.#bufferedPath = path
      this.#bufferedStart = offset
      this.#bufferedEnd = offset + bytesRead
    }
    const at = offset - this.#bufferedStart
    return this.#buffer.subarray(at, Math.min(at + length, this.#bufferedEnd - this.#bufferedStart))
  }

  /** Returns the end offset of the adjacent segments from segment `n` on, which one read can cover; `end` is the end of segment `n`. */
  #extent(segments: Float64Array, n: number, path: number, end: number): number {
    let extent = end
    for (let at = 3 * n + 3; at < segments.length && extent - end < bufferBytes; at += 3) {
      if (segments[at] !== path || segments[at + 1] !== extent) break
      extent += segments[at + 2] ?? 0
    }
    return extent
  }

  #open({ run, paths, folders }: HashBatch, index: number): number | undefined {
    const path = paths[index] ?? ''
    const key = `${run} ${path}`
    const known = this.#files.get(key)
    if (known !== undefined) return known.descriptor
    if (this.#missing.has(path)) return undefined
    for (const [oldest, file] of this.#files) {
      if (this.#files.size < maxOpenFiles) break
      this.#files.delete(oldest)
      closeSync(file.descriptor)
    }
    try {
      const descriptor = openSegmentSync(path, folders[index])
      this.#files.set(key, { run, descriptor })
      return descriptor
    } catch (error) {
      if (!isMissing(error)) throw error
      this.#missing.add(path)
      return undefined
    }
  }
}
