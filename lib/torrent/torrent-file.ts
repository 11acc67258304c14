import type { FileEntry } from '../metainfo/metainfo.ts'
import { checkPriority, normalPriority } from '../pieces/selection.ts'
import type { ByteSource } from '../stream/byte-source.ts'
import { FileStream, type FileStreamOptions, streamOptionRefusal } from '../stream/file-stream.ts'
import { toWebStream } from '../stream/web-stream.ts'
import { inspectAs } from '../util/inspect-as.ts'
import { checkNoMore, checkOptionNames } from '../util/options.ts'
import { contentType } from './content-type.ts'

/** What a {@link TorrentFile} asks of its torrent. */
export interface FileHost extends ByteSource {
  /** Verified bytes of a file of the layout. */
  verifiedBytes(fileIndex: number): number
  /** Whether every byte of a file of the layout is verified and stored in its own file. */
  isDone(fileIndex: number): boolean
  /** Absolute path of a file of the layout; undefined unless it is in a file of its own. */
  diskPath(fileIndex: number): string | undefined
  /** Selection priority of a file of the layout, 0 for not selected. */
  priorityOf(fileIndex: number): number
  /** Sets the priority of a file of the layout. */
  setPriority(fileIndex: number, priority: number): void
  /** A stream was opened. */
  opened(stream: FileStream, fileIndex: number): void
}

/** A file of a torrent as plain data, as `JSON.stringify` writes it. */
export interface TorrentFileSnapshot {
  readonly name: string
  readonly path: string
  /** Bytes. */
  readonly length: number
  /** First byte in the torrent. */
  readonly offset: number
  readonly type: string
  /** Verified bytes. */
  readonly downloaded: number
  readonly progress: number
  readonly done: boolean
  /** 0 (not selected) to 7. */
  readonly priority: number
  readonly diskPath: string | undefined
}

/** One file of a torrent: read it while it downloads, or choose whether it does. */
export class TorrentFile implements AsyncIterable<Uint8Array> {
  /** The last element of `path`. */
  readonly name: string
  /** Path below the download folder, with `/` between elements. */
  readonly path: string
  /** Bytes. */
  readonly length: number
  /** First byte in the torrent. */
  readonly offset: number
  /** MIME type, by the name. */
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

  /** Verified bytes. */
  get downloaded(): number {
    return this.#host.verifiedBytes(this.#index)
  }

  /** Verified part, 0 to 1; 1 for an empty file. */
  get progress(): number {
    return this.length === 0 ? 1 : this.downloaded / this.length
  }

  /**
   * Whether every byte is verified and stored in the file itself, selected or not. Bytes of a file that is not selected are kept
   * elsewhere until it is selected or read; an empty file is made when it is selected.
   */
  get done(): boolean {
    return this.#host.isDone(this.#index)
  }

  /**
   * Absolute path of the file on disk once it is `done`, for programs that want a whole file; undefined before, and where a `storage` of
   * your own keeps the data.
   */
  get diskPath(): string | undefined {
    return this.done ? this.#host.diskPath(this.#index) : undefined
  }

  /** Whether the file is downloaded as a whole, not only where streams read it. */
  get selected(): boolean {
    return this.priority > 0
  }

  /** 0 (not selected) to 7. */
  get priority(): number {
    return this.#host.priorityOf(this.#index)
  }

  /**
   * Downloads the file; files of a higher priority (1 to 7, by default 4) come first.
   * @throws RangeError when the priority is no whole number from 1 to 7.
   */
  select(priority: number = normalPriority): void {
    checkPriority(priority)
    this.#host.setPriority(this.#index, priority)
  }

  /** Downloads only what streams read of the file. */
  deselect(): void {
    this.#host.setPriority(this.#index, 0)
  }

  /**
   * The file, or the bytes `start` to `end` (inclusive, as in `node:fs`) of it, as a Readable that can seek. Nothing is
   * fetched before the first read; then what lies ahead of it comes first.
   * @throws RangeError when start or end is no whole number from 0 on, or start lies beyond end or the file.
   */
  createReadStream(options?: FileStreamOptions): FileStream
  createReadStream(options: FileStreamOptions = {}, ...more: unknown[]): FileStream {
    checkNoMore(more, streamOptionRefusal)
    const stream = new FileStream(this, this.#host, options)
    this.#host.opened(stream, this.#index)
    return stream
  }

  /** The same as a web ReadableStream of bytes. */
  stream(options: Omit<FileStreamOptions, 'encoding' | 'emitClose'> = {}): ReadableStream<Uint8Array> {
    checkOptionNames(options, ['start', 'end', 'signal', 'unverified', 'highWaterMark'], streamOptionRefusal)
    return toWebStream(this.createReadStream(options))
  }

  /** The file as plain data. */
  toJSON(): TorrentFileSnapshot {
    const { name, path, length, offset, type, downloaded, progress, done, priority, diskPath } = this
    return { name, path, length, offset, type, downloaded, progress, done, priority, diskPath }
  }

  /** The bytes of the file in order. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    yield* this.createReadStream()
  }

  /** The whole file in memory. */
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

  /** The whole file as UTF-8 text. */
  async text(options: { readonly signal?: AbortSignal } = {}): Promise<string> {
    return new TextDecoder().decode(await this.arrayBuffer(options))
  }
}

inspectAs(TorrentFile, (file) => file.toJSON())
