import { compareDistance, secureId } from '../../lib/dht/node-id.ts'
import type { NodeInfo } from '../../lib/dht/node-info.ts'
import { crc32c } from '../../lib/util/crc32c.ts'

/** Draws of a node for a bucket before the bucket stays short. */
const mostTries = 200

type Random = (length: number) => Uint8Array

/** Returns a number in [0, limit) from four random bytes. */
function below(limit: number, random: Random): number {
  const [a = 0, b = 0, c = 0, d = 0] = random(4)
  return (((((a << 24) | (b << 16) | (c << 8) | d) >>> 0) / 2 ** 32) * limit) | 0
}

/**
 * All nodes of a simulated network, in the order of their ids: 20 bytes each, so that a hundred thousand fit
 * in little memory. The table of a node is drawn from all when it is needed. Addresses are global, each in a
 * network of its own.
 */
export class Population {
  readonly count: number
  readonly #random: Random
  readonly #ids: Uint8Array
  /** Address number of each node, and the reverse. */
  readonly #addressOf: Uint32Array
  readonly #nodeOf: Uint32Array

  constructor(count: number, random: Random) {
    this.count = count
    this.#random = random
    const made = Array.from({ length: count }, (_, n) => ({ n, id: secureId(hostOf(n), random) }))
    made.sort((a, b) => Buffer.compare(a.id, b.id))
    this.#ids = new Uint8Array(count * 20)
    this.#addressOf = new Uint32Array(count)
    this.#nodeOf = new Uint32Array(count)
    for (const [node, { n, id }] of made.entries()) {
      this.#ids.set(id, node * 20)
      this.#addressOf[node] = n
      this.#nodeOf[n] = node
    }
  }

  /** Returns the node with this index. */
  info(node: number): NodeInfo {
    const n = this.#addressOf[node] ?? 0
    return { id: this.#ids.subarray(node * 20, node * 20 + 20), host: hostOf(n), port: portOf(n) }
  }

  /** Returns the index of the node at an address; undefined if no node has it. */
  at(host: string, port: number): number | undefined {
    const n = numberOf(host)
    return n >= 0 && n < this.count && hostOf(n) === host && portOf(n) === port ? this.#nodeOf[n] : undefined
  }

  /** Returns the node with the address of this number, from 0 on. */
  numbered(n: number): number {
    return this.#nodeOf[n] ?? 0
  }

  /** Returns a random node. */
  any(): number {
    return below(this.count, this.#random)
  }

  /**
   * Returns the table of a node that has long been in the network: up to 8 random nodes in each bucket, among
   * those that it may know.
   */
  knownTo(node: number, mayKnow: (other: number) => boolean = () => true): NodeInfo[] {
    const known: NodeInfo[] = []
    let [low, high] = [0, this.count]
    for (let bit = 0; high - low > 8; bit++) {
      const middle = this.#split(low, high, bit)
      const [from, to] = node < middle ? [middle, high] : [low, middle]
      if (node < middle) high = middle
      else low = middle
      const chosen = new Set<number>()
      const wanted = Math.min(8, to - from)
      for (let tries = 0; chosen.size < wanted && tries < mostTries; tries++) {
        const other = from + below(to - from, this.#random)
        if (mayKnow(other)) chosen.add(other)
      }
      for (const other of chosen) known.push(this.info(other))
    }
    for (let other = low; other < high; other++)
      if (other !== node && mayKnow(other)) known.push(this.info(other))
    return known
  }

  /** Returns the first node with this bit set in a range whose nodes share all earlier bits. */
  #split(from: number, to: number, bit: number): number {
    let [low, high] = [from, to]
    while (low < high) {
      const middle = (low + high) >> 1
      const isSet = ((this.#ids[middle * 20 + (bit >> 3)] ?? 0) & (0x80 >> (bit & 7))) !== 0
      if (isSet) high = middle
      else low = middle + 1
    }
    return low
  }

  /** Returns the ids closest to a target that these nodes may take under BEP 42, closest first. */
  closestAllowed(target: Uint8Array, nodes: readonly number[], count: number): NodeInfo[] {
    const wanted = (((target[0] ?? 0) << 24) | ((target[1] ?? 0) << 16) | ((target[2] ?? 0) << 8)) >>> 0
    const list: { node: number; last: number; distance: number }[] = []
    for (const node of nodes) {
      const bytes = hostOf(this.#addressOf[node] ?? 0)
        .split('.')
        .map(Number)
      const masked = Uint8Array.from([0x03, 0x0f, 0x3f, 0xff], (mask, n) => mask & (bytes[n] ?? 0))
      const first = masked[0] ?? 0
      for (let last = 0; last < 8; last++) {
        masked[0] = first | (last << 5)
        const distance = ((crc32c(masked) ^ wanted) & 0xfffff800) >>> 0
        list.push({ node, last, distance })
      }
    }
    list.sort((a, b) => a.distance - b.distance)
    return list.slice(0, count).map(({ node, last, distance }) => {
      // After the first 21 bits an id is free: it takes the target's bits, except for the end.
      const id = target.slice()
      const prefix = (wanted ^ distance) >>> 0
      id[0] = prefix >>> 24
      id[1] = (prefix >>> 16) & 0xff
      id[2] = ((prefix >>> 8) & 0xf8) | ((target[2] ?? 0) & 7)
      id[19] = last
      const { host, port } = this.info(node)
      return { id, host, port }
    })
  }

  /** Returns the nodes closest to a target. */
  closest(target: Uint8Array, count: number): number[] {
    return Array.from({ length: this.count }, (_, node) => node)
      .sort((a, b) => compareDistance(target, this.info(a).id, this.info(b).id))
      .slice(0, count)
  }
}

function hostOf(n: number): string {
  return `${20 + (n % 60)}.${Math.floor(n / 60) % 256}.${Math.floor(n / 15_360) % 256}.${1 + (n % 200)}`
}

function numberOf(host: string): number {
  const [a = 0, b = 0, c = 0] = host.split('.').map(Number)
  return a - 20 + 60 * b + 15_360 * c
}

function portOf(n: number): number {
  return 1024 + (n % 60_000)
}
