import { asError } from '../util/errors.ts'
import type { Connection, Listener, Sniff, Transport } from './connection.ts'
import type { DatagramPort } from './datagram-port.ts'
import { TcpTransport } from './tcp.ts'
import { bindUdpPorts } from './udp-ports.ts'

/** Where {@link ClientPorts} are opened. */
export interface ClientPortsOptions {
  /** The TCP port wanted; 0 for any. */
  readonly port: number
  /** Local IP address; all by default. */
  readonly host: string | undefined
  /** Judges the first bytes of incoming connections. */
  readonly sniff: Sniff
  /** Whether a connection of a host is closed as soon as it is accepted; asked for each. */
  refuses(host: string): boolean
  /** A peer has dialled us. */
  onConnection(connection: Connection): void
  /** Hears that a port could not be had, or is not the one wanted. */
  onWarning(warning: Error): void
}

/** The ports of a client: TCP for its peers, and UDP that its other protocols share. */
export class ClientPorts {
  /** Dials, and listens. */
  readonly transport: Transport
  /** Resolves once the TCP port is listened on, or that has failed. */
  readonly listening: Promise<void>
  readonly #options: ClientPortsOptions
  readonly #tcp = new TcpTransport()
  #listener: Listener | undefined
  #udp: readonly DatagramPort[] = []

  /** Listens at once. */
  constructor(options: ClientPortsOptions) {
    this.#options = options
    this.transport = this.#tcp
    this.listening = this.#listen()
  }

  /** The TCP port; 0 until it is listened on. */
  get port(): number {
    return this.#listener?.port ?? 0
  }

  /** Binds the UDP ports once, with the number of the TCP port if it is free; none when that fails. Never rejects. */
  async bindUdp(): Promise<readonly DatagramPort[]> {
    await this.listening
    const { host, onWarning } = this.#options
    try {
      this.#udp = await bindUdpPorts({ host, port: this.port, onWarning })
    } catch (thrown) {
      // Without TCP that was said already.
      if (this.#listener !== undefined) onWarning(asError(thrown))
    }
    return this.#udp
  }

  /** Takes no further connections; resolves when those that were taken have ended as well. */
  async unlisten(): Promise<void> {
    await this.#listener?.close()
  }

  /** Ends all connections. */
  async closeTcp(): Promise<void> {
    await this.#tcp.close()
  }

  /** Closes the UDP ports. */
  async closeUdp(): Promise<void> {
    await Promise.all(this.#udp.map((port) => port.close()))
  }

  async #listen(): Promise<void> {
    const { port, host, sniff, refuses, onConnection, onWarning } = this.#options
    try {
      this.#listener = await this.#tcp.listen({
        port,
        ...(host === undefined ? {} : { host }),
        sniff,
        refuses,
        onConnection,
        onWarning
      })
    } catch (thrown) {
      // Without a port we are not reached, but reach others all the same.
      onWarning(asError(thrown))
    }
  }
}
