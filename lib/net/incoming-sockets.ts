import type { Socket } from 'node:net'
import { networkKey } from '../util/ip-network.ts'
import type { Sniff } from './connection.ts'
import { limits } from './limits.ts'

const nothing = new Uint8Array()

interface Waiting {
  readonly socket: Socket
  readonly network: string
  readonly since: number
  head: Uint8Array
  reads: number
}

/**
 * Accepted sockets that have not sent their first bytes. They are held apart from connections, so that silent ones do
 * not keep honest peers out; each costs a third of a connection. When there are too many, the oldest of the newcomer's
 * network is closed if that network has its full share, else the oldest of all: real peers send their first bytes
 * within a round trip.
 */
export class IncomingSockets {
  readonly #sniff: Sniff
  readonly #onHead: (socket: Socket, head: Uint8Array) => void
  readonly #waitMs: number
  /** Waiting sockets, oldest first. */
  readonly #waiting = new Set<Waiting>()
  readonly #networks = new Map<string, Set<Waiting>>()
  #timer: NodeJS.Timeout | undefined
  #closed = false

  /** `onHead` receives each socket that `sniff` accepts, paused, with the bytes read so far. */
  constructor(
    sniff: Sniff,
    onHead: (socket: Socket, head: Uint8Array) => void,
    waitMs: number = limits.incomingMs
  ) {
    this.#sniff = sniff
    this.#onHead = onHead
    this.#waitMs = waitMs
  }

  /** Number of waiting sockets. */
  get size(): number {
    return this.#waiting.size
  }

  /** Adds a paused socket and starts reading. */
  add(socket: Socket, host: string): void {
    if (this.#closed) {
      socket.destroy()
      return
    }
    const network = networkKey(host) ?? host
    if (this.#waiting.size >= limits.incomingSockets) this.#drop(this.#oldest(network))
    const waiting: Waiting = { socket, network, since: performance.now(), head: nothing, reads: 0 }
    this.#waiting.add(waiting)
    const sockets = this.#networks.get(network)
    if (sockets === undefined) this.#networks.set(network, new Set([waiting]))
    else sockets.add(waiting)
    socket.on('close', () => this.#forget(waiting))
    socket.on('data', (chunk: Uint8Array) => this.#read(waiting, chunk))
    socket.resume()
    if (this.#timer === undefined) this.#watch()
  }

  /** Closes all waiting sockets, and closes later ones at once; idempotent. */
  close(): void {
    this.#closed = true
    for (const waiting of this.#waiting) this.#drop(waiting)
    clearTimeout(this.#timer)
  }

  #oldest(network: string): Waiting | undefined {
    const own = this.#networks.get(network)
    for (const waiting of own !== undefined && own.size >= limits.incomingPerNetwork ? own : this.#waiting)
      return waiting
    return undefined
  }

  #read(waiting: Waiting, chunk: Uint8Array): void {
    const head = waiting.head.length === 0 ? chunk : Buffer.concat([waiting.head, chunk])
    waiting.head = head
    const verdict = this.#sniff(head)
    if (verdict === 'wait' && ++waiting.reads < limits.incomingReads) return
    if (verdict !== 'take') {
      this.#drop(waiting)
      return
    }
    const { socket } = waiting
    this.#forget(waiting)
    socket.pause()
    socket.removeAllListeners('data')
    socket.removeAllListeners('close')
    // Deferred, because the socket is still inside its own callback.
    process.nextTick(() => {
      if (this.#closed || socket.destroyed) socket.destroy()
      else this.#onHead(socket, head)
    })
  }

  #drop(waiting: Waiting | undefined): void {
    if (waiting === undefined) return
    this.#forget(waiting)
    waiting.socket.destroy()
  }

  #forget(waiting: Waiting): void {
    if (!this.#waiting.delete(waiting)) return
    const sockets = this.#networks.get(waiting.network)
    sockets?.delete(waiting)
    if (sockets?.size === 0) this.#networks.delete(waiting.network)
  }

  /** Closes sockets that waited too long, and sets a timer for the next one. */
  #watch(): void {
    this.#timer = undefined
    const now = performance.now()
    for (const waiting of this.#waiting) {
      const leftMs = waiting.since + this.#waitMs - now
      if (leftMs > 0) {
        this.#timer = setTimeout(() => this.#watch(), leftMs)
        this.#timer.unref()
        return
      }
      this.#drop(waiting)
    }
  }
}
