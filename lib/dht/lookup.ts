import type { BencodeDict } from '../bencode/bencode-dict.ts'
import type { PeerAddress } from '../util/address.ts'
import { ipScope } from '../util/ip-scope.ts'
import type { KrpcReply, KrpcValues } from './krpc.ts'
import { limits } from './limits.ts'
import { compareDistance, isSecureId } from './node-id.ts'
import { hostKey, type NodeInfo, networkOf, parseNodes } from './node-info.ts'
import { bucketSize } from './routing-table.ts'

/** What a look-up asks of its node. */
export interface LookupHost {
  readonly id: Uint8Array
  readonly family: 4 | 6
  /** The nodes of our table closest to a target; on demand only those whose ids fit their addresses (BEP 42). */
  closest(target: Uint8Array, count: number, secureOnly?: boolean): readonly NodeInfo[]
  /** Asks a node once; undefined when it does not answer. Never rejects. `onSlow` tells that it takes longer than usual. */
  ask(to: PeerAddress, method: string, args: KrpcValues, onSlow: () => void): Promise<KrpcReply | undefined>
}

/** What to look for. */
export interface LookupOptions {
  readonly method: 'find_node' | 'get_peers' | 'get'
  /** Arguments besides our id. */
  readonly args: KrpcValues
  /** Where to start besides our table: nodes whose id may be unknown. */
  readonly seeds?: readonly (PeerAddress & { readonly id?: Uint8Array })[] | undefined
  /** Ends the look-up with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** Hears of nodes of the other address family (BEP 32). */
  readonly onOther?: ((nodes: NodeInfo[]) => void) | undefined
}

/** An answer on the way. */
export interface LookupAnswer {
  readonly node: NodeInfo
  readonly values: BencodeDict
}

/** A node that answered. */
export interface AnsweredNode extends NodeInfo {
  /** With which one may write there; undefined when it gave none. */
  readonly token: Uint8Array | undefined
  /** Whether its id belongs to its address (BEP 42). */
  readonly secure: boolean
  /** Which of the paths has led to it, see {@link lookup}. */
  readonly path: number
}

/** How a look-up ended. */
export interface LookupResult {
  /** All that answered, closest first. */
  readonly answered: readonly AnsweredNode[]
  /** Through how many others the farthest of the 8 closest that count was found; 0 is known from the start. */
  readonly hops: number
  readonly questions: number
}

const parallel = 4
/** Ways to the target that share no node. */
const paths = 3
/** How many of the closest nodes of each way must have answered. */
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
 * Asks nodes ever closer to a target, 4 at a time, until the 8 closest have answered; yields every answer as it comes, and goes
 * no further while nobody reads. Against poisoned answers: an address is asked once, a network has 3 places, local addresses
 * are believed only from local nodes, a node counts under the id with which it answers, and one whose id does not belong to
 * its address (BEP 42) is asked but takes nobody's place among the 8. And there are three ways to the target, which share no node:
 * whom liars name stays on the way of those liars, so that one way among honest nodes is enough to find the honest.
 */
export async function* lookup(
  host: LookupHost,
  target: Uint8Array,
  options: LookupOptions
): AsyncGenerator<LookupAnswer, LookupResult, void> {
  const { method, args, signal } = options
  const list = new Candidates(host, target)
  // Liars who chose ids to their liking may fill the first places of the table, so others start beside them.
  for (const node of host.closest(target, bucketSize * 2, true)) list.add(node, 0)
  for (const node of host.closest(target, bucketSize)) list.add(node, 0)
  for (const seed of options.seeds ?? []) list.add(seed, 0)
  const answers: LookupAnswer[] = []
  let wake = (): void => {}
  let questions = 0
  let underway = 0
  let slow = 0

  const ask = async (one: Candidate): Promise<void> => {
    one.state = 'asked'
    questions++
    underway++
    const reply = await host.ask(one, method, { id: host.id, ...args }, () => {
      one.state = 'slow'
      slow++
      wake()
    })
    underway--
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
      while (underway - slow < parallel && questions < limits.questionsPerLookup) {
        const next = list.next()
        if (next === undefined) break
        void ask(next)
      }
      const answer = answers.shift()
      if (answer !== undefined) {
        yield answer
        continue
      }
      // What is slow is waited for only when too few others answered.
      if (underway === 0 || (underway === slow && list.isComplete)) return list.result(questions)
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  } finally {
    signal?.removeEventListener('abort', onAbort)
  }
}

/** The nodes of a family in an answer; what a stranger tells of our own network is not believed. */
function nodesOf(values: BencodeDict, family: 4 | 6, from: PeerAddress): NodeInfo[] {
  const bytes = values.bytes(family === 4 ? 'nodes' : 'nodes6')
  if (bytes === undefined) return []
  const width = family === 4 ? 26 : 38
  return parseNodes(bytes.subarray(0, width * limits.nodesPerAnswer), family).filter((node) =>
    isPlausible(node, from)
  )
}

const reach = { loopback: 0, private: 1, global: 2 }

/** Whether an address told by `from` may be used: a node out there knows nothing of addresses in here. */
export function isPlausible(address: PeerAddress, from: PeerAddress): boolean {
  return reach[ipScope(address.host)] >= reach[ipScope(from.host)]
}

/** The nodes of one look-up by distance from the target, those of unknown id last. */
class Candidates {
  readonly #host: LookupHost
  readonly #target: Uint8Array
  readonly #list: Candidate[] = []
  readonly #parties = new Map<string, Candidate>()
  readonly #networks = new Map<string, number>()
  #insecureAsked = 0
  #started = 0
  #dealt = 0

  constructor(host: LookupHost, target: Uint8Array) {
    this.#host = host
    this.#target = target
  }

  /** Whether the 8 closest that count have answered. */
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
    const party = hostKey(node)
    const known = this.#parties.get(party)
    if (known !== undefined) {
      // An address under a false id must not keep it out under its true one.
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
    this.#parties.set(party, one)
    this.#insert(one)
    if (!secure) this.#dropInsecure()
    if (this.#list.length > limits.candidates) this.#list.pop()
  }

  /** Where to start from is dealt to the ways in turn, and so is what the first nodes name if they are fewer than the ways. */
  #pathFrom(from: Candidate | undefined): number {
    if (from !== undefined && (from.hops > 0 || this.#started >= paths)) return from.path
    if (from === undefined) return this.#started++ % paths
    return this.#dealt++ % paths
  }

  /** Ids as close to the target as one likes cost nothing, so those that wait must not crowd out the others. */
  #dropInsecure(): void {
    const isWaiting = (one: Candidate): boolean => !one.secure && one.state === 'new'
    let waiting = 0
    for (const one of this.#list) if (isWaiting(one)) waiting++
    if (waiting <= limits.insecureQuestions) return
    this.#list.splice(this.#list.findLastIndex(isWaiting), 1)
  }

  /** The closest that is worth asking; undefined while the 8 closest, and the closest of each way, are asked or have answered. */
  next(): Candidate | undefined {
    let counted = 0
    const ways = new Uint8Array(paths)
    for (const one of this.#list) {
      if (counted >= bucketSize && (ways[one.path] ?? 0) >= perPath) continue
      if (one.state === 'new') {
        if (one.secure) return one
        if (this.#insecureAsked >= limits.insecureQuestions) continue
        this.#insecureAsked++
        return one
      }
      if (!one.secure || (one.state !== 'asked' && one.state !== 'answered')) continue
      counted++
      ways[one.path] = (ways[one.path] ?? 0) + 1
    }
    return undefined
  }

  /** A node answered, under an id that need not be the one told of it; false when it is our own. */
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

  result(questions: number): LookupResult {
    const answered: AnsweredNode[] = []
    let hops = 0
    let counted = 0
    for (const { id, host, port, secure, token, state, path, hops: far } of this.#list) {
      if (state !== 'answered' || id === undefined) continue
      answered.push({ id, host, port, secure, token, path })
      if (secure && ++counted <= bucketSize) hops = Math.max(hops, far)
    }
    return { answered, hops, questions }
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
