import type { FileEntry } from '../metainfo/metainfo.ts'
import { checkPriority, normalPriority } from '../pieces/selection.ts'
import type { ByteSource } from '../stream/byte-source.ts'
import { FileStream, type FileStreamOptions, streamOptionRefusal } from '../stream/file-stream.ts'
import { toWebStream } from '../stream/web-stream.ts'
import { inspectAs } from '../util/inspect-as.ts'
import { checkNoMore, checkOptionNames } from '../util/options.ts'
import { contentType } from './content-type.ts'

/** Services of the torrent for a {@link TorrentFile}. Files are numbered by their index in the layout. */
export interface FileHost extends ByteSource {
  verifiedBytes(fileIndex: number): number
  /** Returns whether every byte is verified and stored in the file itself. */
  isDone(fileIndex: number): boolean
  /** Returns the absolute path of a file, or undefined with a custom storage. */
  diskPath(fileIndex: number): string | undefined
  /** Returns the selection priority of a file: 0 (not selected) to 7. */
  priorityOf(fileIndex: number): number
  /** Sets the selection priority of a file: 0 (not selected) to 7. */
  setPriority(fileIndex: number, priority: number): void
  /** Registers a stream that was opened. */
  opened(stream: FileStream, fileIndex: number): void
}

/** Plain data of a {@link TorrentFile} for `JSON.stringify`. */
export interface TorrentFileSnapshot {
  /** Name of the file, without folders. */
  readonly name: string
  /** Path in the torrent, with `/`. */
  readonly path: string
  /** Length in bytes. */
  readonly length: number
  /** Offset in the torrent in bytes, including pad files. */
  readonly offset: number
  /** Media type by its extension. */
  readonly type: string
  /** Number of verified bytes. */
  readonly downloaded: number
  /** Fraction of its bytes that are verified, 0 to 1. */
  readonly progress: number
  /** Whether every byte is verified. */
  readonly done: boolean
  /** 0 (not selected) to 7. */
  readonly priority: number
  /** Absolute path on disk once the file is complete. */
  readonly diskPath: string | undefined
}

/** One file of a torrent. Can be read while it downloads, and selected for download. */
export class TorrentFile implements AsyncIterable<Uint8Array> {
  /** The last element of `path`. */
  readonly name: string
  /** Path below the torrent's data folder, with `/` separators. */
  readonly path: string
  /** Length in bytes. */
  readonly length: number
  /** Offset in the torrent in bytes, including pad files (BEP 47). */
  readonly offset: number
  /** MIME type by the file name extension; default `application/octet-stream`. */
  readonly type: string
  readonly #index: number
  readonly #host: FileHost

  /** @internal */
  constructor(entry: FileEntry, index: number, host: FileHost) {
    this.name = entry.name
    this.path = entry.path
    this.length = entry.length
    this.offset = entry.offset
    this.type = contentType(entry.name)
    this.#index = index
    this.#host = host
  }

  /** Number of verified bytes, also of a file that is not selected. */
  get downloaded(): number {
    return this.#host.verifiedBytes(this.#index)
  }

  /** Verified share of the file, 0 to 1; 1 for an empty file. */
  get progress(): number {
    return this.length === 0 ? 1 : this.downloaded / this.length
  }

  /**
   * Whether every byte is verified and stored in the file itself. Bytes of a file that is not selected are in a separate parts file
   * until it is selected or read. An empty file is created when it is selected.
   */
  get done(): boolean {
    return this.#host.isDone(this.#index)
  }

  /**
   * Absolute path of the file on disk; undefined until it is `done`, and with a custom `storage`.
   */
  get diskPath(): string | undefined {
    return this.done ? this.#host.diskPath(this.#index) : undefined
  }

  /** Whether the whole file is to be downloaded, not only the parts that streams read. */
  get selected(): boolean {
    return this.priority > 0
  }

  /** Selection priority, 0 (not selected) to 7. */
  get priority(): number {
    return this.#host.priorityOf(this.#index)
  }

  /**
   * Selects the file for download. Files of a higher priority (1 to 7, default 4) come first.
   * @throws RangeError unless the priority is a whole number from 1 to 7.
   */
  select(priority: number = normalPriority): void {
    checkPriority(priority)
    this.#host.setPriority(this.#index, priority)
  }

  /** Deselects the file: only what streams read is downloaded. */
  deselect(): void {
    this.#host.setPriority(this.#index, 0)
  }

  /**
   * Returns the file, or its bytes `start` to `end` (inclusive, as in `node:fs`), as a Readable with `seek`. The stream requests nothing
   * before the first read; from then on, pieces from the cursor on are requested first.
   * @throws RangeError if start or end is negative or not a whole number, or start is beyond end or the end of the file.
   */
  createReadStream(options?: FileStreamOptions): FileStream
  createReadStream(options: FileStreamOptions = {}, ...more: unknown[]): FileStream {
    checkNoMore(more, streamOptionRefusal)
    const stream = new FileStream(this, this.#host, options)
    this.#host.opened(stream, this.#index)
    return stream
  }

  /** Returns the file, or a part of it, as a web ReadableStream of bytes. */
  stream(options: Omit<FileStreamOptions, 'encoding' | 'emitClose'> = {}): ReadableStream<Uint8Array> {
    checkOptionNames(options, ['start', 'end', 'signal', 'unverified', 'highWaterMark'], streamOptionRefusal)
    return toWebStream(this.createReadStream(options))
  }

  /** Returns the file's members as plain data. */
  toJSON(): TorrentFileSnapshot {
    const { name, path, length, offset, type, downloaded, progress, done, priority, diskPath } = this
    return { name, path, length, offset, type, downloaded, progress, done, priority, diskPath }
  }

  /** Iterates over the bytes of the file from start to end, in chunks. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    yield* this.createReadStream()
  }

  /** Reads the whole file into memory. */
  async arrayBuffer(options: { readonly signal?: AbortSignal } = {}): Promise<ArrayBuffer> {
    checkOptionNames(options, ['signal'], streamOptionRefusal)
    const bytes = new Uint8Array(new ArrayBuffer(this.length))
    let at = 0
    for await (const chunk of this.createReadStream(options)) {
      bytes.set(chunk, at)
      at += chunk.length
    }
    return bytes.buffer
  }

  /** Reads the whole file as UTF-8 text. */
  async text(options: { readonly signal?: AbortSignal } = {}): Promise<string> {
    return new TextDecoder().decode(await this.arrayBuffer(options))
  }
}

inspectAs(TorrentFile, (file) => file.toJSON())
