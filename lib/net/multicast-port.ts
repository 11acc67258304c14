import { createSocket, type Socket } from 'node:dgram'
import type { PeerAddress } from '../util/address.ts'
import { debug } from '../util/debug.ts'
import { asError } from '../util/errors.ts'
import { type LocalInterface, localInterfaces } from './local-interfaces.ts'

const log = debug('net')
/** Datagrams handled per second; the rest are dropped. */
const mostPerSecond = 200

/** Options of {@link MulticastPort.open}. */
export interface MulticastOptions {
  readonly family: 4 | 6
  /** Multicast address. */
  readonly group: string
  /** UDP port; other programs may share it. */
  readonly port: number
  /** Local address of the only interface to use; default all interfaces but loopback. */
  readonly host?: string | undefined
  /** Returns whether to accept datagrams from this sender, given the interfaces in use. */
  accepts(host: string, interfaces: readonly LocalInterface[]): boolean
  /** Receives a datagram of an accepted sender and owns its memory. */
  onMessage(message: Uint8Array, from: PeerAddress): void
}

/** A socket in a multicast group, on the local interfaces. Does not keep the process alive. */
export class MulticastPort {
  readonly #options: MulticastOptions
  readonly #socket: Socket
  readonly #joined = new Set<string>()
  #interfaces: readonly LocalInterface[] = []
  #sending: Promise<void> = Promise.resolve()
  #second = 0
  #heard = 0
  #closing: Promise<void> | undefined

  private constructor(options: MulticastOptions, socket: Socket) {
    this.#options = options
    this.#socket = socket
    socket.on('error', (error) => log.enabled && log('%s: %s', options.group, error.message))
    socket.on('message', (message, { address, port }) => this.#receive(message, { host: address, port }))
  }

  /**
   * Binds the port and joins the group. Resolves to undefined if no interface of that family qualifies.
   * Rejects with a system error if the port is taken, or with an Error if no interface could join.
   */
  static async open(options: MulticastOptions): Promise<MulticastPort | undefined> {
    const { family, group, host } = options
    if (localInterfaces(family, host).length === 0) return undefined
    const socket = createSocket({ type: `udp${family}`, reuseAddr: true, ipv6Only: family === 6 })
    socket.unref()
    const port = new MulticastPort(options, socket)
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject)
        // A socket bound to the group receives nothing else; Windows does not support that.
        const address = process.platform === 'win32' ? undefined : group
        socket.bind(
          { port: options.port, exclusive: true, ...(address === undefined ? {} : { address }) },
          () => {
            socket.off('error', reject)
            resolve()
          }
        )
      })
      port.refresh()
      if (port.#joined.size === 0) throw new Error(`no interface could join ${group}`)
    } catch (thrown) {
      await port.close()
      throw asError(thrown)
    }
    return port
  }

  /** Joins the group on new interfaces, and forgets interfaces that are gone. */
  refresh(): void {
    if (this.#closing !== undefined) return
    const { family, group, host } = this.#options
    this.#interfaces = localInterfaces(family, host)
    const names = new Set(this.#interfaces.map(({ multicastName }) => multicastName))
    for (const name of this.#joined) if (!names.has(name)) this.#joined.delete(name)
    for (const name of names) {
      if (this.#joined.has(name)) continue
      try {
        this.#socket.addMembership(group, name)
        this.#joined.add(name)
      } catch (thrown) {
        if (log.enabled) log('%s on %s: %s', group, name, asError(thrown).message)
      }
    }
  }

  /** Sends a datagram to the group on each interface. Failures are only logged, because announces repeat. */
  send(message: Uint8Array): void {
    const { group, port } = this.#options
    for (const name of this.#joined) {
      this.#sending = this.#sending.then(
        () =>
          new Promise((resolve) => {
            if (this.#closing !== undefined) return resolve()
            try {
              // A socket has one outgoing interface at a time, so datagrams are sent one after the other.
              this.#socket.setMulticastInterface(name)
              this.#socket.send(message, port, group, (error) => {
                if (error !== null && log.enabled) log('%s on %s: %s', group, name, error.message)
                resolve()
              })
            } catch (thrown) {
              if (log.enabled) log('%s on %s: %s', group, name, asError(thrown).message)
              resolve()
            }
          })
      )
    }
  }

  /** Closes the socket and drops queued datagrams; idempotent. */
  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => this.#socket.close(() => resolve()))
    return this.#closing
  }

  #receive(message: Uint8Array, from: PeerAddress): void {
    const second = Math.floor(performance.now() / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#heard = 0
    }
    if (++this.#heard > mostPerSecond || !this.#options.accepts(from.host, this.#interfaces)) return
    this.#options.onMessage(message, from)
  }
}
