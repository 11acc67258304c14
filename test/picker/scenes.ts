import { FakeSwarm, type FakeSwarmOptions, type SentRequest } from './fake-swarm.ts'

/** Makes a swarm in which everything is selected. */
export function swarmOf(options: FakeSwarmOptions = {}): FakeSwarm {
  const swarm = new FakeSwarm(options)
  swarm.selectAll()
  return swarm
}

/** Returns `count` numbers, beginning with `from`. */
export function upTo(count: number, from = 0): number[] {
  return Array.from({ length: count }, (_, index) => from + index)
}

/** Returns pieces in the order of their first request. */
export function begun(requests: readonly SentRequest[]): number[] {
  return [...new Set(requests.map(({ piece }) => piece))]
}

/** Returns the requests sent to a peer, from the `from`-th of all on. */
export function sentTo({ requests }: FakeSwarm, id: number, from = 0): SentRequest[] {
  return requests.slice(from).filter(({ peer }) => peer === id)
}

/** Returns the most peers from which one block is outstanding now. */
export function mostRequesters({ links }: FakeSwarm): number {
  const counts = new Map<number, number>()
  for (const { outstanding } of links.values())
    for (const block of outstanding) counts.set(block, (counts.get(block) ?? 0) + 1)
  return Math.max(0, ...counts.values())
}
