import type { PeerAddress } from '../util/address.ts'
import type { DialKeys } from './dial-pace.ts'
import type { DialVariant } from './dial-variant.ts'
import { type PeerSource, peerSources } from './peer-source.ts'

/**
 * State of an entry.
 *
 * - idle: may be dialled from `readyAt` on
 * - dialling: a dial is in progress
 * - connected: a connection is open
 */
export type State = 'idle' | 'dialling' | 'connected'

/** One address in an address book. */
export interface Entry {
  readonly address: PeerAddress
  readonly key: string
  /** `hostKey` of the address, if the ports of that host are limited. */
  readonly host: string | undefined
  /** Computed when the entry may first be dialled; `undefined` if its dials are not paced. */
  dialKeys: DialKeys | undefined | 'unknown'
  /** Index into {@link peerSources}. */
  rank: number
  state: State
  failures: number
  triedAt: number
  readyAt: number
  /** Time at which it last sent us data. */
  usefulAt: number
  uninteresting: boolean
  /** Dial variant of the last connection. */
  worked: DialVariant | undefined
  /** Whether it ever answered a dial. */
  proven: boolean
  /** Host that named it and is responsible for it, until the address is reached or given up. */
  toldBy: string | undefined
  /** Union of the `pexFlags` that peers gave it. */
  hints: number
  /** BEP 40 priority, computed for `priorityVersion`. */
  priority: number
  priorityVersion: number
}

/** Returns an entry for a newly named address. */
export function newEntry(
  known: Pick<Entry, 'address' | 'key' | 'host' | 'rank' | 'readyAt' | 'toldBy' | 'hints'>
): Entry {
  return {
    ...known,
    dialKeys: 'unknown',
    state: 'idle',
    failures: 0,
    triedAt: Number.NEGATIVE_INFINITY,
    usefulAt: Number.NEGATIVE_INFINITY,
    uninteresting: false,
    worked: undefined,
    proven: false,
    priority: 0,
    priorityVersion: -1
  }
}

/** Returns whether the entry was given up: not dialled until it is named again. */
export function isGivenUp({ readyAt }: Entry): boolean {
  return readyAt === Number.POSITIVE_INFINITY
}

/** Returns whether the peer ever sent us data. */
export function wasUseful({ usefulAt }: Entry): boolean {
  return usefulAt > Number.NEGATIVE_INFINITY
}

/** Compares two entries that may be dialled; negative if `a` is dialled first. */
export function inOrder(a: Entry, b: Entry): number {
  if (a.failures !== b.failures) return a.failures - b.failures
  if (a.rank !== b.rank) return a.rank - b.rank
  return a.triedAt < b.triedAt ? -1 : a.triedAt > b.triedAt ? 1 : 0
}

/** Returns the value of keeping an entry; see `worthOf`. */
export function worth(entry: Entry): number {
  return worthOf(entry.failures, entry.rank, wasUseful(entry))
}

/** Returns the value of an entry from its usefulness, its failures and its source, in that order. */
export function worthOf(failures: number, rank: number, useful: boolean): number {
  return (useful ? 100 : 0) - Math.min(failures, 9) * 10 - rank
}

/** Returns the most trustworthy source that named the entry. */
export function sourceOf(entry: Entry): PeerSource {
  return peerSources[entry.rank] ?? 'pex'
}
