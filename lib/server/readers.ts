import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FileStream, TorrentFile } from '../index.ts'
import { monotonicMs } from '../util/clock.ts'
import { hostKey } from './host-key.ts'
import type { ServerLimits } from './limits.ts'
import type { ByteRange } from './ranges.ts'
import { drained } from './respond.ts'
import { Slots, tooMany } from './slots.ts'

/**
 * The responses that send files, limited in number. A response whose client has not taken a chunk for a while may be closed for a new
 * one. After longer, it releases its readahead window in the torrent until the client continues, because a paused player keeps its
 * connection for hours.
 */
export class Readers {
  readonly #limits: ServerLimits
  readonly #slots: Slots
  readonly #open = new Set<Reader>()
  #timer: NodeJS.Timeout | undefined

  constructor(limits: ServerLimits) {
    this.#limits = limits
    this.#slots = new Slots(limits.streams, limits.streamsOfHost)
  }

  /**
   * Opens a reader for a response; call it before writing the head.
   * @throws HttpError 503 when too many are open.
   */
  open(request: IncomingMessage, response: ServerResponse): Reader {
    const host = hostKey(request.socket)
    let leave = this.#slots.take(host)
    if (leave === undefined && this.#makeRoom(host)) leave = this.#slots.take(host)
    if (leave === undefined) throw tooMany('files are being read')
    const reader = new Reader(response, host)
    const end = leave
    reader.onEnd = () => {
      end()
      this.#open.delete(reader)
      if (this.#open.size === 0) this.#stop()
    }
    response.once('close', () => reader.close())
    this.#open.add(reader)
    this.#timer ??= setInterval(() => this.#park(), this.#limits.parkMs / 4).unref()
    return reader
  }

  /** Closes the longest stalled reader, of this host if the host is at its limit; returns false if none has stalled for `yieldMs`. */
  #makeRoom(host: string | undefined): boolean {
    const isHostFull = this.#slots.isHostFull(host)
    let longest: Reader | undefined
    for (const reader of this.#open) {
      if (isHostFull && reader.host !== host) continue
      if (reader.stalledAt < (longest?.stalledAt ?? monotonicMs() - this.#limits.yieldMs)) longest = reader
    }
    longest?.close()
    return longest !== undefined
  }

  #park(): void {
    const before = monotonicMs() - this.#limits.parkMs
    for (const reader of this.#open) if (reader.stalledAt < before) reader.park()
  }

  #stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

/** Sends file bytes in one response, and reads no more of them than the client takes. */
export class Reader {
  readonly host: string | undefined
  /** Called once, when the response is closed. */
  onEnd: (() => void) | undefined
  /** When the current write began to wait for the client, on the monotonic clock; `Infinity` while no write waits. */
  stalledAt: number = Number.POSITIVE_INFINITY
  readonly #response: ServerResponse
  #stream: FileStream | undefined

  constructor(response: ServerResponse, host: string | undefined) {
    this.#response = response
    this.host = host
  }

  /** Sends a range of a file. Rejects when the torrent fails or the client goes away. */
  async send(file: TorrentFile, { start, end }: ByteRange): Promise<void> {
    for (let position = start; position < end; ) {
      const stream = file.createReadStream({ start: position, end: end - 1 })
      this.#stream = stream
      for await (const chunk of stream) {
        position += chunk.length
        await this.write(chunk)
        // The stream was parked; a new one continues from here.
        if (this.#stream === undefined) break
      }
    }
    this.#stream = undefined
  }

  /** Sends bytes and resolves when the client can take more. Rejects when the client is gone. */
  async write(bytes: Uint8Array): Promise<void> {
    if (!this.#response.destroyed && !this.#response.write(bytes)) {
      this.stalledAt = monotonicMs()
      await drained(this.#response)
      this.stalledAt = Number.POSITIVE_INFINITY
    }
    if (this.#response.destroyed) throw new Error('the client has gone away')
  }

  /** Closes the stream to release its readahead window; {@link send} opens another when the client continues. */
  park(): void {
    const stream = this.#stream
    this.#stream = undefined
    stream?.destroy()
  }

  /** Closes the stream and the response. */
  close(): void {
    this.park()
    this.#response.destroy()
    this.onEnd?.()
    this.onEnd = undefined
  }
}
