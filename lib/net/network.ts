import { isIP } from '../util/address.ts'
import { asError, TorrentError } from '../util/errors.ts'
import type { Connection, Listener, Sniff } from './connection.ts'
import type { DatagramPort } from './datagram-port.ts'
import { findGateways, type Gateway } from './gateways.ts'
import { socketLookup } from './host-guard.ts'
import { HttpClient } from './http-client.ts'
import type { MulticastOptions, MulticastPort } from './multicast-port.ts'
import { bindPortPair } from './port-pair.ts'
import { proxyError } from './proxy-dialler.ts'
import type { ProxyServer } from './proxy-server.ts'
import { type HostLookup, systemHostLookup } from './resolve-host.ts'
import { SocksRelay } from './socks-relay.ts'
import { TcpTransport } from './tcp.ts'
import { bindUdpPort } from './udp-port.ts'
import { bindUdp, bindUdpPorts, familiesOf } from './udp-ports.ts'

/** Options of {@link Network}. */
export interface NetworkOptions {
  /** Local IP address for connections and bound ports; default all addresses of both families. */
  readonly host?: string | undefined
  /** Resolves host names; default the system's resolver. */
  readonly lookup?: HostLookup | undefined
  /** Proxy for all traffic; default none. */
  readonly proxy?: ProxyServer | undefined
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
 *
 * With a proxy, everything goes through it or fails: it does not listen, has no multicast, resolves no names but the
 * proxy's own, and has UDP only through the relay of a SOCKS5 proxy.
 */
export class Network {
  /** Address families in use. */
  readonly families: readonly (4 | 6)[]
  /** Resolves host names; always rejects with a proxy, which resolves them itself. */
  readonly lookup: HostLookup
  /** The proxy that everything goes through. */
  readonly proxy: ProxyServer | undefined
  /** Dials connections. */
  readonly tcp: TcpTransport
  /** Makes HTTP and HTTPS requests. */
  readonly http: HttpClient
  readonly #host: string | undefined
  readonly #onWarning: (warning: Error) => void
  readonly #relay: SocksRelay | undefined
  readonly #udp = new Map<4 | 6, Promise<DatagramPort>>()
  readonly #multicast = new Set<MulticastPort>()
  readonly #separate = new Set<Promise<DatagramPort>>()
  /** Settles when the ports that are being bound are in `#udp`; never rejects. */
  #binding: Promise<unknown> = Promise.resolve()
  #listener: Listener | undefined
  #closing: Promise<void> | undefined

  constructor({ host, lookup = systemHostLookup, onWarning = () => {}, proxy }: NetworkOptions = {}) {
    this.#host = host
    this.#onWarning = onWarning
    this.proxy = proxy
    const [family, other] = familiesOf(host)
    // The proxy decides which families it reaches.
    this.families = proxy === undefined ? familiesOf(host) : [4, 6]
    this.lookup = proxy === undefined ? lookup : refuseNames(proxy)
    // An IPv4 socket cannot bind to `::`.
    const only = other === undefined ? { localAddress: host, family } : { localAddress: undefined }
    const { localAddress } = only
    this.tcp = new TcpTransport({ localAddress, lookup: socketLookup(lookup, only), proxy, onWarning })
    this.http = new HttpClient({ tcp: this.tcp, lookup: this.lookup, ...only })
    const dialler = this.tcp.proxy
    if (dialler?.proxy.carriesUdp === true) this.#relay = new SocksRelay({ dialler, localAddress, onWarning })
  }

  /** Whether datagrams can be sent: always without a proxy, and with a SOCKS5 proxy, which may still refuse. */
  get carriesUdp(): boolean {
    return this.proxy === undefined || this.proxy.carriesUdp
  }

  /** TCP listen port; 0 while not listening. */
  get port(): number {
    return this.#listener?.port ?? 0
  }

  /**
   * Listens for TCP and binds UDP on the same port, the preferred one, one of the next nine, or any free one. Resolves to
   * the UDP ports and never rejects: without a TCP port, peers cannot reach us, but we can dial them. With a proxy,
   * only returns its UDP ports.
   */
  listen(options: NetworkListenOptions): Promise<readonly DatagramPort[]> {
    if (this.proxy !== undefined) return Promise.resolve(this.#relayPorts())
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
    if (this.proxy !== undefined) return Promise.resolve(this.#relayPorts())
    const bound = this.#bindUdp(port)
    this.#binding = bound.catch(() => {})
    return bound
  }

  /**
   * Returns the UDP port of a family, which all protocols share: the bound one, else a free one.
   * @throws TorrentError ERR_TRANSPORT_LISTEN, or ERR_TRANSPORT_PROXY if the proxy carries no UDP.
   */
  async udpPort(family: 4 | 6): Promise<DatagramPort> {
    if (this.proxy !== undefined) return this.#relayPort(this.proxy, family)
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
   * none, or there is a proxy. Loads the multicast code on the first call.
   */
  async multicast(options: Omit<MulticastOptions, 'host'>): Promise<MulticastPort | undefined> {
    if (this.proxy !== undefined) return undefined
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
    await this.#relay?.close()
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

  #relayPort(proxy: ProxyServer, family: 4 | 6): DatagramPort {
    if (this.#relay === undefined) throw proxyError(proxy, 'it carries no UDP')
    return this.#relay.port(family)
  }

  #relayPorts(): readonly DatagramPort[] {
    return this.#relay === undefined ? [] : [this.#relay.port(4), this.#relay.port(6)]
  }

  #keep(ports: readonly DatagramPort[]): void {
    for (const port of ports) this.#udp.set(port.family, Promise.resolve(port))
  }

  #refuseIfClosed(): void {
    if (this.#closing !== undefined) throw new TorrentError('ERR_TRANSPORT_LISTEN', 'the network is closed')
  }
}

/** Returns a lookup that fails, so that no name is resolved beside the proxy. */
function refuseNames(proxy: ProxyServer): HostLookup {
  return (host) =>
    Promise.reject(proxyError(proxy, `it resolves names itself, so '${host}' is not looked up here`))
}
