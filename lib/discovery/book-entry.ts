import type { PeerAddress } from '../util/address.ts'
import type { DialKeys } from './dial-pace.ts'
import type { DialVariant } from './dial-variant.ts'
import { type PeerSource, peerSources } from './peer-source.ts'

/**
 * - idle: may be dialled from `readyAt` on
 * - dialling: a dial is under way
 * - connected: there is a connection
 */
export type State = 'idle' | 'dialling' | 'connected'

/** One address in an address book. */
export interface Entry {
  readonly address: PeerAddress
  readonly key: string
  /** Its `hostKey`, if the ports of that host are limited. */
  readonly host: string | undefined
  /** Made when it may be dialled for the first time; `undefined` where dials are not paced. */
  dialKeys: DialKeys | undefined | 'unknown'
  /** Index into {@link peerSources}. */
  rank: number
  state: State
  failures: number
  triedAt: number
  readyAt: number
  /** When it last gave us data. */
  usefulAt: number
  uninteresting: boolean
  /** The variant by which it was reached the last time. */
  worked: DialVariant | undefined
  /** Whether a dial to it was answered. */
  proven: boolean
  /** The host that told it and answers for it, until it is reached or given up. */
  toldBy: string | undefined
  /** Flags that peers gave it, as `pexFlags`, joined. */
  hints: number
  /** As computed for a version of the priorities. */
  priority: number
  priorityVersion: number
}

/** Returns the entry of an address that was named for the first time. */
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

/** Whether it is not dialled any more, until it is named again. */
export function isGivenUp({ readyAt }: Entry): boolean {
  return readyAt === Number.POSITIVE_INFINITY
}

/** Whether it ever gave us data. */
export function wasUseful({ usefulAt }: Entry): boolean {
  return usefulAt > Number.NEGATIVE_INFINITY
}

/** Compares two entries that may be dialled; the one to dial first is less. */
export function inOrder(a: Entry, b: Entry): number {
  if (a.failures !== b.failures) return a.failures - b.failures
  if (a.rank !== b.rank) return a.rank - b.rank
  return a.triedAt < b.triedAt ? -1 : a.triedAt > b.triedAt ? 1 : 0
}

/** Returns how much an entry is worth keeping; see `worthOf`. */
export function worth(entry: Entry): number {
  return worthOf(entry.failures, entry.rank, wasUseful(entry))
}

/** The worth of an entry: it gave us data, it did not fail, its source is good. */
export function worthOf(failures: number, rank: number, useful: boolean): number {
  return (useful ? 100 : 0) - Math.min(failures, 9) * 10 - rank
}

/** Returns the best source that named it. */
export function sourceOf(entry: Entry): PeerSource {
  return peerSources[entry.rank] ?? 'pex'
}
