import { commonPrefixBits } from '../util/bits.ts'
import { limits } from './limits.ts'
import { compareDistance, idLength, isSecureId, type RandomBytes, randomIdNear } from './node-id.ts'
import { addressKey, hostKey, type NodeInfo, networkOf } from './node-info.ts'

/** Nodes in a bucket, and nodes in an answer (BEP 5). */
export const bucketSize = 8
const replacementsKept = 8
const goodMs = 15 * 60_000
/** A node that left one question unanswered gets another after this time, when what lost the first may be over. */
const secondChanceMs = 60_000
/** A node that leaves so many questions in a row unanswered is bad. */
const failuresOfBad = 2

/** How a node stands (BEP 5): heard of within 15 minutes; silent for longer; or failing to answer. */
export type NodeStatus = 'good' | 'questionable' | 'bad'

interface TableNode extends NodeInfo {
  seenMs: number
  /** When it was chosen to be pinged. */
  triedMs: number
  failures: number
  /** Whether the id belongs to the address (BEP 42). */
  readonly secure: boolean
}

interface Bucket {
  /** Those that answered us, the longest unseen first. */
  nodes: TableNode[]
  /** Answered us too, but found the bucket full; the latest last. */
  replacements: TableNode[]
  changedMs: number
}

/**
 * The nodes of one address family that answered us, in buckets by how many leading bits they share with our id (BEP 5): bucket n
 * holds those which share exactly n, the last one those which share as many or more, and only that is split. So it is bounded
 * by 160 buckets of 8. A node stands in the table once, a global IP address once, a network twice in a bucket.
 */
export class RoutingTable {
  /** Our id, 20 bytes. */
  readonly id: Uint8Array
  #buckets: Bucket[]
  /** Where each node stands, by party. */
  readonly #parties = new Map<string, TableNode>()

  /** An empty table around our id. */
  constructor(id: Uint8Array, now: number) {
    this.id = id
    this.#buckets = [{ nodes: [], replacements: [], changedMs: now }]
  }

  /** How many nodes there are, replacements aside. */
  get size(): number {
    return this.#parties.size
  }

  /** How many nodes were heard of within 15 minutes. */
  goodCount(now: number): number {
    let count = 0
    for (const node of this.#parties.values()) if (statusOf(node, now) === 'good') count++
    return count
  }

  /** Whether any node is not bad. */
  get hasUsable(): boolean {
    for (const { failures } of this.#parties.values()) if (failures < failuresOfBad) return true
    return false
  }

  /** How many buckets there are. */
  get depth(): number {
    return this.#buckets.length
  }

  /** All nodes that are not bad. */
  nodes(): NodeInfo[] {
    return this.#buckets.flatMap(({ nodes }) => nodes.filter(({ failures }) => failures < failuresOfBad))
  }

  /** How the node at this address stands; undefined when it is not here. */
  status(address: { host: string; port: number }, now: number): NodeStatus | undefined {
    const node = this.#parties.get(hostKey(address))
    return node === undefined || node.port !== address.port ? undefined : statusOf(node, now)
  }

  /** Whether a node with this id could enter its bucket at once, so that a ping of it is worth while. */
  hasRoom(id: Uint8Array): boolean {
    const at = this.#indexOf(id)
    const bucket = this.#bucket(at)
    if (bucket.nodes.length < bucketSize || bucket.nodes.some(({ failures }) => failures >= failuresOfBad))
      return true
    return at === this.#buckets.length - 1 && this.#buckets.length < idLength * 8
  }

  /**
   * A node answered us. It is refreshed or takes a place in its bucket, a bad node's if need be. When the bucket is full of
   * others it waits among the replacements, and the questionable node that should be pinged for its sake is returned.
   */
  answered(info: NodeInfo, now: number): NodeInfo | undefined {
    const known = this.#parties.get(hostKey(info))
    if (known !== undefined) {
      if (known.port === info.port && compareDistance(info.id, known.id, info.id) === 0) {
        this.#refresh(known, now)
        return undefined
      }
      // Another id or port on this address: the one in place stays as long as it answers.
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

  /** A node asked us something: if it stands here it is alive, which alone lets no stranger in. */
  asked(info: NodeInfo, now: number): void {
    const known = this.#parties.get(hostKey(info))
    if (known?.port === info.port && compareDistance(info.id, known.id, info.id) === 0)
      this.#refresh(known, now)
  }

  /** A node did not answer, or with another id; once it is bad, a replacement takes its place, and later nobody. */
  failed(address: { host: string; port: number }, now: number): void {
    const node = this.#parties.get(hostKey(address))
    if (node === undefined || node.port !== address.port) return
    node.failures++
    const bucket = this.#bucket(this.#indexOf(node.id))
    if (node.failures < failuresOfBad) return
    if (bucket.replacements.length === 0) {
      // It is forgotten after one more chance; but where nobody answers, the fault may be ours.
      if (node.failures > failuresOfBad && this.goodCount(now) > 0) this.#remove(node)
      return
    }
    this.#remove(node)
    for (let next = bucket.replacements.pop(); next !== undefined; next = bucket.replacements.pop()) {
      if (this.#parties.has(hostKey(next))) continue
      this.#place(bucket, next, now)
      return
    }
  }

  /** The nodes closest to a target, closest first, bad ones left out; on demand only those whose ids fit (BEP 42). */
  closest(target: Uint8Array, count: number = bucketSize, secureOnly = false): NodeInfo[] {
    const last = this.#buckets.length - 1
    const at = this.#indexOf(target)
    const found: TableNode[] = []
    const add = (index: number): void => {
      for (const node of this.#bucket(index).nodes)
        if (node.failures < failuresOfBad && (node.secure || !secureOnly)) found.push(node)
    }
    // Bucket `at` shares a bit more with the target than all deeper ones, and those one more than bucket `at - 1`.
    add(at)
    if (found.length < count) for (let deeper = at + 1; deeper <= last; deeper++) add(deeper)
    for (let index = at - 1; index >= 0 && found.length < count; index--) add(index)
    return found.sort((a, b) => compareDistance(target, a.id, b.id)).slice(0, count)
  }

  /** An id in the bucket that was longest without change, if that is about 15 minutes or more: look it up to refresh the bucket. */
  staleTarget(now: number, random: RandomBytes): Uint8Array | undefined {
    let stalest = -1
    this.#buckets.forEach(({ changedMs }, at) => {
      // 10 to 20 minutes: buckets, and nodes that began at the same time, are not to be all due at once.
      const staleMs = (goodMs * (2 + (this.id[at % idLength] ?? 0) / 128)) / 3
      if (now - changedMs >= staleMs && changedMs < (this.#buckets[stalest]?.changedMs ?? Infinity))
        stalest = at
    })
    if (stalest < 0) return undefined
    this.#bucket(stalest).changedMs = now
    return randomIdNear(this.id, stalest, random)
  }

  /** Pings in each second that reach every node within 15 minutes, and leave some for second chances. */
  get pingsPerSecond(): number {
    return (1.5 * this.size * 1000) / goodMs
  }

  /**
   * The node that is due to be pinged, and was neither heard of nor chosen for longest: one silent for 15 minutes, again a minute
   * after it left a question unanswered, and every 15 minutes once it is bad, unless all are: then we may have been offline.
   */
  questionable(now: number): NodeInfo | undefined {
    let chosen: TableNode | undefined
    const offline = this.goodCount(now) === 0
    const touchedMs = (node: TableNode): number => Math.max(node.seenMs, node.triedMs)
    for (const node of this.#parties.values()) {
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
    // A full bucket whose nodes answer needs no look-up; one that has room may find more.
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
      // Who chose its id freely gives way to who did not (BEP 42).
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
    this.#parties.set(hostKey(node), node)
  }

  #remove(node: TableNode): void {
    const { nodes } = this.#bucket(this.#indexOf(node.id))
    const at = nodes.indexOf(node)
    if (at >= 0) nodes.splice(at, 1)
    this.#parties.delete(hostKey(node))
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
