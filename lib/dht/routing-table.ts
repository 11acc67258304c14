import { commonPrefixBits } from '../util/bits.ts'
import { limits } from './limits.ts'
import { compareDistance, idLength, isSecureId, type RandomBytes, randomIdNear } from './node-id.ts'
import { addressKey, type NodeInfo, networkOf, nodeHostKey } from './node-info.ts'

/** Number of nodes in a bucket and in a response (BEP 5). */
export const bucketSize = 8
const replacementsKept = 8
const goodMs = 15 * 60_000
/** Pause before a node that left one query unanswered is pinged again: the cause of the loss may be over by then. */
const secondChanceMs = 60_000
/** Consecutive unanswered queries after which a node is bad. */
const failuresOfBad = 2

/** Status of a node (BEP 5): good if heard from within 15 minutes, questionable if silent for longer, bad if it does not answer. */
export type NodeStatus = 'good' | 'questionable' | 'bad'

interface TableNode extends NodeInfo {
  seenMs: number
  /** When it was last chosen for a ping. */
  triedMs: number
  failures: number
  /** Whether the id matches the address (BEP 42). */
  readonly secure: boolean
}

interface Bucket {
  /** Nodes that answered us, least recently seen first. */
  nodes: TableNode[]
  /** Nodes that answered us but found the bucket full, most recent last. */
  replacements: TableNode[]
  changedMs: number
}

/**
 * The nodes of one address family that answered us, in buckets by the number of leading bits that they share with our id (BEP 5).
 * Bucket n holds the nodes that share exactly n bits; the last bucket holds those that share at least as many, and only it is
 * split. The size is therefore at most 160 buckets of 8. Each node is listed once, each global IP address once, and
 * each network at most twice per bucket.
 */
export class RoutingTable {
  /** Our id, 20 bytes. */
  readonly id: Uint8Array
  #buckets: Bucket[]
  /** The listed nodes by `hostKey`. */
  readonly #byHost = new Map<string, TableNode>()

  /** Creates an empty table around our id. */
  constructor(id: Uint8Array, now: number) {
    this.id = id
    this.#buckets = [{ nodes: [], replacements: [], changedMs: now }]
  }

  /** Number of nodes, without replacements. */
  get size(): number {
    return this.#byHost.size
  }

  /** Returns the number of good nodes. */
  goodCount(now: number): number {
    let count = 0
    for (const node of this.#byHost.values()) if (statusOf(node, now) === 'good') count++
    return count
  }

  /** Whether any node is not bad. */
  get hasUsable(): boolean {
    for (const { failures } of this.#byHost.values()) if (failures < failuresOfBad) return true
    return false
  }

  /** Number of buckets. */
  get depth(): number {
    return this.#buckets.length
  }

  /** Returns all nodes that are not bad. */
  nodes(): NodeInfo[] {
    return this.#buckets.flatMap(({ nodes }) => nodes.filter(({ failures }) => failures < failuresOfBad))
  }

  /** Returns the status of the node at an address, or undefined if it is not listed. */
  status(address: { host: string; port: number }, now: number): NodeStatus | undefined {
    const node = this.#byHost.get(nodeHostKey(address))
    return node === undefined || node.port !== address.port ? undefined : statusOf(node, now)
  }

  /** Whether a node with this id could enter its bucket at once, which makes a ping worthwhile. */
  hasRoom(id: Uint8Array): boolean {
    const at = this.#indexOf(id)
    const bucket = this.#bucket(at)
    if (bucket.nodes.length < bucketSize || bucket.nodes.some(({ failures }) => failures >= failuresOfBad))
      return true
    return at === this.#buckets.length - 1 && this.#buckets.length < idLength * 8
  }

  /**
   * Records a node that answered us. It is refreshed, or enters its bucket, replacing a bad node if necessary. If the bucket is full, it
   * becomes a replacement, and the questionable node that should be pinged because of it is returned.
   */
  answered(info: NodeInfo, now: number): NodeInfo | undefined {
    const known = this.#byHost.get(nodeHostKey(info))
    if (known !== undefined) {
      if (known.port === info.port && compareDistance(info.id, known.id, info.id) === 0) {
        this.#refresh(known, now)
        return undefined
      }
      // The address has another id or port now. The listed node stays as long as it answers.
      if (known.failures === 0 && statusOf(known, now) === 'good') return undefined
      this.#remove(known)
    }
    if (commonPrefixBits(info.id, this.id) === idLength * 8) return undefined
    return this.#insert(
      {
        id: info.id.slice(),
        host: info.host,
        port: info.port,
        seenMs: now,
        triedMs: -Infinity,
        failures: 0,
        secure: isSecureId(info.id, info.host)
      },
      now
    )
  }

  /** Refreshes a listed node that queried us. A query alone does not add a node. */
  asked(info: NodeInfo, now: number): void {
    const known = this.#byHost.get(nodeHostKey(info))
    if (known?.port === info.port && compareDistance(info.id, known.id, info.id) === 0)
      this.#refresh(known, now)
  }

  /** Records that a node did not answer. A bad node is replaced by a replacement, or removed later if there is none. */
  failed(address: { host: string; port: number }, now: number): void {
    const node = this.#byHost.get(nodeHostKey(address))
    if (node === undefined || node.port !== address.port) return
    node.failures++
    const bucket = this.#bucket(this.#indexOf(node.id))
    if (node.failures < failuresOfBad) return
    if (bucket.replacements.length === 0) {
      // The node is removed after one more failure. If no node answers at all, the fault may be ours.
      if (node.failures > failuresOfBad && this.goodCount(now) > 0) this.#remove(node)
      return
    }
    this.#remove(node)
    for (let next = bucket.replacements.pop(); next !== undefined; next = bucket.replacements.pop()) {
      if (this.#byHost.has(nodeHostKey(next))) continue
      this.#place(bucket, next, now)
      return
    }
  }

  /** Returns the nodes closest to a target that are not bad, closest first. With `secureOnly`, ids must match addresses (BEP 42). */
  closest(target: Uint8Array, count: number = bucketSize, secureOnly = false): NodeInfo[] {
    const last = this.#buckets.length - 1
    const at = this.#indexOf(target)
    const found: TableNode[] = []
    const add = (index: number): void => {
      for (const node of this.#bucket(index).nodes)
        if (node.failures < failuresOfBad && (node.secure || !secureOnly)) found.push(node)
    }
    // Bucket `at` shares one more bit with the target than all deeper ones, and those one more than bucket `at - 1`.
    add(at)
    if (found.length < count) for (let deeper = at + 1; deeper <= last; deeper++) add(deeper)
    for (let index = at - 1; index >= 0 && found.length < count; index--) add(index)
    return found.sort((a, b) => compareDistance(target, a.id, b.id)).slice(0, count)
  }

  /** Returns an id in the bucket that was unchanged for longest, or undefined if that is less than about 15 minutes. */
  staleTarget(now: number, random: RandomBytes): Uint8Array | undefined {
    let stalest = -1
    this.#buckets.forEach(({ changedMs }, at) => {
      // Spread from 10 to 20 minutes, so that buckets, and nodes that started at the same time, are not all due at once.
      const staleMs = (goodMs * (2 + (this.id[at % idLength] ?? 0) / 128)) / 3
      if (now - changedMs >= staleMs && changedMs < (this.#buckets[stalest]?.changedMs ?? Infinity))
        stalest = at
    })
    if (stalest < 0) return undefined
    this.#bucket(stalest).changedMs = now
    return randomIdNear(this.id, stalest, random)
  }

  /** Pings per second that reach every node within 15 minutes and leave some for second attempts. */
  get pingsPerSecond(): number {
    return (1.5 * this.size * 1000) / goodMs
  }

  /**
   * Returns the node that is due for a ping and was neither heard from nor pinged for longest, or undefined. A node is due after 15 minutes
   * of silence, one minute after an unanswered query, and every 15 minutes once it is bad. If no node is good, we may have been
   * offline, and bad nodes are due after one minute as well.
   */
  questionable(now: number): NodeInfo | undefined {
    let chosen: TableNode | undefined
    const offline = this.goodCount(now) === 0
    const touchedMs = (node: TableNode): number => Math.max(node.seenMs, node.triedMs)
    for (const node of this.#byHost.values()) {
      if (statusOf(node, now) === 'good' || (chosen !== undefined && touchedMs(chosen) <= touchedMs(node)))
        continue
      const pauseMs = offline || node.failures < failuresOfBad ? secondChanceMs : goodMs
      if (now - node.triedMs >= pauseMs) chosen = node
    }
    if (chosen !== undefined) chosen.triedMs = now
    return chosen
  }

  #bucket(at: number): Bucket {
    const bucket = this.#buckets[at]
    if (bucket === undefined) throw new RangeError(`no bucket ${at}`)
    return bucket
  }

  #indexOf(id: Uint8Array): number {
    return Math.min(commonPrefixBits(id, this.id), this.#buckets.length - 1)
  }

  #refresh(node: TableNode, now: number): void {
    node.seenMs = now
    node.failures = 0
    const bucket = this.#bucket(this.#indexOf(node.id))
    // A full bucket whose nodes answer needs no refresh; one with free space may still find more nodes.
    if (bucket.nodes.length >= bucketSize) bucket.changedMs = now
    bucket.nodes.splice(bucket.nodes.indexOf(node), 1)
    bucket.nodes.push(node)
  }

  #insert(node: TableNode, now: number): NodeInfo | undefined {
    let at = this.#indexOf(node.id)
    let bucket = this.#bucket(at)
    while (
      bucket.nodes.length >= bucketSize &&
      at === this.#buckets.length - 1 &&
      this.#buckets.length < idLength * 8
    ) {
      this.#split()
      at = this.#indexOf(node.id)
      bucket = this.#bucket(at)
    }
    const network = networkOf(node.host)
    if (network !== undefined) {
      const same = bucket.nodes.filter(({ host }) => networkOf(host) === network)
      if (same.length >= limits.nodesPerNetwork) {
        const bad = same.find(({ failures }) => failures >= failuresOfBad)
        if (bad === undefined) return undefined
        this.#remove(bad)
      }
    }
    if (bucket.nodes.length < bucketSize) {
      this.#place(bucket, node, now)
      return undefined
    }
    const bad =
      bucket.nodes.find(({ failures }) => failures >= failuresOfBad) ??
      // An insecure node, whose id may be chosen freely, is evicted for a secure one (BEP 42).
      (node.secure ? bucket.nodes.find(({ secure }) => !secure) : undefined)
    if (bad !== undefined) {
      this.#remove(bad)
      this.#place(bucket, node, now)
      return undefined
    }
    const key = addressKey(node)
    bucket.replacements = bucket.replacements.filter((one) => addressKey(one) !== key)
    if (bucket.replacements.push(node) > replacementsKept) bucket.replacements.shift()
    const [oldest] = bucket.nodes
    return oldest !== undefined && statusOf(oldest, now) === 'questionable' ? oldest : undefined
  }

  #place(bucket: Bucket, node: TableNode, now: number): void {
    bucket.nodes.push(node)
    bucket.changedMs = now
    this.#byHost.set(nodeHostKey(node), node)
  }

  #remove(node: TableNode): void {
    const { nodes } = this.#bucket(this.#indexOf(node.id))
    const at = nodes.indexOf(node)
    if (at >= 0) nodes.splice(at, 1)
    this.#byHost.delete(nodeHostKey(node))
  }

  #split(): void {
    const bits = this.#buckets.length - 1
    const last = this.#bucket(bits)
    const deeper = (node: TableNode): boolean => commonPrefixBits(node.id, this.id) > bits
    this.#buckets.push({
      nodes: last.nodes.filter(deeper),
      replacements: last.replacements.filter(deeper),
      changedMs: last.changedMs
    })
    last.nodes = last.nodes.filter((node) => !deeper(node))
    last.replacements = last.replacements.filter((node) => !deeper(node))
  }
}

function statusOf(node: TableNode, now: number): NodeStatus {
  if (node.failures >= failuresOfBad) return 'bad'
  return node.failures === 0 && now - node.seenMs < goodMs ? 'good' : 'questionable'
}
