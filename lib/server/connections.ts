import type { Socket } from 'node:net'
import { hostKey } from './host-key.ts'
import type { ServerLimits } from './limits.ts'
import { Slots } from './slots.ts'

const lingerMs = 1000
const text = 'too many connections are open\n'
const refusal = [
  'HTTP/1.1 503 Service Unavailable',
  'retry-after: 5',
  'connection: close',
  'content-type: text/plain; charset=utf-8',
  `content-length: ${text.length}`,
  `\r\n${text}`
].join('\r\n')

interface Connection {
  readonly host: string | undefined
  /** Releases the connection's slot. */
  readonly leave: () => void
}

/**
 * The open connections, limited in number. A new connection beyond the limit replaces the one that has been idle for longest. If
 * none is idle, the new one is answered with 503 before any of it is read.
 */
export class Connections {
  readonly #slots: Slots
  readonly #mostRefusals: number
  readonly #open = new Map<Socket, Connection>()
  /** Connections without an open request, longest idle first. */
  readonly #idle = new Set<Socket>()
  readonly #refused = new Set<Socket>()

  constructor({ connections, connectionsOfHost, refusals }: ServerLimits) {
    this.#slots = new Slots(connections, connectionsOfHost)
    this.#mostRefusals = refusals
  }

  /** Counts a new connection. Returns false when it is refused; it then gets a 503 and is closed. */
  admit(socket: Socket): boolean {
    const host = hostKey(socket)
    let leave = this.#slots.take(host)
    if (leave === undefined && this.#makeRoom(host)) leave = this.#slots.take(host)
    if (leave === undefined) {
      this.#refuse(socket)
      return false
    }
    this.#open.set(socket, { host, leave })
    this.#idle.add(socket)
    socket.once('close', () => this.#remove(socket))
    return true
  }

  /** Records that a connection has an open request, or has none. */
  setBusy(socket: Socket, isBusy: boolean): void {
    this.#idle.delete(socket)
    if (!isBusy && this.#open.has(socket)) this.#idle.add(socket)
  }

  /** Closes the refused connections. */
  close(): void {
    for (const socket of this.#refused) socket.destroy()
  }

  #remove(socket: Socket): void {
    this.#open.get(socket)?.leave()
    this.#open.delete(socket)
    this.#idle.delete(socket)
  }

  /** Closes the longest idle connection, of this host if the host is at its limit; returns false if there is none. */
  #makeRoom(host: string | undefined): boolean {
    const isHostFull = this.#slots.isHostFull(host)
    for (const socket of this.#idle) {
      if (isHostFull && this.#open.get(socket)?.host !== host) continue
      this.#remove(socket)
      socket.destroy()
      return true
    }
    return false
  }

  #refuse(socket: Socket): void {
    socket.on('error', () => {})
    if (this.#refused.size >= this.#mostRefusals) {
      socket.destroy()
      return
    }
    this.#refused.add(socket)
    socket.once('close', () => this.#refused.delete(socket))
    // Closing a socket with unread bytes resets it, and the response may be lost.
    socket.resume()
    socket.setTimeout(lingerMs, () => socket.destroy())
    socket.end(refusal)
  }
}
