import { formatAddress } from '../util/address.ts'
import { type Entry, inOrder, isGivenUp, sourceOf, wasUseful } from './book-entry.ts'
import type { PeerSource } from './peer-source.ts'

/** A known address that is neither connected nor being dialled. */
export interface WaitingCandidate {
  /** `host:port`. */
  readonly address: string
  /** Most trustworthy source that named it. */
  readonly source: PeerSource
  /** Consecutive failures. */
  readonly failures: number
  /**
   * Why it is not being dialled.
   *
   * - `ready`: dialled as soon as there is room
   * - `paced`: dials to its network are rate-limited
   * - `failed`: its last dials or connections failed
   * - `recent`: its last connection ended a moment ago
   * - `uninteresting`: neither side needed the other
   * - `given up`: dialled only when it is named again
   */
  readonly why: 'ready' | 'paced' | 'failed' | 'recent' | 'uninteresting' | 'given up'
  /** Milliseconds until it may be dialled; `null` if it was given up. */
  readonly inMs: number | null
}

/** Known peer addresses of a torrent. */
export interface CandidateInspection {
  /** All addresses, including those of connected peers. */
  readonly known: number
  /** Addresses with an open connection. */
  readonly connected: number
  /** Addresses that are being dialled. */
  readonly dialling: number
  /** Addresses that are neither connected nor being dialled. */
  readonly waiting: number
  /** Hosts banned for bad data. */
  readonly banned: number
  /** Up to 50 waiting addresses, in the order in which they are dialled. */
  readonly next: readonly WaitingCandidate[]
}

/** Maximum number of waiting addresses in the list. */
const mostListed = 50

/** Counts the entries of an address book by state, and lists those that are dialled next. */
export function inspectEntries(entries: Iterable<Entry>, banned: number, now: number): CandidateInspection {
  const states = { idle: 0, dialling: 0, connected: 0 }
  const idle: Entry[] = []
  for (const entry of entries) {
    states[entry.state]++
    if (entry.state === 'idle') idle.push(entry)
  }
  // For two given-up entries a subtraction would yield NaN.
  idle.sort((a, b) => (a.readyAt === b.readyAt ? inOrder(a, b) : a.readyAt < b.readyAt ? -1 : 1))
  return {
    known: states.idle + states.dialling + states.connected,
    connected: states.connected,
    dialling: states.dialling,
    waiting: states.idle,
    banned,
    next: idle.slice(0, mostListed).map((entry) => waitingCandidate(entry, now))
  }
}

/** Returns why an idle entry is not being dialled, and how long it waits. */
function waitingCandidate(entry: Entry, now: number): WaitingCandidate {
  const { address, failures, readyAt } = entry
  const inMs = isGivenUp(entry) ? null : Math.max(0, Math.round(readyAt - now))
  return { address: formatAddress(address), source: sourceOf(entry), failures, why: whyOf(entry, now), inMs }
}

function whyOf(entry: Entry, now: number): WaitingCandidate['why'] {
  if (isGivenUp(entry)) return 'given up'
  if (entry.readyAt <= now) return 'ready'
  if (entry.uninteresting) return 'uninteresting'
  if (entry.failures > 0) return 'failed'
  return wasUseful(entry) ? 'recent' : 'paced'
}
