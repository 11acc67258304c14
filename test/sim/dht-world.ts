import { DhtNode } from '../../lib/dht/dht-node.ts'
import { decodeKrpc, encodeResponse } from '../../lib/dht/krpc.ts'
import { formatNodes, type NodeInfo } from '../../lib/dht/node-info.ts'
import { formatCompact } from '../../lib/util/address.ts'
import { SimNetwork, type SimPort } from '../dht/sim-network.ts'
import type { Population } from './dht-population.ts'

/** Nodes that exist at the same time; beyond that those that keep nothing give way, to be made anew when they are asked again. */
const mostAwake = 12_000

/** What liars do. */
export type Malice = 'none' | 'poison' | 'eclipse'

/** What a {@link DhtWorld} is made of. */
export interface DhtWorldOptions {
  readonly population: Population
  readonly random: (length: number) => Uint8Array
  /** Share of the nodes that lie, 0 to 1, and how. */
  readonly hostile: number
  readonly malice: Malice
}

/**
 * A network of which only the nodes exist that somebody asks: each is made by the first datagram to it, with a table as it would
 * have after some time. They are the library's own, and liars in the midst of them.
 */
export class DhtWorld {
  readonly network: SimNetwork = new SimNetwork()
  readonly #options: DhtWorldOptions
  readonly #awake = new Map<number, { node: DhtNode; port: SimPort }>()
  readonly #fates: Uint8Array
  readonly #liars: number[] = []
  readonly #closeIds = new Map<string, readonly NodeInfo[]>()
  #deadShare = 0
  /** How many nodes were made, and how many nodes their tables held. */
  made = 0
  tableSizes = 0

  constructor(options: DhtWorldOptions) {
    this.#options = options
    const { population, random, hostile, malice } = options
    // One byte of fate for lying, one for dying.
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

  /** Whether a node is honest and alive. */
  isGood(node: number): boolean {
    return !this.#lies(node) && !this.#isDead(node)
  }

  /** The good node with this index. */
  node(node: number): DhtNode {
    const known = this.#awake.get(node)
    if (known !== undefined) return known.node
    this.#wake(node)
    const made = this.#awake.get(node)
    if (made === undefined) throw new Error(`node ${node} is not good`)
    return made.node
  }

  /** From now on this share of the nodes is dead, without a word. */
  kill(share: number): void {
    this.#deadShare = share
    for (const [node, { node: one, port }] of this.#awake) {
      if (!this.#isDead(node)) continue
      one.close()
      void port.close()
      this.#awake.delete(node)
    }
    for (const node of this.#liars)
      if (this.#isDead(node)) this.network.remove(this.#options.population.info(node))
  }

  /** Ends everything. */
  close(): void {
    for (const { node, port } of this.#awake.values()) {
      node.close()
      void port.close()
    }
    this.#awake.clear()
  }

  #lies(node: number): boolean {
    return this.#options.malice !== 'none' && (this.#fates[node * 2] ?? 0) < this.#options.hostile * 256
  }

  #isDead(node: number): boolean {
    return (this.#fates[node * 2 + 1] ?? 0) < this.#deadShare * 256
  }

  #wake(node: number): SimPort | undefined {
    if (this.#isDead(node)) return undefined
    const { population, random } = this.#options
    const info = population.info(node)
    const port = this.network.open(info)
    if (this.#lies(node)) {
      this.#lie(port, info)
      return port
    }
    const made = new DhtNode({ port, timers: this.network, random, readOnly: false, id: info.id.slice() })
    made.restore(population.knownTo(node))
    this.made++
    this.tableSizes += made.table.size
    this.#awake.set(node, { node: made, port })
    if (this.#awake.size > mostAwake) this.#sleep()
    return port
  }

  #sleep(): void {
    for (const [node, { node: one, port }] of this.#awake) {
      if (this.#awake.size <= mostAwake * 0.75) break
      if (one.peers.size > 0 || one.busy) continue
      one.close()
      void port.close()
      this.#awake.delete(node)
    }
  }

  /**
   * A liar. It poisons: answers under wrong ids, names nodes that it made up close to the target, its like under false ids, local
   * addresses, and peers that are none. Or it eclipses: it and its like stand under the ids closest to the target that BEP 42 allows
   * each of their addresses, name only each other, and have no peers.
   */
  #lie(port: SimPort, self: NodeInfo): void {
    const { random, malice } = this.#options
    port.claim({
      matches: () => true,
      receive: (bytes, from) => {
        const query = decodeKrpc(bytes)
        if (query?.kind !== 'query') return
        const target = query.args.bytes('info_hash') ?? query.args.bytes('target') ?? self.id
        const answer = malice === 'eclipse' ? this.#eclipse(target, self) : this.#poison(target, self)
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
      closest = this.#options.population.closestAllowed(target, this.#liars, 16)
      this.#closeIds.set(key, closest)
    }
    const own = closest.find(({ host }) => host === self.host)
    return { id: own?.id ?? self.id, nodes: formatNodes(closest.slice(0, 16)) }
  }
}
