import type { PeerAddress } from '../util/address.ts'
import { abortable } from '../util/concurrency.ts'
import { TorrentError } from '../util/errors.ts'
import { show } from '../util/show.ts'
import { BloomFilter } from './bloom-filter.ts'
import { DhtNetworks } from './dht-networks.ts'
import {
  type DhtAnnounceOptions,
  type DhtLookupOptions,
  type DhtOptions,
  type DhtState,
  type MutableName,
  optionError,
  type PerFamily,
  type PutRequest,
  targetOf
} from './dht-options.ts'
import { type DhtItem, getItem, type PutResult, putItem } from './item-access.ts'
import type { LookupAnswer } from './lookup.ts'
import { merge } from './merge.ts'
import { formatNodes } from './node-info.ts'
import { PeerFilter, peersOf } from './peer-filter.ts'
import { walk, write } from './walk.ts'

/** The implementation behind `DhtHandle`, which documents each member. */
export class DhtEngine {
  readonly #networks: DhtNetworks

  /** Creates an engine from checked options. It starts at once unless it is `lazy`. */
  constructor(options: DhtOptions) {
    this.#networks = new DhtNetworks(options)
  }

  /** Resolves once the first lookup of our own id is over. */
  get ready(): Promise<void> {
    this.#networks.wake()
    return this.#networks.ready
  }

  /** Number of nodes in the routing tables. */
  get size(): PerFamily<number> {
    return this.#each((family) => this.#networks.node(family)?.table.size ?? 0)
  }

  /** Our external addresses. */
  get address(): PerFamily<PeerAddress | undefined> {
    return this.#each((family) => this.#networks.node(family)?.address)
  }

  /** The UDP ports in use. */
  get ports(): PerFamily<number | undefined> {
    return this.#each((family) => this.#networks.port(family))
  }

  /** Whether we send queries but answer none (BEP 43). */
  get readOnly(): PerFamily<boolean> {
    return this.#each((family) => this.#networks.node(family)?.readOnly ?? this.#networks.readOnly)
  }

  /** Resolves once any node has answered us. */
  connected({ signal }: DhtLookupOptions = {}): Promise<void> {
    return this.#networks.connected(signal)
  }

  /** Yields the peers of a lookup. */
  peers(infoHash: Uint8Array | string, options: DhtLookupOptions = {}): AsyncIterableIterator<PeerAddress> {
    const target = targetOf('infoHash', infoHash)
    this.#networks.refuseIfClosed()
    return this.#peers(target, options)
  }

  /** Announces us, and reports the peers found by the lookup. */
  async announce(
    infoHash: Uint8Array | string,
    port: number,
    { impliedPort = false, seed = false, onPeer, signal }: DhtAnnounceOptions = {}
  ): Promise<number> {
    const target = targetOf('infoHash', infoHash)
    if (!Number.isInteger(port) || port < 1 || port > 65535)
      throw optionError(`port: ${show(port)} is not 1 to 65535`, { port })
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

  /** Estimates the numbers of seeds and other peers. */
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

  /** Looks up an item. */
  get(name: Uint8Array | string | MutableName, options: DhtLookupOptions = {}): Promise<DhtItem | undefined> {
    return getItem(this.#networks, name, options)
  }

  /** Stores an item on the nodes closest to its target. */
  put(request: PutRequest, options: DhtLookupOptions = {}): Promise<PutResult> {
    return putItem(this.#networks, request, options)
  }

  /** Pings a node. Ignores an invalid port. */
  addNode(address: PeerAddress): void {
    if (!(address.port >= 1 && address.port <= 65535)) return
    void this.#networks.addNode(address).catch(() => {})
  }

  /** Returns our ids and the nodes that we know. */
  save(): DhtState {
    const [four, six] = [this.#networks.node(4), this.#networks.node(6)]
    return {
      ...(four === undefined ? {} : { id: four.id.slice(), nodes: formatNodes(four.table.nodes()) }),
      ...(six === undefined ? {} : { id6: six.id.slice(), nodes6: formatNodes(six.table.nodes()) })
    }
  }

  /** Ends all lookups and closes the ports that were bound here. */
  close(): Promise<void> {
    return this.#networks.close()
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
      // Also ends the lookups that still wait for responses.
      stop.abort()
    }
  }

  #each<T>(of: (family: 4 | 6) => T): PerFamily<T> {
    return { 4: of(4), 6: of(6) }
  }
}
