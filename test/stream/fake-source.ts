import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Layout } from '../../lib/metainfo/layout.ts'
import type { ByteWindow } from '../../lib/pieces/byte-window.ts'
import type { EarlyBytes } from '../../lib/storage/verified-reader.ts'
import type { ByteSource, StreamedFile } from '../../lib/stream/byte-source.ts'
import { abortable, type Deferred, deferred } from '../../lib/util/concurrency.ts'

/** Returns the byte of the torrent at an offset. */
export function byteAt(offset: number): number {
  return (offset * 131 + (offset >> 8) * 7 + 3) & 0xff
}

/** A source whose bytes follow from their offsets, and which counts its reads. */
export class FakeSource implements ByteSource {
  readonly layout: Layout
  /** The most bytes of one answer. */
  chunkBytes = 1000
  /** Set to make reads wait. */
  gate: Deferred<void> | undefined
  failure: Error | undefined
  /** Replaces the bytes that follow from their offsets. */
  content: Uint8Array | undefined
  ready = true
  reads = 0
  /** Pending reads. */
  pending = 0
  readonly windows: (ByteWindow | undefined)[] = []
  readonly jumps: boolean[] = []
  readonly offset: number
  name = 'a'
  readonly verdicts: Map<number, boolean> = new Map()
  readonly listeners: Map<number, Set<(right: boolean) => void>> = new Map()
  /** The current window by stream id. */
  readonly byId: Map<number, ByteWindow> = new Map()
  #ids = 0

  constructor(length: number, offset = 100, pieceLength = 4096) {
    this.offset = offset
    const end = offset + length
    this.layout = new Layout(pieceLength, [{ path: ['a'], length: end, offset: 0, pad: false } as never])
  }

  get file(): StreamedFile {
    return { name: this.name, path: this.name, length: this.layout.length - this.offset, offset: this.offset }
  }

  /** Number of open windows. */
  get openWindows(): number {
    return this.windows.length > 0 && this.windows.at(-1) !== undefined ? 1 : 0
  }

  /** Number of times that a window was closed. */
  get closings(): number {
    return this.windows.filter((window) => window === undefined).length
  }

  nextStreamId(): number {
    return ++this.#ids
  }

  setWindow(streamId: number, window: ByteWindow | undefined, jumped: boolean): void {
    if (window !== undefined) assert.ok(window.pieces.end > window.pieces.start, 'a window holds pieces')
    if (window === undefined) this.byId.delete(streamId)
    else this.byId.set(streamId, window)
    this.windows.push(window)
    this.jumps.push(jumped)
  }

  isReady(): boolean {
    return this.ready
  }

  async readVerified(byteOffset: number, maxLength: number, signal: AbortSignal): Promise<Uint8Array> {
    assert.ok(maxLength > 0 && byteOffset + maxLength <= this.layout.length, 'a read stays in the file')
    this.reads++
    this.pending++
    try {
      await abortable(nextTurn(), signal)
      if (this.gate !== undefined) await abortable(this.gate.promise, signal)
      signal.throwIfAborted()
      if (this.failure !== undefined) throw this.failure
      const length = Math.min(maxLength, this.chunkBytes)
      if (this.content !== undefined) {
        const from = byteOffset - this.offset
        return this.content.slice(from, from + length)
      }
      return Uint8Array.from({ length }, (_, index) => byteAt(byteOffset + index))
    } finally {
      this.pending--
    }
  }

  async readEarly(byteOffset: number, maxLength: number, signal: AbortSignal): Promise<EarlyBytes> {
    const piece = this.layout.pieceAt(byteOffset)
    const inPiece = this.layout.pieceOffset(piece) + this.layout.pieceSize(piece) - byteOffset
    const bytes = await this.readVerified(byteOffset, Math.min(maxLength, inPiece), signal)
    return { bytes, unverified: this.verdicts.get(piece) === true ? undefined : piece }
  }

  onVerdict(piece: number, listener: (right: boolean) => void): () => void {
    const listeners = this.listeners.get(piece) ?? new Set()
    this.listeners.set(piece, listeners.add(listener))
    return () => listeners.delete(listener)
  }

  /** Gives the verdict on a piece. */
  judge(piece: number, right: boolean): void {
    this.verdicts.set(piece, right)
    for (const listener of this.listeners.get(piece) ?? []) listener(right)
    this.listeners.delete(piece)
  }

  /** Lets reads wait until `open`. */
  shut(): void {
    this.gate = deferred()
  }

  open(): void {
    this.gate?.resolve()
    this.gate = undefined
  }

  /** Returns the bytes `[start, end)` of the file. */
  bytes(start: number, end: number): Buffer {
    return Buffer.from(
      Uint8Array.from({ length: end - start }, (_, index) => byteAt(this.offset + start + index))
    )
  }
}
