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
  /** Gives its slot back. */
  readonly leave: () => void
}

/**
 * The open connections, of which there are only so many. One without a request under way makes room for a new one, the one that is
 * so for longest first; while there is none, new ones are answered with 503 before anything of them is read.
 */
export class Connections {
  readonly #slots: Slots
  readonly #mostRefusals: number
  readonly #open = new Map<Socket, Connection>()
  /** Connections without a request under way, the one that is so for longest first. */
  readonly #idle = new Set<Socket>()
  readonly #refused = new Set<Socket>()

  constructor({ connections, connectionsOfHost, refusals }: ServerLimits) {
    this.#slots = new Slots(connections, connectionsOfHost)
    this.#mostRefusals = refusals
  }

  /** Counts a new connection; false when it is refused, and then ends by itself. */
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

  /** A request of a connection begins or has ended. */
  setBusy(socket: Socket, isBusy: boolean): void {
    this.#idle.delete(socket)
    if (!isBusy && this.#open.has(socket)) this.#idle.add(socket)
  }

  /** Closes the connections that are being refused. */
  close(): void {
    for (const socket of this.#refused) socket.destroy()
  }

  #remove(socket: Socket): void {
    this.#open.get(socket)?.leave()
    this.#open.delete(socket)
    this.#idle.delete(socket)
  }

  /** Closes the connection that is idle for longest; one of this host when the host has too many. */
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
    // A socket that is closed with bytes unread is reset, and its answer may be lost.
    socket.resume()
    socket.setTimeout(lingerMs, () => socket.destroy())
    socket.end(refusal)
  }
}
