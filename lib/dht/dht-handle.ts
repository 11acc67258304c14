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
 * A DHT as its users see it. Without an engine it is `lazy`, and loads one when it is first used: a client of private torrents never
 * does, nor does a program that only imports the library.
 */
export class DhtHandle {
  readonly #options: DhtOptions
  #engine: DhtEngine | undefined
  #loading: Promise<DhtEngine> | undefined
  /** As long as there is no engine. */
  #ports: readonly DatagramPort[] = []
  #closing: Promise<void> | undefined

  /**
   * With an engine it starts at once, unless the options say `lazy`.
   * @throws TorrentError ERR_DHT_OPTION, or ERR_UTIL_ADDRESS for a bootstrap node that is no `host:port`.
   */
  constructor(options: DhtOptions, engine?: typeof DhtEngine) {
    checkOptions(options)
    this.#options = options
    if (engine !== undefined) this.#engine = new engine(options)
    else void this.#see()
  }

  /**
   * Resolves once the first look-up for neighbours is over, whatever it found; rejects with ERR_TRANSPORT_LISTEN when no port can
   * be bound, and with ERR_DHT_CLOSED when closed before. Nobody needs to await it: what is asked waits by itself.
   */
  get ready(): Promise<void> {
    const ready = this.#engine?.ready ?? this.#load().then((engine) => engine.ready)
    ready.catch(() => {})
    return ready
  }

  /** How many nodes the tables hold, by address family. */
  get size(): PerFamily<number> {
    return this.#engine?.size ?? { 4: 0, 6: 0 }
  }

  /** How others see us, by address family; undefined until enough have told. */
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

  /** Whether we ask and do not answer at present (BEP 43), by address family; nobody need be told of our port then. */
  get readOnly(): PerFamily<boolean> {
    const readOnly = this.#options.readOnly === true
    return this.#engine?.readOnly ?? { 4: readOnly, 6: readOnly }
  }

  /**
   * Resolves once any node has answered us, be it later than `ready`: without one nothing can be found.
   * @throws TorrentError ERR_DHT_CLOSED; the signal's reason.
   */
  async connected(options: DhtLookupOptions = {}): Promise<void> {
    checkLookup(options)
    return this.#engine?.connected(options) ?? this.#connected(options)
  }

  /**
   * Finds peers: yields each once, as the look-up comes by, and ends with it. Goes no further while nobody reads, and may be left
   * at any time. Ends quietly when the DHT is closed meanwhile.
   * @throws TorrentError ERR_DHT_OPTION, ERR_DHT_CLOSED; the signal's reason.
   */
  peers(infoHash: Uint8Array | string, options: DhtLookupOptions = {}): AsyncIterableIterator<PeerAddress> {
    const target = targetOf('infoHash', infoHash)
    checkLookup(options)
    if (this.#closing !== undefined) throw closedError()
    return this.#engine?.peers(target, options) ?? this.#peers(target, options)
  }

  /**
   * Tells the nodes closest to the info hash that we listen on `port`, 1 to 65535 (TCP and uTP); resolves to how many took it.
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
   * About how many seeds and other peers there are (BEP 33).
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
   * Finds an item: an immutable one by its target as soon as one node has it, a mutable one by its public key and salt (or by the
   * target, if it has no salt) with the highest sequence number that all nodes on the way know. Undefined when none is found.
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
   * Puts an item on the nodes closest to its target (BEP 44); to be repeated every hour. Nodes refuse an old sequence number or another
   * `cas`: `nodes` of the result is 0 when all did, and `refusals` says why.
   * @throws TorrentError ERR_DHT_ITEM when it cannot be put so, ERR_BENCODE_VALUE, ERR_DHT_CLOSED; the signal's reason.
   */
  async put(request: PutRequest, options: DhtLookupOptions = {}): Promise<PutResult> {
    checkLookup(options)
    return (await this.#awake(options)).put(request, options)
  }

  /** Pings a node that was told by a peer (`port` message) or a torrent, so that the table takes it if it answers. */
  addNode(address: PeerAddress): void {
    checkNode(address)
    if (this.#engine !== undefined) this.#engine.addNode(address)
    else
      void this.#load().then(
        (engine) => engine.addNode(address),
        () => {}
      )
  }

  /** What a later run may start from: our ids and the nodes we know. */
  save(): DhtState {
    return this.#engine?.save() ?? {}
  }

  /** Ends what is under way, and closes the ports that were bound here; idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** As {@link close}. */
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

  /** The engine, now or as soon as it is loaded. */
  #awake({ signal }: DhtLookupOptions): DhtEngine | Promise<DhtEngine> {
    signal?.throwIfAborted()
    return this.#engine ?? abortable(this.#load(), signal)
  }

  #load(): Promise<DhtEngine> {
    this.#loading ??= this.#begin()
    return this.#loading
  }

  async #begin(): Promise<DhtEngine> {
    const { DhtEngine } = await import('./dht-engine.ts')
    if (this.#closing !== undefined) throw closedError()
    this.#engine = new DhtEngine({ ...this.#options, lazy: false })
    return this.#engine
  }

  /** Knows the ports before they are used. */
  async #see(): Promise<void> {
    try {
      this.#ports = (await this.#options.ports) ?? []
    } catch {
      // Who asks for something hears of it.
    }
  }
}

function closedError(): TorrentError {
  return new TorrentError('ERR_DHT_CLOSED', 'The DHT is closed')
}
