import type { Socket } from 'node:net'
import type { PeerAddress } from '../util/address.ts'
import type { Connection, ConnectionHandler } from './connection.ts'
import { readTurn, type TurnReader } from './read-turn.ts'

// All sockets read into one buffer: the system fills it and the receiver is called before any other read can happen,
// and a receiver only borrows what it is given.
const readMemory = new Uint8Array(256 * 1024)
// Enough to keep a fast link busy for a turn of the event loop; more would only be out of reach of a cancel.
const writeQueueLength = 256 * 1024

/** What `onread` of a socket asks for: the memory of the next read, and whom to tell. */
export interface ReadOption {
  buffer: () => Uint8Array
  callback: (length: number, memory: Uint8Array) => boolean
}

/** The reader that a socket is made with, on behalf of the connection that is made of the socket. */
export class SocketReader {
  connection: TcpConnection | undefined
  /** The option for the constructor of a socket. */
  readonly option: ReadOption = {
    buffer: () => {
      const most = this.connection?.receiveLength ?? readMemory.length
      return most < readMemory.length ? readMemory.subarray(0, most) : readMemory
    },
    callback: (length, memory) => this.connection?.receive(memory.subarray(0, length)) ?? false
  }
}

/** A TCP socket as a {@link Connection}; one of TLS as well, if the connection is made before the socket is connected. */
export class TcpConnection implements Connection, TurnReader {
  readonly remote: PeerAddress
  readonly incoming: boolean
  receiveLength: number = Number.POSITIVE_INFINITY
  readonly #socket: Socket
  readonly #ownMemory: boolean
  #handler: ConnectionHandler | undefined
  #error: Error | undefined
  #closing = false
  /** Whether the handler wants nothing now, and whether it is another's turn. */
  #paused = false
  #waits = false
  #finished = false
  #corked = false
  #undrained = false
  /** Chunks that came before the start, or while none was wanted: TLS hands out all that it has deciphered. */
  #held: Uint8Array[] | undefined
  #delivers = false
  #ended = false

  /**
   * A socket that does not read yet; `reader` when its memory is shared, else it reads by `data` events. `head` was read of
   * it already, and is delivered first.
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
    if (reader !== undefined) reader.connection = this
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
    // Each handler hears of the end.
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
    // The socket may be in the middle of a read of which the last handler wanted more.
    if (this.#paused && !isFirst && !this.#closing) this.#socket.pause()
  }

  pause(): void {
    this.#paused = true
    if (!this.#closing) this.#socket.pause()
  }

  resume(): void {
    this.#paused = false
    if (this.#handler !== undefined && !this.#waits) this.#read()
  }

  goOn(): void {
    this.#waits = false
    if (!this.#paused) this.#read()
  }

  write(buffers: readonly Uint8Array[]): boolean {
    if (this.#closing) return true
    // What is written in one turn of the event loop leaves in one system call.
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

  /** Takes what the socket has read; false when the handler wants to wait. */
  receive(chunk: Uint8Array): boolean {
    if (this.#closing) return false
    if (this.#handler === undefined || this.#paused || this.#waits) this.#hold(new Uint8Array(chunk))
    else if (!this.#handler.onReceive(chunk)) this.#paused = true
    else if (readTurn.take(chunk.length, this)) return true
    else this.#waits = true
    // Also when the callback of a socket returns false: only then does its `resume` start reading again.
    if (!this.#closing) this.#socket.pause()
    return false
  }

  /** Whether chunks are still to be delivered, though the other end has closed. */
  #hasMore(): boolean {
    return this.#held !== undefined && !this.#closing && this.#error === undefined
  }

  /** Delivers what is held, and reads on. */
  #read(): void {
    // A handler may call `resume` while it is given a chunk.
    if (this.#delivers) return
    this.#delivers = true
    while (this.#held !== undefined && !this.#closing && !this.#paused) {
      const [chunk, ...rest] = this.#held
      this.#held = rest.length === 0 ? undefined : rest
      if (chunk !== undefined && this.#handler?.onReceive(chunk) !== true) this.#paused = true
    }
    this.#delivers = false
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
