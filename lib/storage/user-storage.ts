import type { Layout } from '../metainfo/layout.ts'
import { TorrentError } from '../util/errors.ts'
import { ask, throwLater } from '../util/user-code.ts'
import type { Storage, StorageSegment, StorageStats } from './storage.ts'
import { storageError } from './storage-error.ts'

/** Name of the storage in messages; it has no path. */
const name = "the torrent's own storage"

/**
 * Wraps a storage that the caller of `add` provided, to enforce the contract: exceptions become rejections, errors become TorrentErrors,
 * and invalid results are errors. Methods that it lacks are absent here too.
 */
export class UserStorage implements Storage {
  readonly select?: (wanted: readonly boolean[]) => Promise<void>
  readonly segments?: (byteOffset: number, length: number) => StorageSegment[]
  readonly stats?: () => Promise<StorageStats>
  readonly inPlace?: (fileIndex: number) => boolean
  readonly #storage: Storage

  constructor(storage: Storage) {
    this.#storage = storage
    if (storage.select !== undefined) {
      this.select = (wanted) => this.#ask('write', () => storage.select?.(wanted))
    }
    if (storage.segments !== undefined) {
      // When this throws, the bytes are read with `read` instead.
      this.segments = (byteOffset, length) => {
        const segments: unknown = storage.segments?.(byteOffset, length)
        if (isCovering(segments, length)) return segments
        throw odd('segments', segments, `a list of segments of ${length} bytes in all`)
      }
    }
    if (storage.stats !== undefined) this.stats = () => this.#stats()
    if (storage.inPlace !== undefined) this.inPlace = (fileIndex) => this.#inPlace(fileIndex)
  }

  get created(): readonly string[] {
    const created: unknown = this.#storage.created
    return Array.isArray(created) ? created.filter((path) => typeof path === 'string') : []
  }

  open(layout: Layout, wanted: readonly boolean[]): Promise<void> {
    return this.#ask('write', () => this.#storage.open(layout, wanted))
  }

  async read(byteOffset: number, target: Uint8Array, signal?: AbortSignal): Promise<number> {
    let count: unknown
    try {
      count = await this.#storage.read(byteOffset, target, signal)
    } catch (thrown) {
      // The reason of an abort belongs to the caller.
      throw signal?.aborted === true ? thrown : storageError(thrown, 'read', name)
    }
    if (typeof count === 'number' && Number.isInteger(count) && count >= 0 && count <= target.byteLength)
      return count
    throw odd('read', count, `a number of bytes from 0 to ${target.byteLength}`)
  }

  write(byteOffset: number, chunks: readonly Uint8Array[]): Promise<void> {
    return this.#ask('write', () => this.#storage.write(byteOffset, chunks))
  }

  sync(): Promise<void> {
    return this.#ask('write', () => this.#storage.sync())
  }

  close(): Promise<void> {
    return this.#ask('write', () => this.#storage.close())
  }

  delete(): Promise<void> {
    return this.#ask('write', () => this.#storage.delete())
  }

  /** Returns true on an error, because the torrent could never complete otherwise. */
  #inPlace(fileIndex: number): boolean {
    try {
      return this.#storage.inPlace?.(fileIndex) !== false
    } catch (thrown) {
      throwLater(thrown)
      return true
    }
  }

  async #stats(): Promise<StorageStats> {
    const stats = await this.#ask('read', () => this.#storage.stats?.())
    if (Array.isArray(stats?.files)) return stats
    throw odd('stats', stats, 'an object with a list of files')
  }

  async #ask<T>(action: 'read' | 'write', question: () => T | PromiseLike<T>): Promise<T> {
    try {
      return await ask(question)
    } catch (thrown) {
      throw storageError(thrown, action, name)
    }
  }
}

function isCovering(segments: unknown, length: number): segments is StorageSegment[] {
  if (!Array.isArray(segments)) return false
  return segments.reduce((sum, segment) => sum + Number(segment?.length), 0) === length
}

function odd(method: string, answer: unknown, expected: string): TorrentError {
  const details = { method, answer }
  return new TorrentError('ERR_STORAGE_READ', `'${method}' of ${name} must return ${expected}`, { details })
}
