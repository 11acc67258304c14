import type { Connection, ConnectionHandler } from '../../lib/net/connection.ts'
import { formatReserved, protocolHeader } from '../../lib/wire/messages.ts'

let hosts = 0

function nextHost(): string {
  hosts++
  return `198.51.${hosts >> 8}.${hosts & 255}`
}

/**
 * A connection without a network. `feed` delivers bytes from the far end, `sent` holds written bytes. The
 * memory that it lends is overwritten after each call.
 */
export class FakeConnection implements Connection {
  readonly remote: { readonly host: string; readonly port: number }
  readonly incoming: boolean
  readonly bytesQueued = 0
  readonly transport = 'tcp'
  readonly encryption = 'none'
  /** Called with a copy of all bytes that are written. */
  onWrite: ((bytes: Uint8Array) => void) | undefined
  /** Called once it is closed. */
  onEnd: (() => void) | undefined
  /** Whether it was started. */
  started = false
  /** The error with which it was closed; undefined while it is open. */
  closed: { readonly error: Error | undefined } | undefined
  readonly #written: Uint8Array[] = []
  readonly #arrived: Uint8Array[] = []
  #handler: ConnectionHandler | undefined
  #paused = false
  #delivers = false

  /** By default each comes from a host of its own, as hosts have budgets that all tests of a process share. */
  constructor(incoming: boolean, host: string = nextHost()) {
    this.incoming = incoming
    this.remote = { host, port: 6881 }
  }

  /** All bytes written so far. */
  get sent(): Buffer {
    return Buffer.concat(this.#written)
  }

  start(handler: ConnectionHandler, head?: Uint8Array): void {
    this.started = true
    this.#handler = handler
    if (head !== undefined) this.#arrived.unshift(new Uint8Array(head))
    this.#deliver()
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#deliver()
  }

  write(buffers: readonly Uint8Array[]): boolean {
    const bytes = Buffer.concat(buffers)
    this.#written.push(bytes)
    this.onWrite?.(bytes)
    return true
  }

  close(error?: Error): void {
    if (this.closed !== undefined) return
    this.closed = { error }
    queueMicrotask(() => this.#handler?.onClose(error))
    this.onEnd?.()
  }

  /** Delivers bytes from the far end. */
  feed(bytes: Uint8Array): void {
    this.#arrived.push(new Uint8Array(bytes))
    this.#deliver()
  }

  #deliver(): void {
    if (this.#delivers) return
    this.#delivers = true
    while (this.#handler !== undefined && !this.#paused && this.closed === undefined) {
      const chunk = this.#arrived.shift()
      if (chunk === undefined) break
      if (!this.#handler.onReceive(chunk)) this.#paused = true
      chunk.fill(0xff)
    }
    this.#delivers = false
  }
}

/** Joins the far ends of two connections: what one writes or closes, the other receives soon after. */
export function joinFarEnds(a: FakeConnection, b: FakeConnection): void {
  for (const [from, to] of [
    [a, b],
    [b, a]
  ] as const) {
    from.onWrite = (bytes) => setImmediate(() => to.feed(bytes))
    from.onEnd = () => setImmediate(() => to.close())
  }
}

/** Returns a handshake (BEP 3) with an info hash and a peer id of 20 bytes each. */
export function handshakeOf(infoHash: Uint8Array, peerId: Uint8Array): Buffer {
  const reserved = formatReserved({ fast: true, extended: true, dht: false })
  return Buffer.concat([protocolHeader, reserved, infoHash, peerId])
}

/** Returns 20 equal bytes. */
export function twenty(value: number): Uint8Array {
  return new Uint8Array(20).fill(value)
}

/** Resolves after the callbacks of all settled promises have run. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
