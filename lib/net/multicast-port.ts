import { createSocket, type Socket } from 'node:dgram'
import type { PeerAddress } from '../util/address.ts'
import { debug } from '../util/debug.ts'
import { asError } from '../util/errors.ts'
import { type LocalInterface, localInterfaces } from './local-interfaces.ts'

const log = debug('net')
/** More datagrams in a second than this are not looked at. */
const mostPerSecond = 200

/** What a {@link MulticastPort} is made of. */
export interface MulticastOptions {
  readonly family: 4 | 6
  /** Multicast address. */
  readonly group: string
  /** UDP port, which other programs may share. */
  readonly port: number
  /** The local address of the only interface to use; by default all but loopback. */
  readonly host?: string | undefined
  /** Says whether a sender is heard, by the interfaces in use. */
  accepts(host: string, interfaces: readonly LocalInterface[]): boolean
  /** A datagram of an accepted sender came; the memory is the receiver's. */
  onMessage(message: Uint8Array, from: PeerAddress): void
}

/** A socket that speaks to a multicast group on the interfaces of this machine; it alone keeps no process alive. */
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
   * Binds the port and joins the group; undefined when this machine has no interface of that family for it. Rejects with a system
   * error when the port is taken, or no interface takes part.
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
        // Bound to the group nothing else is heard; Windows cannot do that.
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
      if (port.#joined.size === 0) throw new Error(`no interface takes part in ${group}`)
    } catch (thrown) {
      await port.close()
      throw asError(thrown)
    }
    return port
  }

  /** Takes part on interfaces that have come, and forgets those that have gone. */
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

  /** Sends a datagram to the group on each interface; what fails is logged, for the next one comes anyway. */
  send(message: Uint8Array): void {
    const { group, port } = this.#options
    for (const name of this.#joined) {
      this.#sending = this.#sending.then(
        () =>
          new Promise((resolve) => {
            if (this.#closing !== undefined) return resolve()
            try {
              // The socket has one interface at a time, so that one datagram waits for the other.
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

  /** Closes the socket when what was sent has left; idempotent. */
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
