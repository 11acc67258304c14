import type { Connection, ConnectionEncryption, ConnectionHandler, TransportName } from '../net/connection.ts'
import type { PeerAddress } from '../util/address.ts'
import type { Throttle, ThrottleMember } from './throttle.ts'

/** The limits of a connection, which it may share with others. */
export interface Throttles {
  readonly download?: Throttle | undefined
  readonly upload?: Throttle | undefined
}

// Writes up to this length in bytes (chokes, haves, requests) count but do not wait: delaying them gains nothing.
const controlLength = 512

/**
 * A connection whose bytes wait in throttles; an unlimited one costs nothing. All bytes read and written count: payload, messages and
 * handshakes, but not the headers of the transport below.
 */
export class ThrottledConnection implements Connection, ConnectionHandler {
  readonly #inner: Connection
  #download: Throttle | undefined
  #upload: Throttle | undefined
  // Created when first needed, as most connections never wait.
  #receiving: ThrottleMember | undefined
  #sending: ThrottleMember | undefined
  #handler: ConnectionHandler | undefined
  #closed = false
  // Received bytes that are not delivered yet; the inner connection is paused meanwhile.
  #held: Uint8Array | undefined
  #innerPaused = false
  #paused = false
  // Written bytes that are not passed on yet, from #outgoingAt in the first buffer.
  #outgoing: Uint8Array[] = []
  #outgoingAt = 0
  #outgoingLength = 0
  #innerFull = false
  #undrained = false

  constructor(inner: Connection, throttles: Throttles) {
    this.#inner = inner
    this.#download = throttles.download
    this.#upload = throttles.upload
  }

  /** Replaces the limits. Waiting bytes move to the new ones. */
  moveTo(throttles: Throttles): void {
    if (this.#receiving !== undefined) this.#download?.leave(this.#receiving)
    if (this.#sending !== undefined) this.#upload?.leave(this.#sending)
    this.#download = throttles.download
    this.#upload = throttles.upload
    if (this.#closed) return
    if (this.#handler !== undefined) this.#adaptReceiveLength()
    if (this.#held !== undefined && !this.#paused) this.#waitToReceive()
    if (this.#outgoingLength > 0 && !this.#innerFull) this.#waitToSend()
  }

  get remote(): PeerAddress {
    return this.#inner.remote
  }

  get incoming(): boolean {
    return this.#inner.incoming
  }

  get transport(): TransportName {
    return this.#inner.transport
  }

  get encryption(): ConnectionEncryption {
    return this.#inner.encryption
  }

  get bytesQueued(): number {
    return this.#outgoingLength + this.#inner.bytesQueued
  }

  start(handler: ConnectionHandler, head?: Uint8Array): void {
    this.#handler = handler
    this.#adaptReceiveLength()
    this.#inner.start(this, head)
  }

  pause(): void {
    this.#paused = true
    if (this.#receiving !== undefined) this.#download?.leave(this.#receiving)
    this.#innerPaused = true
    this.#inner.pause()
  }

  resume(): void {
    if (this.#closed) return
    this.#paused = false
    if (this.#held !== undefined) this.#waitToReceive()
    else this.#resumeInner()
  }

  write(buffers: readonly Uint8Array[]): boolean {
    if (this.#closed) return true
    const upload = this.#upload
    let ready = true
    if (this.#outgoingLength === 0 && (upload === undefined || upload.passes)) {
      ready = this.#inner.write(buffers)
      this.#innerFull = !ready
    } else {
      let length = 0
      for (const buffer of buffers) length += buffer.length
      if (length <= controlLength && this.#outgoingLength === 0) {
        upload?.take(length)
        ready = this.#inner.write(buffers)
        this.#innerFull = !ready
      } else {
        for (const buffer of buffers) if (buffer.length > 0) this.#outgoing.push(buffer)
        this.#outgoingLength += length
        if (!this.#innerFull && this.#outgoingLength > 0) this.#waitToSend()
        ready = this.#outgoingLength === 0 && !this.#innerFull
      }
    }
    if (!ready) this.#undrained = true
    return ready
  }

  close(error?: Error): void {
    this.#release()
    this.#inner.close(error)
  }

  onReceive(chunk: Uint8Array): boolean {
    const download = this.#download
    if (this.#closed || this.#handler === undefined) return false
    if (this.#held === undefined && (download === undefined || download.passes)) {
      this.#adaptReceiveLength()
      download?.take(chunk.length)
      if (this.#handler.onReceive(chunk)) return true
      this.#paused = true
      this.#innerPaused = true
      return false
    }
    this.#adaptReceiveLength()
    this.#innerPaused = true
    this.#held = chunk
    if (!this.#paused) this.#waitToReceive()
    // A part may have been delivered at once; the rest is borrowed for this call only.
    if (this.#held !== undefined) this.#held = new Uint8Array(this.#held as Uint8Array)
    return !this.#innerPaused
  }

  onDrain(): void {
    this.#innerFull = false
    if (this.#outgoingLength > 0) this.#waitToSend()
    else this.#tellDrained()
  }

  onClose(error?: Error): void {
    this.#release()
    this.#handler?.onClose(error)
  }

  #release(): void {
    this.#closed = true
    if (this.#receiving !== undefined) this.#download?.leave(this.#receiving)
    if (this.#sending !== undefined) this.#upload?.leave(this.#sending)
    this.#held = undefined
    this.#outgoing = []
    this.#outgoingLength = 0
  }

  // Reads no more at once than a slice, so that waiting bytes stay in the system and not here.
  #adaptReceiveLength(): void {
    if (this.#download !== undefined && this.#inner.receiveLength !== undefined) {
      this.#inner.receiveLength = this.#download.sliceLength
    }
  }

  #receiveSlice(length: number): number {
    const held = this.#held
    if (held === undefined || this.#closed || this.#handler === undefined) return 0
    const part = held.length > length ? held.subarray(0, length) : held
    this.#held = part === held ? undefined : held.subarray(length)
    if (!this.#handler.onReceive(part)) this.#paused = true
    if (this.#closed || this.#paused) return part.length
    if (this.#held !== undefined) this.#waitToReceive()
    else this.#resumeInner()
    return part.length
  }

  #waitToReceive(): void {
    if (this.#download === undefined) this.#receiveSlice(Number.POSITIVE_INFINITY)
    else {
      this.#receiving ??= { moveSlice: (length) => this.#receiveSlice(length) }
      this.#download.wait(this.#receiving)
    }
  }

  #waitToSend(): void {
    if (this.#upload === undefined) this.#sendSlice(Number.POSITIVE_INFINITY)
    else {
      this.#sending ??= { moveSlice: (length) => this.#sendSlice(length) }
      this.#upload.wait(this.#sending)
    }
  }

  #resumeInner(): void {
    if (!this.#innerPaused) return
    this.#innerPaused = false
    this.#inner.resume()
  }

  #sendSlice(length: number): number {
    if (this.#closed) return 0
    const buffers: Uint8Array[] = []
    let sent = 0
    let used = 0
    while (sent < length) {
      const buffer = this.#outgoing[used]
      if (buffer === undefined) break
      const end = Math.min(buffer.length, this.#outgoingAt + length - sent)
      buffers.push(buffer.subarray(this.#outgoingAt, end))
      sent += end - this.#outgoingAt
      this.#outgoingAt = end
      if (end < buffer.length) break
      this.#outgoingAt = 0
      used++
    }
    this.#outgoing.splice(0, used)
    this.#outgoingLength -= sent
    this.#innerFull = !this.#inner.write(buffers)
    if (this.#closed || this.#innerFull) return sent
    if (this.#outgoingLength > 0) this.#waitToSend()
    else this.#tellDrained()
    return sent
  }

  #tellDrained(): void {
    if (!this.#undrained || this.#closed) return
    this.#undrained = false
    this.#handler?.onDrain()
  }
}
