import { isIP } from '../util/address.ts'
import { asError, TorrentError } from '../util/errors.ts'
import type { Connection, Listener, Sniff } from './connection.ts'
import type { DatagramPort } from './datagram-port.ts'
import { findGateways, type Gateway } from './gateways.ts'
import { socketLookup } from './host-guard.ts'
import { HttpClient } from './http-client.ts'
import type { MulticastOptions, MulticastPort } from './multicast-port.ts'
import { bindPortPair } from './port-pair.ts'
import { type HostLookup, systemHostLookup } from './resolve-host.ts'
import { TcpTransport } from './tcp.ts'
import { bindUdpPort } from './udp-port.ts'
import { bindUdp, bindUdpPorts, familiesOf } from './udp-ports.ts'

/** Options of {@link Network}. */
export interface NetworkOptions {
  /** Local IP address for connections and bound ports; default all addresses of both families. */
  readonly host?: string | undefined
  /** Resolves host names; default the system's resolver. */
  readonly lookup?: HostLookup | undefined
  /** Receives errors that do not stop anything, such as those of a socket that stays open. */
  readonly onWarning?: ((warning: Error) => void) | undefined
}

/** Options of {@link Network.listen}. */
export interface NetworkListenOptions {
  /** Preferred port; 0 for any free one. */
  readonly port: number
  /** Decides whether to accept a connection by its first bytes; without it, all are accepted at once. */
  readonly sniff?: Sniff | undefined
  /** Returns whether to close a connection of this host right after accept. */
  refuses?(host: string): boolean
  /** Receives an incoming connection; must call its `start` or `close`. */
  onConnection(connection: Connection): void
}

/**
 * All network access of a client: TCP and TLS, HTTP, the UDP port that DHT and UDP trackers share, multicast,
 * and host names. Opens nothing before it is asked, and closes everything that it opened.
 */
export class Network {
  /** Address families in use. */
  readonly families: readonly (4 | 6)[]
  /** Resolves host names. */
  readonly lookup: HostLookup
  /** Dials connections. */
  readonly tcp: TcpTransport
  /** Makes HTTP and HTTPS requests. */
  readonly http: HttpClient
  readonly #host: string | undefined
  readonly #onWarning: (warning: Error) => void
  readonly #udp = new Map<4 | 6, Promise<DatagramPort>>()
  readonly #multicast = new Set<MulticastPort>()
  readonly #separate = new Set<Promise<DatagramPort>>()
  /** Settles when the ports that are being bound are in `#udp`; never rejects. */
  #binding: Promise<unknown> = Promise.resolve()
  #listener: Listener | undefined
  #closing: Promise<void> | undefined

  constructor({ host, lookup = systemHostLookup, onWarning = () => {} }: NetworkOptions = {}) {
    this.families = familiesOf(host)
    this.lookup = lookup
    this.#host = host
    this.#onWarning = onWarning
    const [family, other] = this.families
    // An IPv4 socket cannot bind to `::`.
    const only = other === undefined ? { localAddress: host, family } : { localAddress: undefined }
    this.tcp = new TcpTransport({ localAddress: only.localAddress, lookup: socketLookup(lookup, only) })
    this.http = new HttpClient({ tcp: this.tcp, lookup, ...only })
  }

  /** TCP listen port; 0 while not listening. */
  get port(): number {
    return this.#listener?.port ?? 0
  }

  /**
   * Listens for TCP and binds UDP on the same port, the preferred one, one of the next nine, or any free one. Resolves to
   * the UDP ports and never rejects: without a TCP port, peers cannot reach us, but we can dial them.
   */
  listen(options: NetworkListenOptions): Promise<readonly DatagramPort[]> {
    const bound = this.#listen(options)
    this.#binding = bound
    return bound
  }

  /**
   * Binds one UDP port, 0 for any free one, in each address family.
   * @throws TorrentError ERR_TRANSPORT_LISTEN if the first family cannot be bound; a failure of the second is
   * a warning.
   */
  bindUdp(port: number): Promise<readonly DatagramPort[]> {
    const bound = this.#bindUdp(port)
    this.#binding = bound.catch(() => {})
    return bound
  }

  /**
   * Returns the UDP port of a family, which all protocols share: the bound one, else a free one.
   * @throws TorrentError ERR_TRANSPORT_LISTEN
   */
  async udpPort(family: 4 | 6): Promise<DatagramPort> {
    await this.#binding
    const known = this.#udp.get(family)
    if (known !== undefined) return known
    this.#refuseIfClosed()
    const port = bindUdp(family, { host: this.#host, port: 0, onWarning: this.#onWarning })
    this.#udp.set(family, port)
    port.catch(() => this.#udp.delete(family))
    return port
  }

  /**
   * Opens a socket for a multicast group on the interfaces of the network's host; undefined if the family has
   * none. Loads the multicast code on the first call.
   */
  async multicast(options: Omit<MulticastOptions, 'host'>): Promise<MulticastPort | undefined> {
    const { MulticastPort } = await import('./multicast-port.ts')
    this.#refuseIfClosed()
    const port = await MulticastPort.open({ ...options, host: this.#host })
    if (port !== undefined) this.#multicast.add(port)
    if (this.#closing !== undefined) await port?.close()
    return port
  }

  /** Returns the routers of the private IPv4 networks that the network's host is in. */
  gateways(): Promise<readonly Gateway[]> {
    return findGateways(this.#host)
  }

  /**
   * Binds a free UDP port of one local address, for a protocol whose packets must come from it. Multicast leaves
   * through its interface. The network closes it, if its owner does not.
   * @throws TorrentError ERR_TRANSPORT_LISTEN
   */
  async separateUdpPort(host: string): Promise<DatagramPort> {
    this.#refuseIfClosed()
    const family = isIP(host) === 6 ? 6 : 4
    const onWarning = this.#onWarning
    const onClosed = (): void => void this.#separate.delete(bound)
    const bound = bindUdpPort({ family, host, multicast: true, onWarning, onClosed })
    this.#separate.add(bound)
    bound.catch(onClosed)
    return bound
  }

  /** Stops accepting connections. Open connections are not affected, and may outlast the promise. */
  async unlisten(): Promise<void> {
    await this.#listener?.close()
  }

  /** Closes all connections and ports; idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.tcp.close()
    await this.#binding
    await Promise.allSettled([
      ...[...this.#udp.values(), ...this.#separate].map(async (port) => (await port).close()),
      ...[...this.#multicast].map((port) => port.close())
    ])
  }

  async #listen(options: NetworkListenOptions): Promise<readonly DatagramPort[]> {
    const [host, onWarning] = [this.#host, this.#onWarning]
    try {
      const { listener, udp } = await bindPortPair(this.tcp, { ...options, host, onWarning })
      this.#listener = listener
      this.#keep(udp)
      return udp
    } catch (error) {
      if (this.#closing !== undefined) return []
      onWarning(asError(error))
      const { ports } = await bindUdpPorts({ host, port: 0, onWarning })
      this.#keep(ports)
      return ports
    }
  }

  async #bindUdp(port: number): Promise<readonly DatagramPort[]> {
    const onWarning = this.#onWarning
    const { ports, faults } = await bindUdpPorts({ host: this.#host, port, onWarning })
    this.#keep(ports)
    const [fault] = faults
    if (fault === undefined) return ports
    // Many machines have no IPv6.
    if (ports[0]?.family !== this.families[0]) throw fault
    onWarning(asError(fault))
    return ports
  }

  #keep(ports: readonly DatagramPort[]): void {
    for (const port of ports) this.#udp.set(port.family, Promise.resolve(port))
  }

  #refuseIfClosed(): void {
    if (this.#closing !== undefined) throw new TorrentError('ERR_TRANSPORT_LISTEN', 'the network is closed')
  }
}
