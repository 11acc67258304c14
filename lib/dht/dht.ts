import type { PeerAddress } from '../util/address.ts'
import { abortable } from '../util/concurrency.ts'
import { TorrentError } from '../util/errors.ts'
import { BloomFilter } from './bloom-filter.ts'
import { DhtNetworks } from './dht-networks.ts'
import {
  checkOptions,
  type DhtAnnounceOptions,
  type DhtLookupOptions,
  type DhtOptions,
  type DhtState,
  type MutableName,
  optionError,
  type PutRequest,
  targetOf
} from './dht-options.ts'
import { type DhtItem, getItem, type PutResult, putItem } from './item-access.ts'
import type { LookupAnswer } from './lookup.ts'
import { merge } from './merge.ts'
import { formatNodes } from './node-info.ts'
import { PeerFilter, peersOf } from './peer-filter.ts'
import { walk, write } from './walk.ts'

/** Something of each address family. */
export interface PerFamily<T> {
  /** IPv4. */
  readonly 4: T
  /** IPv6. */
  readonly 6: T
}

/**
 * A node of the mainline DHT (BEP 5) in the IPv4 network, the IPv6 network (BEP 32) or both. It knows nothing of torrents: that
 * private ones (BEP 27) are neither looked up nor announced here is the caller's business, and so is to announce again,
 * every 15 minutes or so.
 */
export class DHT {
  readonly #networks: DhtNetworks

  /**
   * Starts at once, unless it is `lazy`.
   * @throws TorrentError ERR_DHT_OPTION, or ERR_UTIL_ADDRESS for a bootstrap node that is no `host:port`.
   */
  constructor(options: DhtOptions = {}) {
    checkOptions(options)
    this.#networks = new DhtNetworks(options)
  }

  /**
   * Resolves once the first look-up for neighbours is over, whatever it found; rejects with ERR_TRANSPORT_LISTEN when no port can
   * be bound, and with ERR_DHT_CLOSED when closed before. Nobody needs to await it: what is asked waits by itself.
   */
  get ready(): Promise<void> {
    this.#networks.wake()
    return this.#networks.ready
  }

  /** How many nodes the tables hold, by address family. */
  get size(): PerFamily<number> {
    return this.#each((family) => this.#networks.node(family)?.table.size ?? 0)
  }

  /** How others see us, by address family; undefined until enough have told. */
  get address(): PerFamily<PeerAddress | undefined> {
    return this.#each((family) => this.#networks.node(family)?.address)
  }

  /** The UDP ports in use, by address family; undefined until bound. */
  get ports(): PerFamily<number | undefined> {
    return this.#each((family) => this.#networks.port(family))
  }

  /**
   * Resolves once any node has answered us, be it later than `ready`: without one nothing can be found.
   * @throws TorrentError ERR_DHT_CLOSED; the signal's reason.
   */
  connected({ signal }: DhtLookupOptions = {}): Promise<void> {
    return this.#networks.connected(signal)
  }

  /**
   * Finds peers: yields each once, as the look-up comes by, and ends with it. Goes no further while nobody reads, and may be left
   * at any time. Ends quietly when the DHT is closed meanwhile.
   * @throws TorrentError ERR_DHT_OPTION, ERR_DHT_CLOSED; the signal's reason.
   */
  peers(infoHash: Uint8Array | string, options: DhtLookupOptions = {}): AsyncIterableIterator<PeerAddress> {
    const target = targetOf('infoHash', infoHash)
    this.#networks.refuseIfClosed()
    return this.#peers(target, options)
  }

  /**
   * Tells the nodes closest to the info hash that we listen on `port`, 1 to 65535 (TCP and uTP); resolves to how many took it.
   * @throws TorrentError ERR_DHT_OPTION, ERR_DHT_CLOSED; the signal's reason.
   */
  async announce(
    infoHash: Uint8Array | string,
    port: number,
    { impliedPort = false, seed = false, onPeer, signal }: DhtAnnounceOptions = {}
  ): Promise<number> {
    const target = targetOf('infoHash', infoHash)
    if (!Number.isInteger(port) || port < 1 || port > 65535)
      throw optionError(`port: ${port} is not 1 to 65535`, { port })
    const peers = new PeerFilter(onPeer)
    const args = {
      info_hash: target,
      port,
      implied_port: impliedPort ? 1 : undefined,
      seed: seed ? 1 : undefined
    }
    const onAnswer = (answer: LookupAnswer): void => peers.add(answer)
    const search = { method: 'get_peers', args: { info_hash: target }, onAnswer, signal } as const
    const counts = await this.#networks.each(async (node) => {
      peers.addStored(node.stored(target), node.family)
      const found = await walk(node, target, search)
      return write(node, found, 'announce_peer', () => args, signal)
    }, signal)
    return counts.reduce((sum, count) => sum + count, 0)
  }

  /**
   * About how many seeds and other peers there are (BEP 33).
   * @throws TorrentError ERR_DHT_OPTION, ERR_DHT_CLOSED; the signal's reason.
   */
  async scrape(
    infoHash: Uint8Array | string,
    { signal }: DhtLookupOptions = {}
  ): Promise<{ seeds: number; peers: number }> {
    const target = targetOf('infoHash', infoHash)
    const seeds = new BloomFilter()
    const peers = new BloomFilter()
    const onAnswer = ({ node, values }: LookupAnswer): void => {
      const filters = [values.bytes('BFsd'), values.bytes('BFpe')] as const
      if (filters[0] === undefined && filters[1] === undefined)
        for (const peer of peersOf(values, node)) peers.add(peer.host)
      seeds.merge(filters[0] ?? new Uint8Array())
      peers.merge(filters[1] ?? new Uint8Array())
    }
    const args = { info_hash: target, scrape: 1 }
    await this.#networks.each(
      (node) => walk(node, target, { method: 'get_peers', args, onAnswer, signal }),
      signal
    )
    return { seeds: Math.round(seeds.estimate), peers: Math.round(peers.estimate) }
  }

  /**
   * Finds an item: an immutable one by its target as soon as one node has it, a mutable one by its public key and salt (or by the
   * target, if it has no salt) with the highest sequence number that all nodes on the way know. Undefined when none is found.
   * @throws TorrentError ERR_DHT_OPTION, ERR_DHT_CLOSED; the signal's reason.
   */
  get(name: Uint8Array | string | MutableName, options: DhtLookupOptions = {}): Promise<DhtItem | undefined> {
    return getItem(this.#networks, name, options)
  }

  /**
   * Puts an item on the nodes closest to its target (BEP 44); to be repeated every hour. `nodes` of the result is 0 when all refused,
   * as they do for an old sequence number or another `cas`.
   * @throws TorrentError ERR_DHT_ITEM when it cannot be put so, ERR_BENCODE_VALUE, ERR_DHT_CLOSED; the signal's reason.
   */
  put(request: PutRequest, options: DhtLookupOptions = {}): Promise<PutResult> {
    return putItem(this.#networks, request, options)
  }

  /** Pings a node that was told by a peer (`port` message) or a torrent, so that the table takes it if it answers. */
  addNode(address: PeerAddress): void {
    if (!(address.port >= 1 && address.port <= 65535)) return
    void this.#networks.addNode(address).catch(() => {})
  }

  /** What a later run may start from: our ids and the nodes we know. */
  save(): DhtState {
    const [four, six] = [this.#networks.node(4), this.#networks.node(6)]
    return {
      ...(four === undefined ? {} : { id: four.id.slice(), nodes: formatNodes(four.table.nodes()) }),
      ...(six === undefined ? {} : { id6: six.id.slice(), nodes6: formatNodes(six.table.nodes()) })
    }
  }

  /** Ends what is under way, and closes the ports that were bound here; idempotent. */
  close(): Promise<void> {
    return this.#networks.close()
  }

  /** As {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async *#peers(target: Uint8Array, { signal }: DhtLookupOptions): AsyncGenerator<PeerAddress, void, void> {
    signal?.throwIfAborted()
    try {
      await abortable(this.ready, signal)
    } catch (error) {
      if (error instanceof TorrentError && error.code === 'ERR_DHT_CLOSED') return
      throw error
    }
    const stop = new AbortController()
    const onAbort = (): void => stop.abort(signal?.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    const found: PeerAddress[] = []
    const filter = new PeerFilter((peer) => found.push(peer))
    try {
      for (const node of this.#networks.nodes) filter.addStored(node.stored(target), node.family)
      yield* found.splice(0)
      const args = { info_hash: target }
      const options = { method: 'get_peers', args, signal: stop.signal } as const
      for await (const answer of merge(this.#networks.nodes.map((node) => node.lookup(target, options)))) {
        filter.add(answer)
        yield* found.splice(0)
      }
    } finally {
      signal?.removeEventListener('abort', onAbort)
      // Wakes what still waits for answers that nobody will read.
      stop.abort()
    }
  }

  #each<T>(of: (family: 4 | 6) => T): PerFamily<T> {
    return { 4: of(4), 6: of(6) }
  }
}
