import { Readable } from 'node:stream'
import type { Range } from '../metainfo/layout.ts'
import type { ByteWindow } from '../pieces/byte-window.ts'
import { monotonicMs } from '../util/clock.ts'
import { asError, TorrentError } from '../util/errors.ts'
import { checkOptionNames, checkSignal, checkType } from '../util/options.ts'
import { show } from '../util/show.ts'
import { callListeners } from '../util/user-code.ts'
import type { ByteSource, StreamedFile } from './byte-source.ts'
import { containerIndexBytes } from './container-index.ts'
import { Lookahead } from './lookahead.ts'

/** Maximum bytes of a chunk. */
const chunkBytes = 256 << 10

/** A stream that begins below this offset is taken for a player that has yet to find the index of the container. */
const tailUpTo = 1 << 20
/** Time after which a player is assumed to need the index. */
const tailDelayMs = 2000
/** Once bytes of a piece were delivered unverified, the rest of it is needed after this time, wherever the cursor is. */
const proofDelayMs = 1000

/** Options of {@link FileStream}. */
export interface FileStreamOptions {
  /** First byte, 0 by default. */
  readonly start?: number | undefined
  /** Last byte, inclusive as in `node:fs`; the file's last by default, and clamped to it. */
  readonly end?: number | undefined
  /** Destroys the stream when aborted. */
  readonly signal?: AbortSignal | undefined
  /**
   * Delivers blocks as they arrive, before their piece is verified; false by default. If the piece is wrong, the stream is destroyed with
   * ERR_STREAM_UNVERIFIED. It ends only after all delivered bytes are verified.
   */
  readonly unverified?: boolean | undefined
  /** Delivers strings in this encoding instead of bytes, like `setEncoding`. */
  readonly encoding?: BufferEncoding | null | undefined
  /** Bytes buffered ahead of the consumer, and the maximum of a chunk; 0 by default, with chunks of up to 256 KiB. */
  readonly highWaterMark?: number | undefined
  /** Whether `close` is emitted; true by default. */
  readonly emitClose?: boolean | undefined
}

// A record, so that a missing option does not compile.
const optionNames: Record<keyof FileStreamOptions, true> = {
  start: true,
  end: true,
  signal: true,
  unverified: true,
  encoding: true,
  highWaterMark: true,
  emitClose: true
}
/** Options of `fs.createReadStream` that are ignored. */
const ignored: readonly string[] = ['flags', 'mode', 'autoClose']

/**
 * A file of a torrent as a `node:stream` Readable that can seek. It delivers bytes once their piece is verified, and requests those ahead of
 * the cursor first. It ends after the last byte of its range, with an error, or by `destroy`.
 */
export class FileStream extends Readable {
  /** The file that is read. */
  readonly file: StreamedFile
  readonly #source: ByteSource
  readonly #id: number
  readonly #end: number
  readonly #lookahead = new Lookahead()
  readonly #early: boolean
  /** Pieces with unverified bytes delivered, each with the function that stops waiting for its verdict. */
  readonly #unproven = new Map<number, () => void>()
  /** Number of the window over an index at the end of the file; 0 for none. */
  #tailId = 0
  /** Offset of the next read. */
  #position: number
  /** With an encoding, the offset of the first byte that was not delivered in a string. */
  #delivered: number
  readonly #signal: AbortSignal | undefined
  readonly #chunkBytes: number = chunkBytes
  #abort = new AbortController()
  #wanted = false
  #reading = false
  #discarding = false
  #finished = false
  /** The window at the cursor, if it is open, and the same as text, for comparison. */
  #cursor: ByteWindow | undefined
  #window = ''

  /**
   * Creates a stream, which requests nothing before the first read.
   * @throws RangeError (`ERR_OUT_OF_RANGE`) unless start and end are whole numbers of at least 0, with start at most end and the file's length.
   */
  constructor(file: StreamedFile, source: ByteSource, options: FileStreamOptions = {}) {
    checkOptions(options)
    const { start = 0, end, signal, encoding, highWaterMark = 0, emitClose = true } = options
    checkOffset('start', start, file.length)
    if (end !== undefined) checkOffset('end', end, Number.MAX_SAFE_INTEGER)
    const last = Math.min(end ?? file.length - 1, file.length - 1)
    if (end !== undefined && start > end) throw outOfRange('start', start, `at most end (${end})`)
    super({ highWaterMark, emitClose, ...(encoding == null ? {} : { encoding }) })
    if (highWaterMark > 0) this.#chunkBytes = Math.min(chunkBytes, highWaterMark)
    this.file = file
    this.#source = source
    this.#early = options.unverified === true
    this.#id = source.nextStreamId()
    this.#position = this.#delivered = start
    this.#end = last + 1
    this.#signal = signal
    // The base class would destroy a stream that is not fully constructed when the signal is aborted already.
    if (signal?.aborted === true) this.#onAbort()
    else signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** Offset in the file of the next byte to be delivered. With an encoding it is exact if the text is valid. */
  get position(): number {
    if (this.readableEncoding === null) return this.#position - this.readableLength
    return Math.min(this.#delivered, this.#position)
  }

  /**
   * Continues at another offset of the file, and drops buffered bytes of the old one. At the end of the range the stream ends.
   * @throws RangeError unless the offset is a whole number from 0 to the end of the range.
   * @throws TorrentError ERR_STREAM_ENDED when the stream has ended or was destroyed.
   */
  seek(offset: number): void {
    checkOffset('offset', offset, this.#end)
    if (this.destroyed || this.#finished) {
      throw new TorrentError('ERR_STREAM_ENDED', 'the stream has ended: open a new one to read elsewhere')
    }
    const dropped = this.#discard()
    this.#abort.abort(new Error('the stream has gone elsewhere'))
    this.#abort = new AbortController()
    this.#position = this.#delivered = offset
    this.#lookahead.reset()
    if (offset === this.#end) this.#closeWindow()
    else if (this.#window !== '') this.#moveWindow(true)
    if (this.#wanted) this.#next()
    // Readers that saw 'readable' for the dropped bytes get another one.
    else if (dropped) process.nextTick(() => this.read(0))
  }

  /** @internal Called once when the stream is destroyed, which also happens after its end. */
  onDestroyed: (() => void) | undefined

  /** @internal Calls listeners so that one that throws does not break the stream. An `error` without listeners does not end the program. */
  override emit(event: string | symbol, ...args: unknown[]): boolean {
    // All ways of reading emit 'data'.
    if (event === 'data') {
      if (this.#discarding) return false
      const [chunk] = args
      if (typeof chunk === 'string')
        this.#delivered += Buffer.byteLength(chunk, this.readableEncoding ?? 'utf8')
    }
    return callListeners(this, event, args)
  }

  /** @internal */
  override _read(): void {
    this.#wanted = true
    if (!this.#discarding) this.#next()
  }

  /** @internal */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#finished = true
    this.#abort.abort(error ?? new TorrentError('ERR_STREAM_ENDED', 'the stream was destroyed'))
    for (const callOff of this.#unproven.values()) callOff()
    this.#unproven.clear()
    this.#closeWindow()
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.onDestroyed?.()
    callback(error)
  }

  readonly #onAbort = (): void => {
    const error = new Error('The operation was aborted', { cause: this.#signal?.reason })
    // The same error as Node's own streams.
    this.destroy(Object.assign(error, { name: 'AbortError', code: 'ABORT_ERR' }))
  }

  #next(): void {
    if (this.#reading || this.#finished) return
    if (this.#position >= this.#end) {
      // The end confirms all delivered bytes, so it waits until they are verified.
      if (this.#unproven.size > 0) return
      this.#finished = true
      this.#closeWindow()
      this.push(null)
      return
    }
    this.#moveWindow(this.#window === '')
    void this.#readChunk(this.#abort.signal)
  }

  async #readChunk(signal: AbortSignal): Promise<void> {
    this.#reading = true
    const asked = monotonicMs()
    let chunk: Uint8Array | undefined
    let failure: Error | undefined
    try {
      const length = Math.min(this.#chunkBytes, this.#end - this.#position)
      chunk = await this.#read(this.file.offset + this.#position, length, signal)
      if (chunk.byteLength === 0) throw new TorrentError('ERR_STORAGE_READ', `no bytes at ${this.#position}`)
    } catch (thrown) {
      failure = asError(thrown)
    }
    this.#reading = false
    if (this.#finished) return
    if (signal.aborted) {
      // A seek happened meanwhile.
      if (this.#wanted) this.#next()
    } else if (chunk === undefined || failure !== undefined) this.destroy(failure)
    else {
      const now = monotonicMs()
      this.#wanted = false
      this.#rest()
      // Invalid text has another length as a string than in the file, so each chunk counts from its own offset.
      if (this.readableLength === 0 && this.#position - this.#delivered > 4) this.#delivered = this.#position
      this.#position += chunk.byteLength
      this.#lookahead.consumed(chunk.byteLength, now - asked, now)
      this.push(chunk)
      // A chunk that ends within its first character gives no string, and so no further read.
      if (this.readableEncoding !== null && chunk.byteLength < 4) process.nextTick(() => this.read(0))
    }
  }

  async #read(byteOffset: number, length: number, signal: AbortSignal): Promise<Uint8Array> {
    if (!this.#early) return this.#source.readVerified(byteOffset, length, signal)
    const { bytes, unverified } = await this.#source.readEarly(byteOffset, length, signal)
    if (unverified !== undefined && !signal.aborted && !this.#unproven.has(unverified)) {
      this.#prove(unverified)
    }
    return bytes
  }

  /** Requests the rest of a piece with unverified bytes delivered, and waits for its verdict. */
  #prove(piece: number): void {
    const id = this.#source.nextStreamId()
    const callOff = this.#source.onVerdict(piece, (right) => this.#judged(piece, right))
    this.#unproven.set(piece, () => {
      callOff()
      this.#source.setWindow(id, undefined, false)
    })
    this.#follow(id, { start: piece, end: piece + 1 }, proofDelayMs)
  }

  #judged(piece: number, right: boolean): void {
    this.#unproven.get(piece)?.()
    this.#unproven.delete(piece)
    if (!right) {
      const message = `piece ${piece} failed its hash check after unverified bytes of it were delivered: open a new stream`
      this.destroy(new TorrentError('ERR_STREAM_UNVERIFIED', message, { details: { piece } }))
    } else if (this.#wanted) this.#next()
  }

  #moveWindow(jumped: boolean): void {
    const { layout } = this.#source
    const start = this.file.offset + this.#position
    const end = Math.min(this.file.offset + this.#end, start + this.#lookahead.bytes)
    const pieces = layout.piecesOf({ start, end })
    const waiting = !this.#source.isReady(start)
    const opened = this.#window === ''
    const window = `${pieces.start} ${pieces.end} ${waiting}`
    if (window === this.#window && !jumped) return
    this.#window = window
    this.#cursor = { pieces, bytesPerMs: this.#lookahead.bytesPerMs, waiting }
    this.#source.setWindow(this.#id, this.#cursor, jumped)
    if (opened) this.#openTail()
  }

  /** Says that the reader no longer waits, so that a paused one does not hold up others. */
  #rest(): void {
    const cursor = this.#cursor
    if (cursor?.waiting !== true) return
    this.#window = `${cursor.pieces.start} ${cursor.pieces.end} false`
    this.#cursor = { ...cursor, waiting: false }
    this.#source.setWindow(this.#id, this.#cursor, false)
  }

  #closeWindow(): void {
    this.#closeTail()
    if (this.#window === '') return
    this.#window = ''
    this.#cursor = undefined
    this.#source.setWindow(this.#id, undefined, false)
  }

  /** Opens a window over the end of a file whose container index a player needs soon; pieces at the cursor come first. */
  #openTail(): void {
    const { file } = this
    if (this.#tailId !== 0 || this.#position >= tailUpTo) return
    const end = file.offset + file.length
    const pieces = this.#source.layout.piecesOf({
      start: end - containerIndexBytes(file.name, file.length),
      end
    })
    if (pieces.end === pieces.start) return
    this.#tailId = this.#source.nextStreamId()
    this.#follow(this.#tailId, pieces, tailDelayMs)
  }

  /** Opens a window whose pieces are needed `delayMs` after those at the cursor. */
  #follow(id: number, pieces: Range, delayMs: number): void {
    const { bytesPerMs } = this.#lookahead
    this.#source.setWindow(id, { pieces, bytesPerMs, waiting: false, behind: this.#id, delayMs }, false)
  }

  #closeTail(): void {
    if (this.#tailId === 0) return
    this.#source.setWindow(this.#tailId, undefined, false)
    this.#tailId = 0
  }

  /** Drops the bytes that the base class has buffered; returns whether there were any. */
  #discard(): boolean {
    const dropped = this.readableLength > 0
    this.#discarding = true
    while (this.readableLength > 0 && this.read() !== null);
    this.#discarding = false
    // The decoder may hold a part of a character from the old offset.
    if (this.readableEncoding !== null) this.setEncoding(this.readableEncoding)
    return dropped
  }
}

function checkOptions(options: FileStreamOptions): void {
  checkOptionNames(options, [...Object.keys(optionNames), ...ignored], streamOptionRefusal)
  const { signal, unverified, encoding, highWaterMark, emitClose } = options
  checkSignal(signal, streamOptionRefusal)
  checkType('unverified', unverified, 'boolean', streamOptionRefusal)
  checkType('emitClose', emitClose, 'boolean', streamOptionRefusal)
  if (highWaterMark !== undefined) checkOffset('highWaterMark', highWaterMark, Number.MAX_SAFE_INTEGER)
  if (encoding != null && !Buffer.isEncoding(encoding))
    throw streamOptionRefusal('encoding', `${show(encoding)} is not an encoding that Node knows`)
}

export function streamOptionRefusal(option: string, reason: string): TorrentError {
  return new TorrentError('ERR_STREAM_OPTION', `option ${option}: ${reason}`, { details: { option } })
}

function checkOffset(name: string, value: number, most: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw outOfRange(name, value, 'a whole number of at least 0')
  if (value > most) throw outOfRange(name, value, `at most ${most}`)
}

function outOfRange(name: string, value: unknown, range: string): RangeError {
  return Object.assign(new RangeError(`${name} is ${show(value)}; it must be ${range}`), {
    code: 'ERR_OUT_OF_RANGE'
  })
}
