import { isIP } from 'node:net'
import type { BencodeValue } from '../bencode/bencode-dict.ts'
import { decode } from '../bencode/decode.ts'
import { encode } from '../bencode/encode.ts'
import { formatAddress, isAddress, type PeerAddress } from '../util/address.ts'
import { randomBytes } from '../util/bytes.ts'
import { abortable, deferred } from '../util/concurrency.ts'
import type { DatagramPort } from '../util/datagram-port.ts'
import { asError, TorrentError } from '../util/errors.ts'
import { systemTimers, type Timers } from '../util/timers.ts'
import { bindUdpPort } from '../util/udp-port.ts'
import { BloomFilter } from './bloom-filter.ts'
import { publicBootstrap, resolveNodes, systemDhtLookup } from './bootstrap.ts'
import { DhtNode } from './dht-node.ts'
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
import { type Item, immutableTarget, mutableTarget, privateKeyOf, publicKeyOf, signItem } from './item.ts'
import { ItemFinder } from './item-finder.ts'
import type { KrpcValues } from './krpc.ts'
import type { AnsweredNode, LookupAnswer } from './lookup.ts'
import { merge } from './merge.ts'
import { addressKey, formatNodes, type NodeInfo, parseNodes } from './node-info.ts'
import { PeerFilter, peersOf } from './peer-filter.ts'
import { checkPut, nameTarget } from './put-request.ts'
import { bucketSize } from './routing-table.ts'

/** An item that was found and verified (BEP 44). */
export interface DhtItem {
  readonly target: Uint8Array
  readonly value: BencodeValue
  /** The bencoded value. */
  readonly encoded: Uint8Array
  /** Of a mutable item: who signed it. */
  readonly publicKey?: Uint8Array
  /** Of a mutable item: the highest sequence number found. */
  readonly seq?: number
  /** Of a mutable item, so that anyone may keep it alive by putting it again. */
  readonly signature?: Uint8Array
}

/** What became of a put. */
export interface PutResult {
  readonly target: Uint8Array
  /** How many nodes keep the item. */
  readonly nodes: number
  /** Of a mutable item. */
  readonly seq?: number
}

const tickMs = 10_000
const nobody = { 4: undefined, 6: undefined }

/**
 * A node of the mainline DHT (BEP 5) in the IPv4 network, the IPv6 network (BEP 32) or both. It knows nothing of torrents: that
 * private ones (BEP 27) are neither looked up nor announced here is the caller's business, and so is to announce again,
 * every 15 minutes or so.
 */
export class DHT {
  /**
   * Resolves once the first look-up for neighbours is over, whatever it found; rejects with ERR_TRANSPORT_LISTEN when no port can
   * be bound, and with ERR_DHT_CLOSED when closed before. Nobody needs to await it: what is asked waits by itself.
   */
  readonly ready: Promise<void>
  readonly #options: DhtOptions
  readonly #timers: Timers
  readonly #closing = deferred<never>()
  #nodes: DhtNode[] = []
  /** Those that we bound ourselves. */
  #bound: DatagramPort[] = []
  #cancelTick: (() => void) | undefined
  #bootstrapping = false
  #closed: Promise<void> | undefined

  /**
   * Starts at once.
   * @throws TorrentError ERR_DHT_OPTION, or ERR_UTIL_ADDRESS for a bootstrap node that is no `host:port`.
   */
  constructor(options: DhtOptions = {}) {
    checkOptions(options)
    this.#options = options
    this.#timers = options.timers ?? systemTimers
    if (options.ports !== undefined) this.#open(options.ports)
    this.ready = this.#start()
    this.ready.catch(() => {})
  }

  /** How many nodes the tables hold, by address family. */
  get size(): { readonly 4: number; readonly 6: number } {
    return { 4: this.#node(4)?.table.size ?? 0, 6: this.#node(6)?.table.size ?? 0 }
  }

  /** How others see us, by address family; undefined until enough have told. */
  get address(): { readonly 4: PeerAddress | undefined; readonly 6: PeerAddress | undefined } {
    return { ...nobody, 4: this.#node(4)?.address, 6: this.#node(6)?.address }
  }

  /** The UDP ports in use, by address family; undefined until bound. */
  get ports(): { readonly 4: number | undefined; readonly 6: number | undefined } {
    const of = (family: 4 | 6): number | undefined =>
      [...(this.#options.ports ?? this.#bound)].find((port) => port.family === family)?.port
    return { 4: of(4), 6: of(6) }
  }

  /**
   * Finds peers: yields each once, as the look-up comes by, and ends with it. Goes no further while nobody reads, and may be left
   * at any time. Ends quietly when the DHT is closed meanwhile.
   * @throws TorrentError ERR_DHT_OPTION, ERR_DHT_CLOSED; the signal's reason.
   */
  peers(infoHash: Uint8Array | string, options: DhtLookupOptions = {}): AsyncIterableIterator<PeerAddress> {
    const target = targetOf('infoHash', infoHash)
    this.#refuseIfClosed()
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
    const counts = await this.#each(async (node) => {
      const found = await this.#walk(node, target, 'get_peers', { info_hash: target }, onAnswer, signal)
      return this.#write(node, found, 'announce_peer', () => args, signal)
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
    await this.#each((node) => this.#walk(node, target, 'get_peers', args, onAnswer, signal), signal)
    return { seeds: Math.round(seeds.estimate), peers: Math.round(peers.estimate) }
  }

  /**
   * Finds an item: an immutable one by its target as soon as one node has it, a mutable one by its public key and salt (or by the
   * target, if it has no salt) with the highest sequence number that all nodes on the way know. Undefined when none is found.
   * @throws TorrentError ERR_DHT_OPTION, ERR_DHT_CLOSED; the signal's reason.
   */
  async get(
    name: Uint8Array | string | MutableName,
    { signal }: DhtLookupOptions = {}
  ): Promise<DhtItem | undefined> {
    const mutable = typeof name === 'string' || name instanceof Uint8Array ? undefined : name
    const target =
      mutable === undefined ? targetOf('target', name as Uint8Array | string) : nameTarget(mutable)
    const finder = new ItemFinder(target, mutable?.salt ?? new Uint8Array())
    const stop = new AbortController()
    const onAbort = (): void => stop.abort(signal?.reason)
    if (signal?.aborted) onAbort()
    signal?.addEventListener('abort', onAbort, { once: true })
    const onAnswer = (answer: LookupAnswer): void => {
      finder.add(answer)
      // Nothing better can come: an immutable item is what its target says.
      if (finder.best !== undefined && finder.best.mutable === undefined) stop.abort(finder)
    }
    try {
      await this.#each(
        (node) => this.#walk(node, target, 'get', { target }, onAnswer, stop.signal),
        stop.signal
      )
    } catch (error) {
      if (error !== finder) throw error
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
    if (finder.best === undefined) return undefined
    const { encoded, mutable: found } = finder.best
    const value = decode(encoded)
    if (found === undefined) return { target, value, encoded }
    const { publicKey, seq, signature } = found
    return { target, value, encoded, publicKey, seq, signature }
  }

  /**
   * Puts an item on the nodes closest to its target (BEP 44); to be repeated every hour. `nodes` of the result is 0 when all refused,
   * as they do for an old sequence number or another `cas`.
   * @throws TorrentError ERR_DHT_ITEM when it cannot be put so, ERR_BENCODE_VALUE, ERR_DHT_CLOSED; the signal's reason.
   */
  async put(request: PutRequest, { signal }: DhtLookupOptions = {}): Promise<PutResult> {
    const { privateKey, salt = new Uint8Array(), cas } = request
    const encoded = encode(request.value)
    const key = privateKey === undefined ? undefined : privateKeyOf(privateKey)
    const publicKey = key === undefined ? request.publicKey : publicKeyOf(key)
    checkPut(request, encoded)
    const target = publicKey === undefined ? immutableTarget(encoded) : mutableTarget(publicKey, salt)
    const finder = new ItemFinder(target, salt)
    const onAnswer = (answer: LookupAnswer): void => finder.add(answer)
    const found = await this.#each(
      async (node) => ({
        node,
        answered: await this.#walk(node, target, 'get', { target }, onAnswer, signal)
      }),
      signal
    )
    let item: Item = { encoded }
    if (publicKey !== undefined) {
      const seq = request.seq ?? (finder.best?.mutable?.seq ?? 0) + 1
      const signature = request.signature ?? new Uint8Array()
      item = {
        encoded,
        mutable: key === undefined ? { publicKey, salt, seq, signature } : signItem(encoded, seq, salt, key)
      }
    }
    const { mutable } = item
    const args = (to: AnsweredNode): KrpcValues => ({
      v: decode(encoded),
      k: mutable?.publicKey,
      salt: mutable !== undefined && salt.length > 0 ? salt : undefined,
      seq: mutable?.seq,
      sig: mutable?.signature,
      cas: mutable !== undefined && finder.holders.has(addressKey(to)) ? cas : undefined
    })
    const counts = await Promise.all(
      found.map(({ node, answered }) => this.#write(node, answered, 'put', args, signal))
    )
    const nodes = counts.reduce((sum, count) => sum + count, 0)
    return mutable === undefined ? { target, nodes } : { target, nodes, seq: mutable.seq }
  }

  /** Pings a node that was told by a peer (`port` message) or a torrent, so that the table takes it if it answers. */
  addNode(address: PeerAddress): void {
    if (!(address.port >= 1 && address.port <= 65535)) return
    void this.#addNode(address).catch(() => {})
  }

  /** What a later run may start from: our ids and the nodes we know. */
  save(): DhtState {
    const [four, six] = [this.#node(4), this.#node(6)]
    return {
      ...(four === undefined ? {} : { id: four.id.slice(), nodes: formatNodes(four.table.nodes()) }),
      ...(six === undefined ? {} : { id6: six.id.slice(), nodes6: formatNodes(six.table.nodes()) })
    }
  }

  /** Ends what is under way, and closes the ports that were bound here; idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  /** As {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    this.#closing.reject(closedError())
    this.#cancelTick?.()
    for (const node of this.#nodes) node.close()
    await this.ready.catch(() => {})
    for (const node of this.#nodes) node.close()
    await Promise.all(this.#bound.map((port) => port.close()))
  }

  async #start(): Promise<void> {
    if (this.#options.ports === undefined) await this.#bind()
    this.#refuseIfClosed()
    this.#scheduleTick()
    await Promise.race([this.#bootstrap(), this.#closing.promise])
  }

  async #bind(): Promise<void> {
    const { host, port = 0, onWarning = () => {} } = this.#options
    const bind = (family: 4 | 6, at: number): Promise<DatagramPort> =>
      bindUdpPort({ family, port: at, onWarning, ...(host === undefined ? {} : { host }) })
    this.#bound.push(await bind(host !== undefined && isIP(host) === 6 ? 6 : 4, port))
    if (host === undefined) {
      try {
        this.#bound.push(await bind(6, this.#bound[0]?.port ?? port))
      } catch (error) {
        // Many machines have no IPv6.
        onWarning(asError(error))
      }
    }
    if (this.#closed === undefined) this.#open(this.#bound)
  }

  #open(ports: readonly DatagramPort[]): void {
    const { readOnly = false, random = randomBytes, state } = this.#options
    const timers = this.#timers
    this.#nodes = ports.map((port) => {
      const id = this.#options.id ?? (port.family === 4 ? state?.id : state?.id6)
      const other = port.family === 4 ? 6 : 4
      const others = (target: Uint8Array): NodeInfo[] => this.#node(other)?.closest(target) ?? []
      const node = new DhtNode({
        port,
        timers,
        random,
        readOnly,
        id: id?.length === 20 ? id : undefined,
        others
      })
      const known = port.family === 4 ? state?.nodes : state?.nodes6
      node.restore(parseNodes(known ?? new Uint8Array(), port.family))
      return node
    })
  }

  async #bootstrap(): Promise<void> {
    if (this.#bootstrapping) return
    this.#bootstrapping = true
    try {
      const { bootstrap = publicBootstrap, nodes = [], lookup = systemDhtLookup } = this.#options
      const { onWarning = () => {} } = this.#options
      const names = [...bootstrap, ...nodes.map(formatAddress)]
      const seeds = await resolveNodes(names, lookup, onWarning)
      const both = this.#nodes.length > 1
      await Promise.all(
        this.#nodes.map(async (node) => {
          const own = seeds.filter(({ host }) => isIP(host) === node.family)
          const other = this.#node(node.family === 4 ? 6 : 4)
          const onOther = (found: readonly NodeInfo[]): void => {
            for (const one of found) if (other?.table.hasRoom(one.id)) other.addNode(one)
          }
          if (own.length === 0 && node.table.size === 0) return
          await node.fill(undefined, own, both ? onOther : undefined)
        })
      )
    } finally {
      this.#bootstrapping = false
    }
  }

  #scheduleTick(): void {
    this.#cancelTick = this.#timers.after(tickMs, () => {
      if (this.#closed !== undefined) return
      this.#scheduleTick()
      for (const node of this.#nodes) node.tick()
      // Whoever lost all its nodes, or never had any, begins anew.
      if (this.#nodes.some(({ table }) => table.size === 0)) this.#bootstrap().catch(() => {})
    })
  }

  #node(family: 4 | 6): DhtNode | undefined {
    return this.#nodes.find((node) => node.family === family)
  }

  #refuseIfClosed(): void {
    if (this.#closed !== undefined) throw closedError()
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
      const args = { info_hash: target }
      const options = { method: 'get_peers', args, signal: stop.signal } as const
      for await (const answer of merge(this.#nodes.map((node) => node.lookup(target, options)))) {
        filter.add(answer)
        yield* found.splice(0)
      }
    } finally {
      signal?.removeEventListener('abort', onAbort)
      // Wakes what still waits for answers that nobody will read.
      stop.abort()
    }
  }

  /** Does something with the node of each family, once there are neighbours. */
  async #each<T>(task: (node: DhtNode) => Promise<T>, signal: AbortSignal | undefined): Promise<T[]> {
    this.#refuseIfClosed()
    signal?.throwIfAborted()
    await abortable(this.ready, signal)
    return Promise.race([Promise.all(this.#nodes.map(task)), this.#closing.promise])
  }

  /** A whole look-up; the nodes that may be written to. */
  async #walk(
    node: DhtNode,
    target: Uint8Array,
    method: 'get_peers' | 'get',
    args: KrpcValues,
    onAnswer: (answer: LookupAnswer) => void,
    signal: AbortSignal | undefined
  ): Promise<AnsweredNode[]> {
    const steps = node.lookup(target, { method, args, signal })
    for (;;) {
      const step = await steps.next()
      if (step.done !== true) {
        onAnswer(step.value)
        continue
      }
      const able = step.value.answered.filter(({ token }) => token !== undefined)
      // The closest that chose their ids freely come besides those that did not, and not in their place (BEP 42).
      const secure = able.filter((one) => one.secure).slice(0, bucketSize)
      return [...new Set([...secure, ...able.slice(0, bucketSize)])]
    }
  }

  /** Asks nodes to keep something; resolves to how many did. */
  async #write(
    node: DhtNode,
    to: readonly AnsweredNode[],
    method: string,
    args: (to: AnsweredNode) => KrpcValues,
    signal: AbortSignal | undefined
  ): Promise<number> {
    signal?.throwIfAborted()
    const all = to.map((one) => node.ask(one, method, { id: node.id, token: one.token, ...args(one) }))
    const replies = await abortable(Promise.all(all), signal)
    return replies.filter((reply) => reply?.kind === 'response').length
  }

  async #addNode({ host, port }: PeerAddress): Promise<void> {
    const { lookup = systemDhtLookup } = this.#options
    const hosts = isAddress(host) ? [host] : await lookup(host)
    // An unbound port has no use for it yet, and the first look-up must not wait for strangers.
    for (const one of hosts) this.#node(isIP(one) === 6 ? 6 : 4)?.addNode({ host: one, port })
  }
}

function closedError(): TorrentError {
  return new TorrentError('ERR_DHT_CLOSED', 'The DHT is closed')
}
