import type { DatagramPort } from '../net/datagram-port.ts'
import { canonicalHost, isAddress, type PeerAddress } from '../util/address.ts'
import { equalBytes } from '../util/bytes.ts'
import { debug } from '../util/debug.ts'
import { ipScope } from '../util/ip-scope.ts'
import type { Timers } from '../util/timers.ts'
import { ExternalAddress } from './external-address.ts'
import { ItemStore } from './item-store.ts'
import {
  decodeKrpc,
  encodeError,
  encodeQuery,
  encodeResponse,
  type KrpcQuery,
  type KrpcReply,
  type KrpcValues
} from './krpc.ts'
import { limits } from './limits.ts'
import { type LookupAnswer, type LookupOptions, type LookupResult, lookup } from './lookup.ts'
import { idLength, isSecureId, type RandomBytes, secureId } from './node-id.ts'
import { addressKey, type NodeInfo } from './node-info.ts'
import { PeerStore } from './peer-store.ts'
import { RateLimits } from './rate-limits.ts'
import { Reachability } from './reachability.ts'
import { Responder } from './responder.ts'
import { bucketSize, RoutingTable } from './routing-table.ts'
import { Tokens } from './token.ts'
import { Transactions } from './transactions.ts'

const log = debug('dht')
const tickSeconds = 10

/** Options of a {@link DhtNode}. */
export interface DhtNodeOptions {
  readonly port: DatagramPort
  readonly timers: Timers
  readonly random: RandomBytes
  /** Whether the node answers no queries (BEP 43); `'auto'` decides by reachability, see {@link Reachability}. */
  readonly readOnly: boolean | 'auto'
  /** Our id, 20 bytes; default random. Replaced if our external address requires another (BEP 42). */
  readonly id?: Uint8Array | undefined
  /** Returns our nodes of the other address family closest to a target (BEP 32). */
  readonly others?: ((target: Uint8Array) => readonly NodeInfo[]) | undefined
  /** Called once, when the first node has answered us. */
  readonly onFirstAnswer?: (() => void) | undefined
}

/** One DHT node in the network of one address family, on one port: its routing table, its stores, its queries and responses. */
export class DhtNode {
  readonly family: 4 | 6
  readonly peers: PeerStore
  readonly items: ItemStore
  readonly tokens: Tokens
  readonly #port: DatagramPort
  readonly #timers: Timers
  readonly #random: RandomBytes
  readonly #reachability: Reachability
  readonly #others: (target: Uint8Array) => readonly NodeInfo[]
  readonly #transactions: Transactions
  readonly #limits: RateLimits
  readonly #external = new ExternalAddress()
  readonly #responder: Responder
  readonly #delays = new Map<() => void, () => void>()
  readonly #release: () => void
  readonly #lookups = new Set<AbortController>()
  #closed = false
  #table: RoutingTable
  #pings = 0
  readonly #toPing = new Map<string, PeerAddress>()
  #ticks = 0
  #refreshing = false
  /** Pings that are due, including a fraction. */
  #pingsDue = 0
  /** Schedule of lookups for a nearly empty table, in minutes: the pause is 1, 2, 4, and so on up to 15. */
  #sparse = { size: 0, pause: 1, at: 0 }
  #onFirstAnswer: (() => void) | undefined

  /** Creates a node that listens on the port at once and has sent nothing. */
  constructor({ port, timers, random, readOnly, id, others, onFirstAnswer }: DhtNodeOptions) {
    this.family = port.family
    this.#port = port
    this.#timers = timers
    this.#random = random
    this.#reachability = new Reachability(timers, readOnly)
    this.#others = others ?? (() => [])
    this.#onFirstAnswer = onFirstAnswer
    this.#transactions = new Transactions(timers, random)
    this.#limits = new RateLimits(timers)
    this.#table = new RoutingTable(id ?? random(idLength), timers.now())
    this.peers = new PeerStore(timers, random)
    this.items = new ItemStore(timers)
    this.tokens = new Tokens(timers, random)
    const { family, peers, items, tokens } = this
    const closest = (target: Uint8Array, wanted: 4 | 6): readonly NodeInfo[] =>
      wanted === family ? this.#table.closest(target) : this.#others(target)
    this.#responder = new Responder({ family, peers, items, tokens, closest })
    this.#release = port.claim({
      firstBytes: [0x64],
      matches: (message) => message[0] === 0x64,
      receive: (message, from) => this.#receive(message, from)
    })
  }

  /** Our id in the network of this family, 20 bytes. */
  get id(): Uint8Array {
    return this.#table.id
  }

  get table(): RoutingTable {
    return this.#table
  }

  /** Whether the node currently sends queries but answers none. */
  get readOnly(): boolean {
    return this.#reachability.readOnly
  }

  /** Whether queries or lookups are outstanding. */
  get busy(): boolean {
    return this.#transactions.size > 0 || this.#lookups.size > 0
  }

  /** Our external address; undefined until enough nodes have reported it. */
  get address(): PeerAddress | undefined {
    return this.#external.address
  }

  /** Returns peers that were announced to us, in compact form. */
  stored(infoHash: Uint8Array): Uint8Array[] {
    return this.peers.compact(infoHash, limits.peersPerAnswer)
  }

  /** Returns our nodes closest to a target; with `secureOnly`, only those whose ids match their addresses (BEP 42). */
  closest(target: Uint8Array, count: number = bucketSize, secureOnly = false): NodeInfo[] {
    return this.#table.closest(target, count, secureOnly)
  }

  /** Adds nodes of an earlier run to the table without a ping, as questionable. */
  restore(nodes: readonly NodeInfo[]): void {
    const longAgo = this.#timers.now() - 3_600_000
    for (const node of nodes) this.#table.answered(node, longAgo)
  }

  /** Sends a query once and records the outcome in the table. Resolves to undefined if no reply arrives. Never rejects. */
  async ask(
    to: PeerAddress,
    method: string,
    args: KrpcValues,
    onSlow?: () => void
  ): Promise<KrpcReply | undefined> {
    const waitMs = this.#limits.question()
    if (waitMs > 0) await this.#delay(waitMs)
    // No query was sent, so the node has not failed.
    if (this.#closed || this.#transactions.isFull) return undefined
    const reply = await this.#transactions.ask(
      to,
      (transaction) => this.#send(encodeQuery(transaction, method, args, this.readOnly), to),
      onSlow
    )
    if (this.#closed) return undefined
    const now = this.#timers.now()
    if (reply === undefined) {
      this.#table.failed(to, now)
      this.#reachability.missed()
    } else {
      this.#reachability.answered(to)
      if (reply.kind === 'response') {
        const rival = this.#table.answered({ id: reply.id, host: to.host, port: to.port }, now)
        if (rival !== undefined) this.#ping(rival)
        const tell = this.#onFirstAnswer
        this.#onFirstAnswer = undefined
        tell?.()
        // A node that violates BEP 42 itself has no vote.
        if (reply.ip !== undefined && isSecureId(reply.id, to.host)) this.#seenAs(reply.ip, to)
      }
    }
    return reply
  }

  /** Looks up a target in the network of this family, see {@link lookup}. Ends without an error if the node is closed. */
  async *lookup(
    target: Uint8Array,
    options: LookupOptions
  ): AsyncGenerator<LookupAnswer, LookupResult, void> {
    const stop = new AbortController()
    const onAbort = (): void => stop.abort(options.signal?.reason)
    if (options.signal?.aborted) onAbort()
    if (this.#closed) stop.abort(closed)
    options.signal?.addEventListener('abort', onAbort, { once: true })
    this.#lookups.add(stop)
    try {
      return yield* lookup(this, target, { ...options, signal: stop.signal })
    } catch (error) {
      if (error !== closed) throw error
      return { answered: [], hops: 0, queries: 0 }
    } finally {
      options.signal?.removeEventListener('abort', onAbort)
      this.#lookups.delete(stop)
    }
  }

  /** Fills the table by a lookup of our id or of `target`, starting from the table and `seeds`. Never rejects. */
  async fill(
    target: Uint8Array = this.id,
    seeds?: LookupOptions['seeds'],
    onOther?: LookupOptions['onOther']
  ): Promise<void> {
    const want = onOther === undefined ? {} : { want: ['n4', 'n6'] }
    const steps = this.lookup(target, { method: 'find_node', args: { target, ...want }, seeds, onOther })
    for await (const _ of steps) {
      // `ask` adds each node that answers to the table.
    }
  }

  /** Whether our port is the UDP relay of a SOCKS proxy, which accepts host names and resolves them. */
  get takesNames(): boolean {
    return this.#port.isRelay === true
  }

  /** Pings a node by its host name, and resolves to the address that answers; needs `takesNames`. Never rejects. */
  locate(to: PeerAddress): Promise<PeerAddress | undefined> {
    return this.#transactions.locate((transaction) =>
      this.#send(encodeQuery(transaction, 'ping', { id: this.id }, this.readOnly), to)
    )
  }

  /** Pings an address, so that it enters the table if it answers. Ignores addresses beyond the limits of concurrent and waiting pings. */
  addNode(address: PeerAddress): void {
    if (isAddress(address.host)) this.#ping({ host: canonicalHost(address.host), port: address.port })
  }

  /** Runs the periodic upkeep: pings, expiry, refresh. Must be called every 10 seconds. */
  tick(): void {
    const now = this.#timers.now()
    this.#reachability.tick()
    // Pings are spread evenly: nodes that were found at the same time would all be due at the same time.
    this.#pingsDue = Math.min(this.#pingsDue + tickSeconds * this.#table.pingsPerSecond, bucketSize)
    while (this.#pingsDue >= 1) {
      const node = this.#table.questionable(now)
      if (node === undefined) break
      this.#pingsDue--
      this.#ping(node)
    }
    if (++this.#ticks % 6 !== 0) return
    this.peers.expire()
    this.items.expire()
    if (this.#refreshing) return
    const target = this.#isSparse() ? this.id : this.#table.staleTarget(now, this.#random)
    if (target === undefined) return
    this.#refreshing = true
    void this.fill(target).finally(() => {
      this.#refreshing = false
    })
  }

  /**
   * Returns whether the table is nearly empty and due for a lookup, and schedules the next one. In a network that has
   * just been started, the first lookup finds few nodes, so it is repeated.
   */
  #isSparse(): boolean {
    const { size } = this.#table
    if (size >= 2 * bucketSize) return false
    const minute = this.#ticks / 6
    if (size !== this.#sparse.size) this.#sparse = { size, pause: 1, at: minute }
    if (minute < this.#sparse.at) return false
    this.#sparse.at = minute + this.#sparse.pause
    this.#sparse.pause = Math.min(2 * this.#sparse.pause, 15)
    return true
  }

  /** Ends all queries and lookups and detaches from the port, which stays open; idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const stop of this.#lookups) stop.abort(closed)
    this.#release()
    this.#transactions.close()
    for (const [resolve, cancel] of this.#delays) {
      cancel()
      resolve()
    }
    this.#delays.clear()
  }

  #delay(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#timers.after(ms, () => {
        this.#delays.delete(resolve)
        resolve()
      })
      this.#delays.set(resolve, cancel)
    })
  }

  #receive(bytes: Uint8Array, sender: PeerAddress): void {
    const from = this.family === 6 ? { host: canonicalHost(sender.host), port: sender.port } : sender
    const message = decodeKrpc(bytes)
    if (message === undefined || from.port === 0 || this.#closed) return
    // Some relays name senders by their host names.
    if (this.takesNames && !isAddress(from.host)) return
    if (message.kind !== 'query') {
      this.#transactions.receive(message, from)
      return
    }
    // Other nodes may still list us under an earlier id and refer us to ourselves.
    if (equalBytes(message.id, this.id)) return
    this.#reachability.asked(from)
    if (!this.readOnly && this.#limits.mayAnswer(from)) this.#answer(message, from)
  }

  #send(message: Uint8Array, to: PeerAddress): void {
    this.#port.send(message, to)
    this.#reachability.sent(to)
  }

  #answer(query: KrpcQuery, from: PeerAddress): void {
    const { transaction } = query
    const answer = this.#responder.answer(query, from)
    const message =
      'values' in answer
        ? encodeResponse(transaction, { id: this.id, ...answer.values }, from)
        : encodeError(transaction, answer.code, answer.message, from)
    this.#send(message, from)
    this.#limits.answered(from, message.length)
    // A read-only node must not enter the table (BEP 43).
    if (query.readOnly) return
    const now = this.#timers.now()
    const info = { id: query.id.slice(), host: from.host, port: from.port }
    if (this.#table.status(from, now) !== undefined) this.#table.asked(info, now)
    else if (this.#table.hasRoom(info.id)) this.#ping(from)
  }

  #ping(to: PeerAddress): void {
    if (this.#closed) return
    if (this.#pings >= limits.concurrentPings) {
      if (this.#toPing.size < limits.waitingPings) this.#toPing.set(addressKey(to), to)
      return
    }
    this.#pings++
    void this.ask(to, 'ping', { id: this.id }).finally(() => {
      this.#pings--
      for (const [key, next] of this.#toPing) {
        this.#toPing.delete(key)
        this.#ping(next)
        break
      }
    })
  }

  #seenAs(seen: PeerAddress, voter: PeerAddress): void {
    if (seen.host.includes(':') !== (this.family === 6)) return
    if (!this.#external.vote(seen, voter)) return
    if (ipScope(seen.host) !== 'global' || isSecureId(this.id, seen.host)) return
    if (log.enabled) log('our address is %s, which needs another id', seen.host)
    const now = this.#timers.now()
    const before = this.#table.nodes()
    this.#table = new RoutingTable(secureId(seen.host, this.#random), now)
    for (const node of before) this.#table.answered(node, now)
    void this.fill()
  }
}

/** Abort reason that marks the closing of the node. */
const closed = new Error('closed')
