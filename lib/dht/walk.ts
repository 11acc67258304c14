import { abortable } from '../util/concurrency.ts'
import type { DhtNode } from './dht-node.ts'
import type { KrpcValues } from './krpc.ts'
import type { AnsweredNode, LookupAnswer } from './lookup.ts'
import { bucketSize } from './routing-table.ts'

/** Nodes that are written to at the end of each way, at least. */
const perWay = 3

/** What to look for on a {@link walk}, and who hears of it. */
export interface WalkOptions {
  readonly method: 'get_peers' | 'get'
  /** Arguments besides our id. */
  readonly args: KrpcValues
  readonly onAnswer: (answer: LookupAnswer) => void
  readonly signal: AbortSignal | undefined
}

/** A whole look-up in one family's network; resolves to the nodes that may be written to. */
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
    // The closest that chose their ids freely come besides those that did not, and not in their place (BEP 42).
    const secure = able.filter((one) => one.secure)
    // And the closest of each way, lest those who stand around the target keep all to themselves.
    const ways = new Map<number, number>()
    const ends = secure.filter(({ path }) => {
      const count = (ways.get(path) ?? 0) + 1
      ways.set(path, count)
      return count <= perWay
    })
    return [...new Set([...secure.slice(0, bucketSize), ...ends, ...able.slice(0, bucketSize)])]
  }
}

/** Asks nodes of a {@link walk} to keep something; resolves to how many did. `onRefusal` hears the code of each that refused. */
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
