import type { FileHandle } from 'node:fs/promises'
import type { TorrentError } from '../util/errors.ts'
import {
  type HashJob,
  isMissing,
  type OnHashed,
  readError,
  readFault,
  type Segment,
  type SegmentFolder
} from './hash-job.ts'
import { openSegment } from './open-segment.ts'
import { type HashAlgorithm, RunningHash } from './running-hash.ts'

/** Bytes per read. Hashing them takes well under a millisecond, so the event loop is not blocked. */
const chunkBytes = 262144

/** Hashes pieces on this thread with asynchronous reads. Rejects with the signal's reason, or an error that `jobs` or `onHashed` throws. */
export async function hashInline(
  jobs: Iterable<HashJob>,
  algorithm: HashAlgorithm,
  onHashed: OnHashed,
  signal?: AbortSignal
): Promise<void> {
  const reader = new Reader()
  try {
    for (const { index, segments } of jobs) {
      signal?.throwIfAborted()
      let digest: Uint8Array | undefined
      let fault: TorrentError | undefined
      try {
        digest = await reader.hash(segments, algorithm, signal)
      } catch (error) {
        signal?.throwIfAborted()
        fault = readError(readFault(reader.path ?? '', error))
      }
      onHashed(index, digest, fault)
    }
  } finally {
    await reader.close()
  }
}

/** Reads segments through one buffer and keeps the last file open. */
class Reader {
  readonly #buffer = new Uint8Array(chunkBytes)
  /** The file last accessed. */
  path: string | undefined
  #handle: FileHandle | undefined

  async hash(
    segments: readonly Segment[],
    algorithm: HashAlgorithm,
    signal: AbortSignal | undefined
  ): Promise<Uint8Array | undefined> {
    const hash = new RunningHash(algorithm)
    for (const { path, fileOffset, length, folder } of segments) {
      for (let done = 0; done < length; ) {
        signal?.throwIfAborted()
        const wanted = Math.min(chunkBytes, length - done)
        let bytesRead = wanted
        if (path === undefined) this.#buffer.fill(0, 0, wanted)
        else bytesRead = await this.#read(path, folder, fileOffset + done, wanted)
        if (bytesRead === 0) return undefined
        hash.update(this.#buffer.subarray(0, bytesRead))
        done += bytesRead
      }
    }
    return hash.digest()
  }

  async close(): Promise<void> {
    const handle = this.#handle
    this.#handle = undefined
    await handle?.close()
  }

  /** Returns the number of bytes read into the buffer; 0 at the end of the file or when it is missing. */
  async #read(
    path: string,
    folder: SegmentFolder | undefined,
    position: number,
    length: number
  ): Promise<number> {
    if (path !== this.path || this.#handle === undefined) {
      await this.close()
      this.path = path
      try {
        this.#handle = await openSegment(path, folder)
      } catch (error) {
        if (isMissing(error)) return 0
        throw error
      }
    }
    const read = await this.#handle?.read(this.#buffer, 0, length, position)
    return read?.bytesRead ?? 0
  }
}
