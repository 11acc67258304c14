import type { DatagramPort } from '../net/datagram-port.ts'
import type { PeerAddress } from '../util/address.ts'
import { abortable } from '../util/concurrency.ts'
import { TorrentError } from '../util/errors.ts'
import type { DhtEngine } from './dht-engine.ts'
import {
  checkLookup,
  checkNode,
  checkOptions,
  type DhtAnnounceOptions,
  type DhtLookupOptions,
  type DhtOptions,
  type DhtState,
  type MutableName,
  type PerFamily,
  type PutRequest,
  targetOf
} from './dht-options.ts'
import type { DhtItem, PutResult } from './item-access.ts'

/**
 * The public interface of a DHT. Without an engine it is `lazy` and loads one at first use, so that a client of private torrents, or
 * a program that only imports the library, never loads it.
 */
export class DhtHandle {
  readonly #options: DhtOptions
  #engine: DhtEngine | undefined
  #loading: Promise<DhtEngine> | undefined
  /** The open ports, while there is no engine. */
  #ports: readonly DatagramPort[] = []
  #closing: Promise<void> | undefined

  /**
   * Creates a handle. With an engine it starts at once, unless the options say `lazy`.
   * @throws TorrentError ERR_DHT_OPTION, or ERR_UTIL_ADDRESS if a bootstrap node is not a `host:port`.
   */
  constructor(options: DhtOptions, engine?: typeof DhtEngine) {
    checkOptions(options)
    this.#options = options
    if (engine !== undefined) this.#engine = new engine(options)
    else void this.#readPorts()
  }

  /**
   * Resolves once the first lookup of our own id is over, whatever it found. Rejects with ERR_TRANSPORT_LISTEN if no port can be
   * bound, and with ERR_DHT_CLOSED if the DHT is closed before. Awaiting it is optional: other calls wait by themselves.
   */
  get ready(): Promise<void> {
    const ready = this.#engine?.ready ?? this.#load().then((engine) => engine.ready)
    ready.catch(() => {})
    return ready
  }

  /** Number of nodes in the routing tables, by address family. */
  get size(): PerFamily<number> {
    return this.#engine?.size ?? { 4: 0, 6: 0 }
  }

  /** Our external addresses, by address family; undefined until enough nodes have reported one (BEP 42). */
  get address(): PerFamily<PeerAddress | undefined> {
    return this.#engine?.address ?? { 4: undefined, 6: undefined }
  }

  /** The UDP ports in use, by address family; undefined until bound. */
  get ports(): PerFamily<number | undefined> {
    if (this.#engine !== undefined) return this.#engine.ports
    const portOf = (family: 4 | 6): number | undefined =>
      this.#ports.find((port) => port.family === family)?.port
    return { 4: portOf(4), 6: portOf(6) }
  }

  /** Whether we currently send queries but answer none (BEP 43), by address family. Peers need not be told of our port then. */
  get readOnly(): PerFamily<boolean> {
    const readOnly = this.#options.readOnly === true
    return this.#engine?.readOnly ?? { 4: readOnly, 6: readOnly }
  }

  /**
   * Resolves once any node has answered us, which may be later than `ready`. Until then, lookups find nothing.
   * @throws TorrentError ERR_DHT_OPTION, ERR_DHT_CLOSED; the signal's reason.
   */
  async connected(options: DhtLookupOptions = {}): Promise<void> {
    checkLookup(options)
    return this.#engine?.connected(options) ?? this.#connected(options)
  }

  /**
   * Looks up peers. Yields each peer once, as soon as it is found, and ends with the lookup, or when the DHT is closed. The
   * lookup pauses while the iterator is not read, and breaking out of the loop ends it.
   * @throws TorrentError ERR_DHT_OPTION, ERR_DHT_CLOSED; the signal's reason.
   */
  peers(infoHash: Uint8Array | string, options: DhtLookupOptions = {}): AsyncIterableIterator<PeerAddress> {
    const target = targetOf('infoHash', infoHash)
    checkLookup(options)
    if (this.#closing !== undefined) throw closedError()
    return this.#engine?.peers(target, options) ?? this.#peers(target, options)
  }

  /**
   * Announces to the nodes closest to the info hash that we listen on `port`, 1 to 65535 (TCP and uTP). Resolves to the number of nodes
   * that accepted. Nodes drop an announce after about 30 minutes, so repeat it every 15 minutes.
   * @throws TorrentError ERR_DHT_OPTION, ERR_DHT_CLOSED; the signal's reason.
   */
  async announce(
    infoHash: Uint8Array | string,
    port: number,
    options: DhtAnnounceOptions = {}
  ): Promise<number> {
    const target = targetOf('infoHash', infoHash)
    checkLookup(options, 'impliedPort', 'seed', 'onPeer')
    return (await this.#awake(options)).announce(target, port, options)
  }

  /**
   * Estimates the numbers of seeds and other peers (BEP 33).
   * @throws TorrentError ERR_DHT_OPTION, ERR_DHT_CLOSED; the signal's reason.
   */
  async scrape(
    infoHash: Uint8Array | string,
    options: DhtLookupOptions = {}
  ): Promise<{ seeds: number; peers: number }> {
    const target = targetOf('infoHash', infoHash)
    checkLookup(options)
    return (await this.#awake(options)).scrape(target, options)
  }

  /**
   * Looks up an item, or resolves to undefined if none is found. An immutable item is named by its target, and the first node that has it
   * ends the lookup. A mutable item is named by its public key and salt (or by its target, if it has no salt), and the version with
   * the highest sequence number of the whole lookup is returned.
   * @throws TorrentError ERR_DHT_OPTION, ERR_DHT_CLOSED; the signal's reason.
   */
  async get(
    name: Uint8Array | string | MutableName,
    options: DhtLookupOptions = {}
  ): Promise<DhtItem | undefined> {
    checkLookup(options)
    return (await this.#awake(options)).get(name, options)
  }

  /**
   * Stores an item on the nodes closest to its target (BEP 44). Repeat it every hour to keep the item alive. A node refuses an old sequence
   * number or a wrong `cas`: if all nodes refuse, `nodes` of the result is 0, and `refusals` holds the error codes.
   * @throws TorrentError ERR_DHT_ITEM if the item is invalid, ERR_BENCODE_VALUE, ERR_DHT_OPTION, ERR_DHT_CLOSED; the signal's reason.
   */
  async put(request: PutRequest, options: DhtLookupOptions = {}): Promise<PutResult> {
    checkLookup(options)
    return (await this.#awake(options)).put(request, options)
  }

  /**
   * Pings a node that a peer (`port` message) or a torrent has named. It enters the routing table if it answers.
   * @throws TorrentError ERR_DHT_OPTION if `address` is not an object with host and port.
   */
  addNode(address: PeerAddress): void {
    checkNode(address)
    if (this.#engine !== undefined) this.#engine.addNode(address)
    else
      void this.#load().then(
        (engine) => engine.addNode(address),
        () => {}
      )
  }

  /** Returns our ids and the nodes that we know, as the `state` option of a later run. */
  save(): DhtState {
    return this.#engine?.save() ?? {}
  }

  /** Ends all lookups and closes the ports that were bound here; idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Calls {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    if (this.#engine === undefined) await this.#loading?.catch(() => {})
    await this.#engine?.close()
  }

  async #connected(options: DhtLookupOptions): Promise<void> {
    return (await this.#awake(options)).connected(options)
  }

  async *#peers(target: Uint8Array, options: DhtLookupOptions): AsyncGenerator<PeerAddress, void, void> {
    let engine: DhtEngine
    try {
      engine = await this.#awake(options)
    } catch (error) {
      if (error instanceof TorrentError && error.code === 'ERR_DHT_CLOSED') return
      throw error
    }
    yield* engine.peers(target, options)
  }

  /** Returns the engine, or a promise of it while it loads. */
  #awake({ signal }: DhtLookupOptions): DhtEngine | Promise<DhtEngine> {
    signal?.throwIfAborted()
    return this.#engine ?? abortable(this.#load(), signal)
  }

  #load(): Promise<DhtEngine> {
    this.#loading ??= this.#loadEngine()
    return this.#loading
  }

  async #loadEngine(): Promise<DhtEngine> {
    const { DhtEngine } = await import('./dht-engine.ts')
    if (this.#closing !== undefined) throw closedError()
    this.#engine = new DhtEngine({ ...this.#options, lazy: false })
    return this.#engine
  }

  /** Reads the `ports` option, so that `ports` can be read before the engine is loaded. */
  async #readPorts(): Promise<void> {
    try {
      this.#ports = (await this.#options.ports) ?? []
    } catch {
      // The calls that need the ports report the error.
    }
  }
}

function closedError(): TorrentError {
  return new TorrentError('ERR_DHT_CLOSED', 'The DHT is closed')
}
