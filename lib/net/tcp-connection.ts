import type { Socket } from 'node:net'
import type { PeerAddress } from '../util/address.ts'
import type { Connection, ConnectionHandler } from './connection.ts'
import { readTurn, type TurnReader } from './read-turn.ts'

// All sockets read into one buffer: the receiver is called before any other read can happen, and only borrows the memory.
const readMemory = new Uint8Array(256 * 1024)
// Keeps a fast link busy for one turn of the event loop. It is no larger, because queued bytes cannot be cancelled.
const writeQueueLength = 256 * 1024

/** The `onread` option of a socket: the memory for the next read, and its callback. */
export interface ReadOption {
  buffer: () => Uint8Array
  callback: (length: number, memory: Uint8Array) => boolean
}

/** Receives the reads of a socket. */
export interface ReadReceiver {
  /** Maximum bytes of one read. */
  readonly receiveLength: number
  /** Receives borrowed bytes; returns false if reading must stop, and then has paused the socket. */
  receive(chunk: Uint8Array): boolean
}

/** Passes the reads of a socket to its connection, which is created after the socket; before, to a proxy's handshake. */
export class SocketReader {
  receiver: ReadReceiver | undefined
  /** Value for the `onread` option of a socket. */
  readonly option: ReadOption = {
    buffer: () => {
      const most = this.receiver?.receiveLength ?? readMemory.length
      return most < readMemory.length ? readMemory.subarray(0, most) : readMemory
    },
    callback: (length, memory) => this.receiver?.receive(memory.subarray(0, length)) ?? false
  }
}

/** A {@link Connection} over a TCP or TLS socket. For TLS, it must be created before the socket connects. */
export class TcpConnection implements Connection, TurnReader {
  readonly remote: PeerAddress
  readonly incoming: boolean
  readonly transport = 'tcp'
  readonly encryption = 'none'
  receiveLength: number = Number.POSITIVE_INFINITY
  readonly #socket: Socket
  readonly #ownMemory: boolean
  #handler: ConnectionHandler | undefined
  #error: Error | undefined
  #closing = false
  /** `#paused`: the handler wants no data. `#isThrottled`: the read limit of this turn is reached. */
  #paused = false
  #isThrottled = false
  #finished = false
  #corked = false
  #undrained = false
  /** Chunks that arrived before `start` or while paused: TLS delivers everything that it has decrypted. */
  #held: Uint8Array[] | undefined
  #isDelivering = false
  #ended = false

  /**
   * Wraps a socket that does not read yet. With `reader`, the socket reads into shared memory; otherwise by
   * `data` events. `head` was already read and is delivered first.
   */
  constructor(
    socket: Socket,
    remote: PeerAddress,
    incoming: boolean,
    reader?: SocketReader,
    head?: Uint8Array
  ) {
    this.remote = remote
    this.incoming = incoming
    this.#socket = socket
    if (head !== undefined) this.#held = [head]
    this.#ownMemory = reader === undefined
    if (reader !== undefined) reader.receiver = this
    socket.on('error', (error) => {
      this.#error ??= error
    })
    socket.on('end', () => {
      this.#ended = true
      if (this.#held === undefined) this.close()
    })
    socket.on('drain', () => {
      if (!this.#undrained || this.#closing) return
      this.#undrained = false
      this.#handler?.onDrain()
    })
    socket.on('close', () => {
      this.#ended = true
      if (this.#hasMore()) return
      this.#closing = true
      this.#finish()
    })
  }

  get bytesQueued(): number {
    return this.#socket.writableLength
  }

  start(handler: ConnectionHandler, head?: Uint8Array): void {
    const isFirst = this.#handler === undefined
    this.#handler = handler
    // Each handler is told of the end.
    this.#finished = false
    if (head !== undefined) this.#held = [head, ...(this.#held ?? [])]
    if (this.#socket.destroyed && !this.#hasMore()) {
      this.#closing = true
      if (this.#socket.closed) queueMicrotask(() => this.#finish())
      return
    }
    if (isFirst && this.#ownMemory) {
      this.#socket.on('data', (chunk: Uint8Array) => {
        if (!this.receive(chunk)) this.#socket.pause()
      })
    }
    this.#read()
    // The socket may be in the middle of a read that the previous handler accepted.
    if (this.#paused && !isFirst && !this.#closing) this.#socket.pause()
  }

  pause(): void {
    this.#paused = true
    if (!this.#closing) this.#socket.pause()
  }

  resume(): void {
    this.#paused = false
    if (this.#handler !== undefined && !this.#isThrottled) this.#read()
  }

  goOn(): void {
    this.#isThrottled = false
    if (!this.#paused) this.#read()
  }

  write(buffers: readonly Uint8Array[]): boolean {
    if (this.#closing) return true
    // All writes of one turn of the event loop leave in one system call.
    if (!this.#corked) {
      this.#corked = true
      this.#socket.cork()
      process.nextTick(TcpConnection.#uncork, this)
    }
    let ready = true
    for (const buffer of buffers) if (!this.#socket.write(buffer)) ready = false
    if (ready || this.#socket.writableLength < writeQueueLength) return true
    this.#undrained = true
    return false
  }

  close(error?: Error): void {
    if (this.#closing) return
    this.#closing = true
    this.#error ??= error
    if (this.#socket.closed) queueMicrotask(() => this.#finish())
    else this.#socket.destroy()
  }

  /** Delivers what the socket has read; returns false if reading must pause. */
  receive(chunk: Uint8Array): boolean {
    if (this.#closing) return false
    if (this.#handler === undefined || this.#paused || this.#isThrottled) this.#hold(new Uint8Array(chunk))
    else if (!this.#handler.onReceive(chunk)) this.#paused = true
    else if (readTurn.take(chunk.length, this)) return true
    else this.#isThrottled = true
    // Needed although the callback returns false: otherwise the socket's `resume` would not read again.
    if (!this.#closing) this.#socket.pause()
    return false
  }

  /** Whether chunks are still to be delivered after the other end has closed. */
  #hasMore(): boolean {
    return this.#held !== undefined && !this.#closing && this.#error === undefined
  }

  /** Delivers held chunks and resumes reading. */
  #read(): void {
    // A handler may call `resume` while it receives a chunk.
    if (this.#isDelivering) return
    this.#isDelivering = true
    while (this.#held !== undefined && !this.#closing && !this.#paused) {
      const [chunk, ...rest] = this.#held
      this.#held = rest.length === 0 ? undefined : rest
      if (chunk !== undefined && this.#handler?.onReceive(chunk) !== true) this.#paused = true
    }
    this.#isDelivering = false
    if (this.#closing || this.#paused) return
    if (this.#ended) this.close()
    else this.#socket.resume()
  }

  #hold(chunk: Uint8Array): void {
    if (this.#held === undefined) this.#held = [chunk]
    else this.#held.push(chunk)
  }

  static #uncork(this: void, connection: TcpConnection): void {
    connection.#corked = false
    connection.#socket.uncork()
  }

  #finish(): void {
    if (this.#finished || this.#handler === undefined) return
    this.#finished = true
    this.#handler.onClose(this.#error)
  }
}
