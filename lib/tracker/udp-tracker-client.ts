import type { DatagramPort } from '../net/datagram-port.ts'
import { eachFamily } from '../net/each-family.ts'
import { refusal, scopeOfName } from '../net/host-guard.ts'
import { Network } from '../net/network.ts'
import { type HostLookup, resolveHost } from '../net/resolve-host.ts'
import { hostOfUrl, serverName } from '../net/url-host.ts'
import { canonicalHost, formatAddress, isIP, type PeerAddress } from '../util/address.ts'
import { asError, TorrentError } from '../util/errors.ts'
import { systemTimers, type Timers } from '../util/timers.ts'
import type { Trust } from '../util/trust.ts'
import { limits } from './limits.ts'
import type { AnnounceParameters, ScrapeResult, TrackerReply, UdpSchedule } from './request.ts'
import { ofTracker } from './tracker-error.ts'
import { mayName, trackerGuard } from './tracker-guard.ts'
import {
  encodeAnnounce,
  encodeConnect,
  encodeScrape,
  parseAnnounce,
  parseConnect,
  parseScrape
} from './udp-packets.ts'
import { UdpTransactions, udpClosedError } from './udp-transactions.ts'

/** Schedule of BEP 15: 15 seconds, doubled 8 times, over two hours in all. */
export const patientSchedule: UdpSchedule = { firstTimeoutMs: 15_000, retries: 8 }

/** Options of a {@link UdpTrackerClient}. */
export interface UdpTrackerClientOptions {
  /** Bound ports to share, at most one per address family; they stay open. Default ports of its own, bound on first use. */
  readonly ports?: readonly DatagramPort[]
  /** Clock and timers; for tests. */
  readonly timers?: Timers | undefined
  /** @internal Network on which ports are bound on first use; stays open. Default a network of its own. */
  readonly network?: Network | undefined
}

/** Options of one UDP request. */
export interface UdpRequestOptions {
  /** Aborts the request at once. */
  readonly signal?: AbortSignal | undefined
  /** Retransmission schedule; default {@link patientSchedule}. */
  readonly schedule?: UdpSchedule | undefined
  /** The only address family to use; default both. */
  readonly family?: 4 | 6 | undefined
  /** Origin of the URL: `'program'` (default) may lead to any host, `'remote'` is a torrent or magnet link. */
  readonly trust?: Trust | undefined
  /** Resolves host names; default the system's resolver. */
  readonly lookup?: HostLookup | undefined
}

/** Options of an announce over UDP. */
export interface UdpAnnounceOptions extends UdpRequestOptions {
  /** Called with the reply of each address family. */
  readonly onReply?: ((reply: TrackerReply) => void) | undefined
  /** Called for each announce datagram, which is sent after the tracker answered a connect. */
  readonly onSent?: (() => void) | undefined
}

/** Client for UDP trackers (BEP 15, BEP 41). Uses one socket per address family for any number of torrents. */
export class UdpTrackerClient {
  readonly #timers: Timers
  readonly #network: Network
  readonly #ownsNetwork: boolean
  /** Whether only `#ports` may be used. */
  #isShared = false
  readonly #ports = new Map<4 | 6, DatagramPort>()
  readonly #transactions: UdpTransactions
  readonly #connections = new Map<string, { readonly id: bigint; readonly until: number }>()
  #closing: Promise<void> | undefined

  /** Creates a client; it binds and sends nothing before the first request. */
  constructor({ ports, timers }?: UdpTrackerClientOptions)
  constructor({ ports, timers = systemTimers, network }: UdpTrackerClientOptions = {}) {
    this.#network = network ?? new Network()
    this.#ownsNetwork = network === undefined
    this.#timers = timers
    this.#transactions = new UdpTransactions(timers)
    if (ports !== undefined) this.share(ports)
  }

  /**
   * Uses these ports and no others, at most one per address family; to be called before the first request.
   * They stay open.
   */
  share(ports: readonly DatagramPort[]): void {
    this.#isShared = true
    for (const port of ports) this.#use(port)
  }

  /**
   * Announces over each address family that the tracker and we have. `onReply` is called at once with the
   * reply of each family; the promise waits a few seconds for the second family and merges the peers. Leaves
   * out peers that are more local than the tracker.
   * @throws TorrentError ERR_TRACKER_FAILURE, ERR_TRACKER_RESPONSE, ERR_TRACKER_NETWORK or
   * ERR_TRACKER_TIMEOUT if every family failed; ERR_TRACKER_URL if `trust` does not allow any of the addresses; the
   * signal's reason.
   */
  async announce(
    url: URL,
    parameters: AnnounceParameters,
    options: UdpAnnounceOptions = {}
  ): Promise<TrackerReply> {
    const path = `${url.pathname}${url.search}`
    const replies = await this.#each(url, options, limits.familyGraceMs, async (family, to, signal) => {
      const numwant = family === 6 ? Math.min(parameters.numwant, limits.udpPeersIpv6) : parameters.numwant
      const answer = await this.#request(
        url,
        family,
        to,
        { ...options, signal },
        (connectionId, id) => encodeAnnounce(connectionId, id, { ...parameters, numwant }, path),
        (message, from) => parseAnnounce(message, from)
      )
      const scope = scopeOfName(to.host)
      const reply = { ...answer, peers: answer.peers.filter(({ host }) => mayName(scope, host)) }
      options.onReply?.(reply)
      return reply
    })
    return { ...replies[0], peers: replies.flatMap(({ peers }) => peers) }
  }

  /**
   * Returns the counts of up to 74 torrents, in the given order, from the address family that answers first.
   * @throws TorrentError as {@link UdpTrackerClient.announce} does.
   */
  async scrape(
    url: URL,
    infoHashes: readonly Uint8Array[],
    options: UdpRequestOptions = {}
  ): Promise<readonly ScrapeResult[]> {
    const [results] = await this.#each(url, options, 0, (family, to, signal) =>
      this.#request(
        url,
        family,
        to,
        { ...options, signal },
        (connectionId, id) => encodeScrape(connectionId, id, infoHashes),
        (message) => parseScrape(message, infoHashes.length)
      )
    )
    return results
  }

  /** Fails all requests and closes the client's own sockets; shared ports stay open. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#transactions.close()
    this.#connections.clear()
    if (this.#ownsNetwork) await this.#network.close()
  }

  #use(port: DatagramPort): void {
    if (this.#ports.has(port.family)) return
    this.#transactions.listen(port)
    this.#ports.set(port.family, port)
  }

  async #each<T>(
    url: URL,
    { signal, family, lookup = this.#network.lookup, trust = 'program' }: UdpRequestOptions,
    graceMs: number,
    run: (family: 4 | 6, to: PeerAddress, signal: AbortSignal) => Promise<T>
  ): Promise<[T, ...T[]]> {
    if (this.#closing !== undefined) throw udpClosedError()
    const host = hostOfUrl(url)
    const hosts =
      this.#network.proxy === undefined
        ? await resolveHost(host, { signal, lookup, timers: this.#timers })
        : unresolved(host)
    const isUsable = (one: 4 | 6): boolean =>
      this.#isShared ? this.#ports.has(one) : this.#network.families.includes(one)
    const usable = ([4, 6] as const).filter((one) => (family ?? one) === one && isUsable(one))
    const families = usable.filter((one) => hosts[one] !== undefined)
    // Checks the addresses that are sent to, so that a second DNS answer cannot bypass the check.
    const guard = trackerGuard(url, trust)
    const refused = families.map((one) => refusal(url, scopeOfName(hosts[one] ?? ''), 0, { guard }))
    const allowed = families.filter((_, at) => refused[at] === undefined)
    if (families.length > 0 && allowed.length === 0) throw refused[0]
    if (families.length === 0) {
      const names =
        usable.length === 0 ? 'no address family' : `only ${usable.map((one) => `IPv${one}`).join(' and ')}`
      throw new TorrentError(
        'ERR_TRACKER_NETWORK',
        `${serverName(url)} has no address that this client can reach: ${names} can be used`
      )
    }
    return eachFamily(allowed, { signal, graceMs, timers: this.#timers }, (one, inner) =>
      run(one, { host: hosts[one] ?? '', port: Number(url.port) }, inner)
    )
  }

  async #request<T>(
    url: URL,
    family: 4 | 6,
    to: PeerAddress,
    { signal, schedule = patientSchedule, onSent }: UdpAnnounceOptions,
    encode: (connectionId: bigint, transactionId: number) => Uint8Array,
    parse: (message: Uint8Array, from: 4 | 6) => T
  ): Promise<T> {
    const where = formatAddress(to)
    const connect = this.#transactions.open(to)
    const request = this.#transactions.open(to)
    try {
      const port = await this.#port(family)
      let fresh = false
      for (let n = 0; n <= schedule.retries; n++) {
        const timeoutMs = schedule.firstTimeoutMs * 2 ** n
        let connectionId = this.#connection(where)
        if (connectionId === undefined) {
          const answer = await this.#transactions.exchange(
            port,
            connect,
            encodeConnect(connect.id),
            timeoutMs,
            signal
          )
          if (answer === undefined) continue
          this.#transactions.renew(connect)
          connectionId = parseConnect(answer)
          this.#remember(where, connectionId)
          fresh = true
        }
        onSent?.()
        const answer = await this.#transactions.exchange(
          port,
          request,
          encode(connectionId, request.id),
          timeoutMs,
          signal
        )
        if (answer === undefined) continue
        try {
          // A proxy may have resolved the name to either family, which the answer's format depends on.
          return parse(answer, request.from === undefined || isIP(request.from) !== 6 ? 4 : 6)
        } catch (error) {
          // A restarted tracker no longer knows a connection id that was valid a moment ago.
          if (fresh) throw error
          fresh = true
          this.#connections.delete(where)
          this.#transactions.renew(request)
          n--
        }
      }
      throw new TorrentError('ERR_TRACKER_TIMEOUT', 'no answer in time')
    } catch (error) {
      if (!(error instanceof TorrentError)) throw error
      throw ofTracker(url, `${serverName(url)} (${where})`, error)
    } finally {
      this.#transactions.end(connect)
      this.#transactions.end(request)
    }
  }

  #connection(where: string): bigint | undefined {
    const connection = this.#connections.get(where)
    return connection !== undefined && this.#timers.now() < connection.until ? connection.id : undefined
  }

  #remember(where: string, id: bigint): void {
    this.#connections.delete(where)
    this.#connections.set(where, { id, until: this.#timers.now() + limits.connectionIdMs })
    if (this.#connections.size <= limits.connectionIds) return
    const [oldest] = this.#connections.keys()
    if (oldest !== undefined) this.#connections.delete(oldest)
  }

  async #port(family: 4 | 6): Promise<DatagramPort> {
    const known = this.#ports.get(family)
    if (known !== undefined) return known
    let port: DatagramPort
    try {
      port = await this.#network.udpPort(family)
    } catch (cause) {
      if (this.#closing !== undefined) throw udpClosedError()
      throw new TorrentError('ERR_TRACKER_NETWORK', `no UDP port could be bound: ${asError(cause).message}`, {
        cause
      })
    }
    if (this.#closing !== undefined) throw udpClosedError()
    this.#use(port)
    return port
  }
}

/**
 * Returns a host as it is passed to a proxy, by address family. The proxy resolves names, so a name has no family yet; datagrams to it go
 * through the IPv4 port.
 */
function unresolved(host: string): { 4?: string; 6?: string } {
  return isIP(host) === 6 ? { 6: canonicalHost(host) } : { 4: host }
}
