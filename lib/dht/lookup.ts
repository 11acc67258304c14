import type { BencodeDict } from '../bencode/bencode-dict.ts'
import type { PeerAddress } from '../util/address.ts'
import { ipScope } from '../util/ip-scope.ts'
import type { KrpcReply, KrpcValues } from './krpc.ts'
import { limits } from './limits.ts'
import { compareDistance, isSecureId } from './node-id.ts'
import { type NodeInfo, networkOf, nodeHostKey, parseNodes } from './node-info.ts'
import { bucketSize } from './routing-table.ts'

/** The node for which a lookup runs. */
export interface LookupHost {
  readonly id: Uint8Array
  readonly family: 4 | 6
  /** Returns the nodes of our table closest to a target; with `secureOnly`, only those whose ids match their addresses (BEP 42). */
  closest(target: Uint8Array, count: number, secureOnly?: boolean): readonly NodeInfo[]
  /** Sends a query once. Resolves to undefined if no reply arrives; never rejects. Calls `onSlow` if the reply takes longer than usual. */
  ask(to: PeerAddress, method: string, args: KrpcValues, onSlow: () => void): Promise<KrpcReply | undefined>
}

export interface LookupOptions {
  readonly method: 'find_node' | 'get_peers' | 'get'
  /** Arguments of the query besides our id. */
  readonly args: KrpcValues
  /** Nodes to start from besides our table; their ids may be unknown. */
  readonly seeds?: readonly (PeerAddress & { readonly id?: Uint8Array })[] | undefined
  /** Aborts the lookup with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** Called with nodes of the other address family (BEP 32). */
  readonly onOther?: ((nodes: NodeInfo[]) => void) | undefined
}

/** A response of a node during a lookup. */
export interface LookupAnswer {
  readonly node: NodeInfo
  readonly values: BencodeDict
}

/** A node that answered. */
export interface AnsweredNode extends NodeInfo {
  /** Token for writes to this node (BEP 5); undefined if it sent none. */
  readonly token: Uint8Array | undefined
  /** Whether its id matches its address (BEP 42). */
  readonly secure: boolean
  /** Index of the path that led to it, see {@link lookup}. */
  readonly path: number
}

/** Outcome of a lookup. */
export interface LookupResult {
  /** All nodes that answered, closest first. */
  readonly answered: readonly AnsweredNode[]
  /** Maximum number of referrals that led to one of the 8 closest secure nodes; 0 if all were known from the start. */
  readonly hops: number
  readonly queries: number
}

const parallel = 4
/** Number of paths to the target; they share no node. */
const paths = 3
/** Number of closest nodes per path that must have answered. */
const perPath = 4

interface Candidate {
  id: Uint8Array | undefined
  readonly host: string
  readonly port: number
  readonly hops: number
  readonly path: number
  secure: boolean
  state: 'new' | 'asked' | 'slow' | 'answered' | 'failed'
  token: Uint8Array | undefined
}

/**
 * Looks up a target (BEP 5): queries ever closer nodes, 4 at a time, until the 8 closest have answered. Yields every response as it
 * arrives, and pauses while the generator is not read.
 *
 * Defences against poisoned responses: an address is queried once; a network gets 3 candidates; local addresses are accepted only
 * from local nodes; a node counts under the id with which it answers; and a node whose id does not match its address (BEP 42) is
 * queried, but is not counted among the 8 closest. In addition, three paths lead to the target and share no node: nodes named by
 * hostile nodes stay on the path of those nodes, so that one honest path suffices to find the honest nodes.
 */
export async function* lookup(
  host: LookupHost,
  target: Uint8Array,
  options: LookupOptions
): AsyncGenerator<LookupAnswer, LookupResult, void> {
  const { method, args, signal } = options
  const list = new Candidates(host, target)
  // Hostile nodes with chosen ids may hold the first positions of the table, so the closest secure nodes are added first.
  for (const node of host.closest(target, bucketSize * 2, true)) list.add(node, 0)
  for (const node of host.closest(target, bucketSize)) list.add(node, 0)
  for (const seed of options.seeds ?? []) list.add(seed, 0)
  const answers: LookupAnswer[] = []
  let wake = (): void => {}
  let queries = 0
  let outstanding = 0
  let slow = 0

  const ask = async (one: Candidate): Promise<void> => {
    one.state = 'asked'
    queries++
    outstanding++
    const reply = await host.ask(one, method, { id: host.id, ...args }, () => {
      one.state = 'slow'
      slow++
      wake()
    })
    outstanding--
    if ((one.state as Candidate['state']) === 'slow') slow--
    if (reply?.kind === 'response' && list.answered(one, reply.id, reply.values.bytes('token'))) {
      const { values } = reply
      for (const node of nodesOf(values, host.family, one)) list.add(node, one.hops + 1, one)
      answers.push({ node: { id: reply.id.slice(), host: one.host, port: one.port }, values })
      const others = host.family === 4 ? 6 : 4
      if (options.onOther !== undefined) options.onOther(nodesOf(values, others, one))
    } else one.state = 'failed'
    wake()
  }

  const onAbort = (): void => wake()
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    for (;;) {
      signal?.throwIfAborted()
      while (outstanding - slow < parallel && queries < limits.queriesPerLookup) {
        const next = list.next()
        if (next === undefined) break
        void ask(next)
      }
      const answer = answers.shift()
      if (answer !== undefined) {
        yield answer
        continue
      }
      // Slow nodes are waited for only if too few others have answered.
      if (outstanding === 0 || (outstanding === slow && list.isComplete)) return list.result(queries)
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  } finally {
    signal?.removeEventListener('abort', onAbort)
  }
}

/** Returns the nodes of a family in a response. Drops local addresses named by a remote node. */
function nodesOf(values: BencodeDict, family: 4 | 6, from: PeerAddress): NodeInfo[] {
  const bytes = values.bytes(family === 4 ? 'nodes' : 'nodes6')
  if (bytes === undefined) return []
  const width = family === 4 ? 26 : 38
  return parseNodes(bytes.subarray(0, width * limits.nodesPerAnswer), family).filter((node) =>
    isPlausible(node, from)
  )
}

const reach = { loopback: 0, private: 1, global: 2 }

/** Whether an address named by `from` may be used: a remote node cannot know local addresses. */
export function isPlausible(address: PeerAddress, from: PeerAddress): boolean {
  return reach[ipScope(address.host)] >= reach[ipScope(from.host)]
}

/** The candidates of one lookup by distance from the target; those of unknown id come last. */
class Candidates {
  readonly #host: LookupHost
  readonly #target: Uint8Array
  readonly #list: Candidate[] = []
  /** All candidates by `hostKey`. */
  readonly #byHost = new Map<string, Candidate>()
  readonly #networks = new Map<string, number>()
  #insecureAsked = 0
  #started = 0
  #dealt = 0

  constructor(host: LookupHost, target: Uint8Array) {
    this.#host = host
    this.#target = target
  }

  /** Whether at least 8 secure nodes have answered. */
  get isComplete(): boolean {
    let count = 0
    for (const { state, secure } of this.#list)
      if (secure && state === 'answered' && ++count >= bucketSize) return true
    return false
  }

  add(node: PeerAddress & { readonly id?: Uint8Array }, hops: number, from?: Candidate): void {
    const { id, host, port } = node
    if (id !== undefined && compareDistance(id, id, this.#host.id) === 0) return
    const secure = id === undefined || isSecureId(id, host)
    const key = nodeHostKey(node)
    const known = this.#byHost.get(key)
    if (known !== undefined) {
      // A candidate with a false id must not block the same address with its true id.
      if (known.state !== 'new' || known.secure || !secure) return
      this.#list.splice(this.#list.indexOf(known), 1)
    } else {
      const network = networkOf(host)
      if (network !== undefined) {
        const count = this.#networks.get(network) ?? 0
        if (count >= limits.candidatesPerNetwork) return
        this.#networks.set(network, count + 1)
      }
    }
    const path = this.#pathFrom(from)
    const one: Candidate = { id, host, port, hops, path, secure, state: 'new', token: undefined }
    this.#byHost.set(key, one)
    this.#insert(one)
    if (!secure) this.#dropInsecure()
    if (this.#list.length > limits.candidates) this.#list.pop()
  }

  /** Returns the path of a new candidate. Start nodes are spread over the paths; if they are too few, so are the nodes that they name. */
  #pathFrom(from: Candidate | undefined): number {
    if (from !== undefined && (from.hops > 0 || this.#started >= paths)) return from.path
    if (from === undefined) return this.#started++ % paths
    return this.#dealt++ % paths
  }

  /** Drops the farthest insecure candidate if too many wait. Insecure ids can be chosen close to the target and would crowd out others. */
  #dropInsecure(): void {
    const isWaiting = (one: Candidate): boolean => !one.secure && one.state === 'new'
    let waiting = 0
    for (const one of this.#list) if (isWaiting(one)) waiting++
    if (waiting <= limits.insecureQueries) return
    this.#list.splice(this.#list.findLastIndex(isWaiting), 1)
  }

  /** Returns the closest candidate to query, or undefined while the 8 closest and the closest of each path are queried or have answered. */
  next(): Candidate | undefined {
    let counted = 0
    const countsOfPaths = new Uint8Array(paths)
    for (const one of this.#list) {
      if (counted >= bucketSize && (countsOfPaths[one.path] ?? 0) >= perPath) continue
      if (one.state === 'new') {
        if (one.secure) return one
        if (this.#insecureAsked >= limits.insecureQueries) continue
        this.#insecureAsked++
        return one
      }
      if (!one.secure || (one.state !== 'asked' && one.state !== 'answered')) continue
      counted++
      countsOfPaths[one.path] = (countsOfPaths[one.path] ?? 0) + 1
    }
    return undefined
  }

  /** Records the answer of a node under the id that it gave, which may differ from the expected one. Returns false if that id is ours. */
  answered(one: Candidate, id: Uint8Array, token: Uint8Array | undefined): boolean {
    if (compareDistance(id, id, this.#host.id) === 0) return false
    if (one.id === undefined || compareDistance(id, id, one.id) !== 0) {
      const at = this.#list.indexOf(one)
      if (at >= 0) this.#list.splice(at, 1)
      one.id = id.slice()
      one.secure = isSecureId(id, one.host)
      this.#insert(one)
    }
    one.state = 'answered'
    one.token = token?.slice()
    return true
  }

  result(queries: number): LookupResult {
    const answered: AnsweredNode[] = []
    let hops = 0
    let counted = 0
    for (const { id, host, port, secure, token, state, path, hops: far } of this.#list) {
      if (state !== 'answered' || id === undefined) continue
      answered.push({ id, host, port, secure, token, path })
      if (secure && ++counted <= bucketSize) hops = Math.max(hops, far)
    }
    return { answered, hops, queries }
  }

  #insert(one: Candidate): void {
    let low = 0
    let high = this.#list.length
    while (low < high) {
      const middle = (low + high) >> 1
      const other = this.#list[middle]
      if (other !== undefined && this.#compare(other, one) <= 0) low = middle + 1
      else high = middle
    }
    this.#list.splice(low, 0, one)
  }

  #compare(a: Candidate, b: Candidate): number {
    if (a.id === undefined || b.id === undefined)
      return Number(a.id === undefined) - Number(b.id === undefined)
    return compareDistance(this.#target, a.id, b.id)
  }
}
