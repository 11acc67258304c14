import { DhtNode } from '../../lib/dht/dht-node.ts'
import { decodeKrpc, encodeResponse } from '../../lib/dht/krpc.ts'
import { formatNodes, type NodeInfo } from '../../lib/dht/node-info.ts'
import { formatCompact } from '../../lib/util/address.ts'
import { SimNetwork, type SimPort } from '../dht/sim-network.ts'
import type { Lifetimes } from './dht-lifetimes.ts'
import type { Population } from './dht-population.ts'

/**
 * Most nodes that exist at once. Beyond it, nodes without stored data are dropped, and made anew when queried
 * again.
 */
const mostAwake = 12_000

/**
 * While nodes come and go, milliseconds since those of a table were last seen: half the time for which they
 * count as good.
 */
const seenBeforeMs = 450_000

/** The attack of liars. `both`: half of them poison, the others eclipse. */
export type Malice = 'none' | 'poison' | 'eclipse' | 'both'

/** Options of a {@link DhtWorld}. */
export interface DhtWorldOptions {
  readonly population: Population
  readonly random: (length: number) => Uint8Array
  /** Share of the nodes that lie, 0 to 1, and their attack. */
  readonly hostile: number
  readonly malice: Malice
  /** When nodes join and leave. By default all stay from beginning to end. */
  readonly lifetimes?: Lifetimes | undefined
}

/**
 * A network of which only queried nodes exist: the first datagram to a node makes it, with a table as after
 * some time. Honest nodes are the library's own; liars are among them.
 */
export class DhtWorld {
  readonly network: SimNetwork = new SimNetwork()
  readonly #options: DhtWorldOptions
  readonly #awake = new Map<number, { node: DhtNode; port: SimPort }>()
  readonly #fates: Uint8Array
  readonly #liars: number[] = []
  readonly #closeIds = new Map<string, readonly NodeInfo[]>()
  #deadShare = 0
  /** Number of nodes made, and of nodes in their tables. */
  made = 0
  tableSizes = 0

  constructor(options: DhtWorldOptions) {
    this.#options = options
    const { population, random, hostile, malice } = options
    // One random byte decides lying, one dying.
    this.#fates = random(population.count * 2)
    if (malice !== 'none') {
      for (let node = 0; node < population.count; node++)
        if ((this.#fates[node * 2] ?? 0) < hostile * 256) this.#liars.push(node)
    }
    this.network.onUnknown = (to) => {
      const node = population.at(to.host, to.port)
      return node === undefined ? undefined : this.#wake(node)
    }
  }

  /** Returns whether a node is honest, and alive for `forMs` milliseconds from now on. */
  isGood(node: number, forMs = 0): boolean {
    const { lifetimes } = this.#options
    const now = this.network.now()
    return !this.#lies(node) && !this.#isDead(node) && lifetimes?.lives(node, now, now + forMs) !== false
  }

  /** Returns the good node with this index. */
  node(node: number): DhtNode {
    const known = this.#awake.get(node)
    if (known !== undefined) return known.node
    this.#wake(node)
    const made = this.#awake.get(node)
    if (made === undefined) throw new Error(`node ${node} is not good`)
    return made.node
  }

  /** Silently kills this share of the nodes. */
  kill(share: number): void {
    this.#deadShare = share
    for (const node of this.#awake.keys()) {
      if (this.#isDead(node)) this.#end(node)
    }
    for (const node of this.#liars)
      if (this.#isDead(node)) this.network.remove(this.#options.population.info(node))
  }

  /**
   * Lets time pass. Nodes without stored data are made anew when queried again, with current tables; with
   * `forget`, all of them.
   */
  async pass(ms: number, forget = false): Promise<void> {
    for (const [node, { node: one }] of this.#awake) if (forget || one.peers.size === 0) this.#end(node)
    await this.network.run(new Promise<void>((resolve) => this.network.after(ms, resolve)))
  }

  /** Ends everything. */
  close(): void {
    for (const node of this.#awake.keys()) this.#end(node)
  }

  #lies(node: number): boolean {
    return this.#options.malice !== 'none' && (this.#fates[node * 2] ?? 0) < this.#options.hostile * 256
  }

  #poisons(node: number): boolean {
    const { malice } = this.#options
    return malice === 'poison' || (malice === 'both' && (this.#fates[node * 2] ?? 0) % 2 === 0)
  }

  #isDead(node: number): boolean {
    return (this.#fates[node * 2 + 1] ?? 0) < this.#deadShare * 256
  }

  #wake(node: number): SimPort | undefined {
    const { population, random, lifetimes } = this.#options
    const now = this.network.now()
    if (this.#isDead(node) || lifetimes?.lives(node, now) === false) return undefined
    const info = population.info(node)
    const port = this.network.open(info)
    const leftMs = (lifetimes?.diesAt(node) ?? Number.POSITIVE_INFINITY) - now
    if (this.#lies(node)) {
      this.#lie(port, info, this.#poisons(node))
      if (Number.isFinite(leftMs)) this.network.after(leftMs, () => void port.close())
      return port
    }
    if (Number.isFinite(leftMs)) this.network.after(leftMs, () => this.#end(node))
    const made = new DhtNode({ port, timers: this.network, random, readOnly: false, id: info.id.slice() })
    const mayKnow = (other: number): boolean => lifetimes?.mayKnow(node, other, now) !== false
    const known = population.knownTo(node, mayKnow)
    if (lifetimes === undefined) made.restore(known)
    // If all of them were questionable, each answer would ping one, which is thereby made and pings others,
    // without end.
    else for (const info of known) made.table.answered(info, now - seenBeforeMs)
    this.made++
    this.tableSizes += made.table.size
    this.#awake.set(node, { node: made, port })
    if (this.#awake.size > mostAwake) this.#sleep()
    return port
  }

  #sleep(): void {
    for (const [node, { node: one }] of this.#awake) {
      if (this.#awake.size <= mostAwake * 0.75) break
      if (one.peers.size === 0 && !one.busy) this.#end(node)
    }
  }

  #end(node: number): void {
    const awake = this.#awake.get(node)
    if (awake === undefined) return
    this.#awake.delete(node)
    awake.node.close()
    void awake.port.close()
  }

  /**
   * Answers as a liar. Poison: answers under wrong ids, and names made-up nodes close to the target, other
   * liars under false ids, local addresses, and peers that do not exist. Eclipse: liars have the ids closest
   * to the target that BEP 42 allows for their addresses, name only each other, and have no peers.
   */
  #lie(port: SimPort, self: NodeInfo, poisons: boolean): void {
    const { random } = this.#options
    port.claim({
      matches: () => true,
      receive: (bytes, from) => {
        const query = decodeKrpc(bytes)
        if (query?.kind !== 'query') return
        const target = query.args.bytes('info_hash') ?? query.args.bytes('target') ?? self.id
        const answer = poisons ? this.#poison(target, self) : this.#eclipse(target, self)
        const ip = { host: '66.66.66.66', port: 6 }
        port.send(encodeResponse(query.transaction, { token: random(8), ...answer }, ip), from)
      }
    })
  }

  #poison(target: Uint8Array, self: NodeInfo): { id: Uint8Array; nodes: Uint8Array; values: Uint8Array[] } {
    const { random, population } = this.#options
    const close = (last: number): Uint8Array => Uint8Array.of(...target.subarray(0, 18), ...random(1), last)
    const like = Array.from({ length: 4 }, (_, n) => {
      const friend = population.info(this.#liars[((random(1)[0] ?? 0) * 77 + n) % this.#liars.length] ?? 0)
      return { id: close(n), host: friend.host, port: friend.port }
    })
    const inventions = [1, 2, 3, 4].map((n) => ({ id: close(n), host: `99.9.9.${random(1)[0]}`, port: n }))
    const local = { id: close(9), host: '127.0.0.1', port: 22 }
    const peer = formatCompact({ host: '10.0.0.1', port: 80 }) ?? new Uint8Array()
    const id = (random(1)[0] ?? 0) < 128 ? self.id : close(8)
    return { id, nodes: formatNodes([...like, ...inventions, local]), values: [peer] }
  }

  #eclipse(target: Uint8Array, self: NodeInfo): { id: Uint8Array; nodes: Uint8Array } {
    const key = Buffer.from(target).toString('hex')
    let closest = this.#closeIds.get(key)
    if (closest === undefined) {
      const { population, lifetimes } = this.#options
      const now = this.network.now()
      // All nodes present when they first learn of the target.
      const there = this.#liars.filter(
        (node) => !this.#poisons(node) && lifetimes?.lives(node, now) !== false
      )
      closest = population.closestAllowed(target, there, 16)
      this.#closeIds.set(key, closest)
    }
    const own = closest.find(({ host }) => host === self.host)
    return { id: own?.id ?? self.id, nodes: formatNodes(closest.slice(0, 16)) }
  }
}
