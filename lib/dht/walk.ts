import { abortable } from '../util/concurrency.ts'
import type { DhtNode } from './dht-node.ts'
import type { KrpcValues } from './krpc.ts'
import type { AnsweredNode, LookupAnswer } from './lookup.ts'
import { bucketSize } from './routing-table.ts'

/** Minimum number of nodes per lookup path that are written to. */
const nodesPerPath = 3

/** Options of a {@link walk}. */
export interface WalkOptions {
  readonly method: 'get_peers' | 'get'
  /** Arguments of the query besides our id. */
  readonly args: KrpcValues
  readonly onAnswer: (answer: LookupAnswer) => void
  readonly signal: AbortSignal | undefined
}

/** Runs a lookup to its end in the network of one family. Resolves to the nodes to write to. */
export async function walk(
  node: DhtNode,
  target: Uint8Array,
  { method, args, onAnswer, signal }: WalkOptions
): Promise<AnsweredNode[]> {
  const steps = node.lookup(target, { method, args, signal })
  for (;;) {
    const step = await steps.next()
    if (step.done !== true) {
      onAnswer(step.value)
      continue
    }
    const able = step.value.answered.filter(({ token }) => token !== undefined)
    // The closest insecure nodes, whose ids may be chosen freely, are added to the secure ones and never replace them (BEP 42).
    const secure = able.filter((one) => one.secure)
    // The closest of each path are added as well, so that hostile nodes around the target cannot receive all writes.
    const counts = new Map<number, number>()
    const ends = secure.filter(({ path }) => {
      const count = (counts.get(path) ?? 0) + 1
      counts.set(path, count)
      return count <= nodesPerPath
    })
    return [...new Set([...secure.slice(0, bucketSize), ...ends, ...able.slice(0, bucketSize)])]
  }
}

/** Asks the nodes of a {@link walk} to store something. Resolves to the number that did. Calls `onRefusal` with the code of each error reply. */
export async function write(
  node: DhtNode,
  to: readonly AnsweredNode[],
  method: 'announce_peer' | 'put',
  args: (to: AnsweredNode) => KrpcValues,
  signal: AbortSignal | undefined,
  onRefusal?: (code: number) => void
): Promise<number> {
  signal?.throwIfAborted()
  const all = to.map((one) => node.ask(one, method, { id: node.id, token: one.token, ...args(one) }))
  const replies = await abortable(Promise.all(all), signal)
  for (const reply of replies) if (reply?.kind === 'error') onRefusal?.(reply.code)
  return replies.filter((reply) => reply?.kind === 'response').length
}
