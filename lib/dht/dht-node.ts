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

/** What a {@link DhtNode} is made of. */
export interface DhtNodeOptions {
  readonly port: DatagramPort
  readonly timers: Timers
  readonly random: RandomBytes
  /** Asks and never answers (BEP 43), or decides so by itself, see {@link Reachability}. */
  readonly readOnly: boolean | 'auto'
  /** 20 bytes; by default random. It changes when our external address demands another (BEP 42). */
  readonly id?: Uint8Array | undefined
  /** Our nodes of the other family closest to a target (BEP 32). */
  readonly others?: ((target: Uint8Array) => readonly NodeInfo[]) | undefined
  /** Hears once that a node has answered us. */
  readonly onFirstAnswer?: (() => void) | undefined
}

/** One node of the DHT of one address family, over one port: its table, its stores, its questions and answers. */
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
  /** Pings that are due, a fraction of one included. */
  #pingsDue = 0
  /** A table that stays nearly empty is filled after a minute, two, four, at last a quarter of an hour. */
  #sparse = { size: 0, pause: 1, at: 0 }
  #onFirstAnswer: (() => void) | undefined

  /** Listens to the port at once, and asks nothing yet. */
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

  /** Our id in this family's network. */
  get id(): Uint8Array {
    return this.#table.id
  }

  /** The nodes we know. */
  get table(): RoutingTable {
    return this.#table
  }

  /** Whether it asks and does not answer, at present. */
  get readOnly(): boolean {
    return this.#reachability.readOnly
  }

  /** Whether questions of ours wait for answers. */
  get busy(): boolean {
    return this.#transactions.size > 0 || this.#lookups.size > 0
  }

  /** How others see us; undefined until enough have told. */
  get address(): PeerAddress | undefined {
    return this.#external.address
  }

  /** Peers that were announced to us, in compact form. */
  stored(infoHash: Uint8Array): Uint8Array[] {
    return this.peers.compact(infoHash, limits.peersPerAnswer)
  }

  /** Our nodes closest to a target; on demand only those whose ids fit their addresses (BEP 42). */
  closest(target: Uint8Array, count: number = bucketSize, secureOnly = false): NodeInfo[] {
    return this.#table.closest(target, count, secureOnly)
  }

  /** Takes nodes of an earlier run on trust, as questionable ones. */
  restore(nodes: readonly NodeInfo[]): void {
    const longAgo = this.#timers.now() - 3_600_000
    for (const node of nodes) this.#table.answered(node, longAgo)
  }

  /** Asks a node once and notes in the table how it did; undefined when it does not answer. Never rejects. */
  async ask(
    to: PeerAddress,
    method: string,
    args: KrpcValues,
    onSlow?: () => void
  ): Promise<KrpcReply | undefined> {
    const waitMs = this.#limits.question()
    if (waitMs > 0) await this.#delay(waitMs)
    // Whom nobody has asked has not failed.
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
        // Whoever breaks BEP 42 itself has no vote.
        if (reply.ip !== undefined && isSecureId(reply.id, to.host)) this.#seenAs(reply.ip, to)
      }
    }
    return reply
  }

  /** Looks for a target in this family's network, see {@link lookup}; ends quietly when the node is closed. */
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
      return { answered: [], hops: 0, questions: 0 }
    } finally {
      options.signal?.removeEventListener('abort', onAbort)
      this.#lookups.delete(stop)
    }
  }

  /** Fills the table around our id, or around another target; starts from the seeds too. Never rejects. */
  async fill(
    target: Uint8Array = this.id,
    seeds?: LookupOptions['seeds'],
    onOther?: LookupOptions['onOther']
  ): Promise<void> {
    const want = onOther === undefined ? {} : { want: ['n4', 'n6'] }
    const steps = this.lookup(target, { method: 'find_node', args: { target, ...want }, seeds, onOther })
    for await (const _ of steps) {
      // Every answer fills the table by itself.
    }
  }

  /** Pings an address, so that it enters the table if it answers; few at a time, more are ignored. */
  addNode(address: PeerAddress): void {
    if (isAddress(address.host)) this.#ping({ host: canonicalHost(address.host), port: address.port })
  }

  /** What is due from time to time, to be called every 10 seconds. */
  tick(): void {
    const now = this.#timers.now()
    this.#reachability.tick()
    // At an even pace: nodes that were found together are silent for too long together.
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

  /** Whether the table is nearly empty and to be filled now: it was filled while others were, or in a network as small. */
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

  /** Leaves the port, which stays open, and ends what is under way; idempotent. */
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
    if (message.kind !== 'query') {
      this.#transactions.receive(message, from)
      return
    }
    // Under an id that we had before, others may name us to ourselves.
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
    // Who answers nobody is of no use in a table (BEP 43).
    if (query.readOnly) return
    const now = this.#timers.now()
    const info = { id: query.id.slice(), host: from.host, port: from.port }
    if (this.#table.status(from, now) !== undefined) this.#table.asked(info, now)
    else if (this.#table.hasRoom(info.id)) this.#ping(from)
  }

  #ping(to: PeerAddress): void {
    if (this.#closed) return
    if (this.#pings >= limits.strangerPings) {
      if (this.#toPing.size < limits.strangersWaiting) this.#toPing.set(addressKey(to), to)
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
    if (log.enabled) log('our address is %s: another id', seen.host)
    const now = this.#timers.now()
    const before = this.#table.nodes()
    this.#table = new RoutingTable(secureId(seen.host, this.#random), now)
    for (const node of before) this.#table.answered(node, now)
    void this.fill()
  }
}

/** Tells the end of the node from an abort. */
const closed = new Error('closed')
