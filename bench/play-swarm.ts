/** The link to one seeder, and the seeder's behaviour. */
export interface PeerSpec {
  /** Rate of the link towards the player, in bytes per second. */
  readonly rate: number
  /** One-way delay of the link in milliseconds, the same both ways. */
  readonly delayMs: number
  /** Bytes after which the link carries nothing more but stays open. */
  readonly silentAfter?: number
  /** Whether every block that it sends is wrong. */
  readonly corrupt?: boolean
}

/** Returns whether a clairvoyant would use the peer. */
export function isHonest({ silentAfter, corrupt }: PeerSpec): boolean {
  return silentAfter === undefined && corrupt !== true
}

const good = { rate: 1_000_000, delayMs: 20 }

/** 4.6 MB/s of honest capacity, one very slow peer, and one that goes silent. */
export const mixedSwarm: readonly PeerSpec[] = [
  good,
  good,
  good,
  good,
  { rate: 300_000, delayMs: 60 },
  { rate: 300_000, delayMs: 60 },
  { rate: 50_000, delayMs: 150 },
  { ...good, silentAfter: 2_000_000 }
]

/**
 * Returns a swarm with an honest capacity of 1.5 times the bit rate, distant and very slow peers, two that go silent, and one that
 * sends wrong data.
 */
export function harshSwarm(bytesPerSecond: number): PeerSpec[] {
  const share = (part: number): number => Math.round(part * bytesPerSecond)
  return [
    { rate: share(0.6), delayMs: 40 },
    { rate: share(0.45), delayMs: 80 },
    { rate: share(0.3), delayMs: 150 },
    { rate: share(0.14), delayMs: 300 },
    { rate: share(0.01), delayMs: 300 },
    { rate: share(0.5), delayMs: 30, silentAfter: share(0.5) },
    { rate: share(0.25), delayMs: 60, silentAfter: share(0.15) },
    { rate: share(0.4), delayMs: 40, corrupt: true }
  ]
}

/**
 * Parses a swarm from the command line: a JSON list of `{ rate, delayMs, silentAfter, corrupt }`.
 * @throws Error naming what is wrong.
 */
export function parseSwarm(json: string): PeerSpec[] {
  const list: unknown = JSON.parse(json)
  if (!Array.isArray(list) || list.length === 0)
    throw new Error(`--swarm must be a list of peers, not ${json}`)
  return list.map((item: Partial<PeerSpec>) => {
    const { rate = 0, delayMs = 0 } = item
    if (!(rate > 0) || !(delayMs >= 0))
      throw new Error(`--swarm: a peer needs rate and delayMs: ${JSON.stringify(item)}`)
    return { ...item, rate, delayMs }
  })
}
