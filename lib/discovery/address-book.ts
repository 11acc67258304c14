import { canonicalHost, isAddress, type PeerAddress } from '../util/address.ts'
import { LazyMap, LazySet } from '../util/lazy-collections.ts'
import { type AddressScope, addressKey, hostKey, mayTell, scopeOf } from './address-scope.ts'
import { backOff, nameAgain, type Outcome, waitAfter } from './back-off.ts'
import { Bans } from './bans.ts'
import {
  type Entry,
  inOrder,
  newEntry,
  type State,
  sourceOf,
  wasUseful,
  worth,
  worthOf
} from './book-entry.ts'
import { type CandidateInspection, inspectEntries } from './candidate-inspection.ts'
import { type DialPace, dialKeys } from './dial-pace.ts'
import { type DialVariant, variantsOf } from './dial-variant.ts'
import { type HintedAddress, type Hints, hintsOf } from './hints.ts'
import { limits } from './limits.ts'
import { type PeerSource, peerSources } from './peer-source.ts'
import { SourceReputation } from './source-reputation.ts'
import { UnprovenPorts } from './unproven-ports.ts'

/** A peer to dial. */
export interface Candidate {
  /** Where it listens. */
  readonly address: PeerAddress
  /** The best source that named it. */
  readonly source: PeerSource
  /** Failures in a row so far. */
  readonly failures: number
  /** Claims of other peers about it. */
  readonly hints: Hints
  /** How to dial it: one variant after the other. */
  readonly variants: readonly DialVariant[]
}

/** Options of an {@link AddressBook}. */
export interface AddressBookOptions {
  /** Returns [0, 1); decides between equals. */
  readonly random: () => number
  /** The most addresses kept, default 1,000. */
  readonly limit?: number
  /** How addresses may be dialled, the first choice first; default plain TCP. */
  readonly variants?: readonly DialVariant[]
  /** Tells which of several equal peers comes first (BEP 40); without it chance does. */
  readonly own?: PeerPriorities
}

/** Priorities of peers (BEP 40). */
export interface PeerPriorities {
  /** Changes whenever priorities may have changed. */
  readonly version: number
  /** The higher comes first. */
  priority(address: PeerAddress): number
}

/**
 * The addresses that a torrent knows of, which to dial next, and which never. Pure: time and chance are arguments.
 *
 * Addresses come from the network and are not trusted. Those that no peer can have are refused, and so are private and loopback
 * addresses from PEX and DHT unless their source is as near itself. One host that tells addresses fills a fifth of the book at most, and is ignored
 * for a while when they do not answer; the nodes of the DHT do not count as one. There is one entry
 * for each address. When the book is full, a worse entry is evicted or the newcomer is refused; entries that were given up go first.
 */
export class AddressBook {
  readonly #random: () => number
  readonly #limit: number
  readonly #entries = new LazyMap<string, Entry>()
  readonly #ports = new UnprovenPorts<Entry>()
  readonly #bans = new Bans()
  /** Sources of which nothing is kept any more. */
  readonly #forgotten = new LazySet<PeerSource>()
  readonly #reputation: SourceReputation
  readonly #own: PeerPriorities | undefined
  readonly #variants: readonly DialVariant[] | undefined
  /** The earliest time at which an idle entry is ready, or undefined when it must be looked up. */
  #wakeAt: number | undefined

  /** An empty book. */
  constructor({ random, limit = 1000, own, variants }: AddressBookOptions) {
    this.#random = random
    this.#limit = limit
    this.#reputation = new SourceReputation(limit * limits.sourceShare)
    this.#own = own
    this.#variants = variants
  }

  /** How many addresses the book holds, those of connected peers included. */
  get size(): number {
    return this.#entries.size
  }

  /** Returns how many addresses are connected, dialled and waiting, and which are dialled next and when. */
  inspect(now: number): CandidateInspection {
    return inspectEntries(this.#entries.values(), this.#bans.size, now)
  }

  /** How many addresses the book holds from each source. */
  counts(): Record<PeerSource, number> {
    const counts = { manual: 0, lsd: 0, tracker: 0, incoming: 0, magnet: 0, resume: 0, dht: 0, pex: 0 }
    for (const entry of this.#entries.values()) counts[sourceOf(entry)]++
    return counts
  }

  /**
   * Takes an address in; for PEX and DHT, `toldBy` is the host that told it and answers for all that it tells, and `scope` the
   * scope of its source: by default that of this host, or public without one. A manual address is always ready
   * at once, whatever happened before; so is, after 5 seconds, a peer of the local network that announces itself again, and an hour after it
   * was given up a peer that is named again. Flags of a known address join those that it has, if its source is not ignored.
   * @returns whether there is something new to dial; false for what is known, refused or banned.
   */
  add(
    address: HintedAddress,
    source: PeerSource,
    now: number,
    toldBy?: string,
    scope: AddressScope = toldBy === undefined ? 'public' : scopeOf(toldBy)
  ): boolean {
    const key = addressKey(address)
    const reach = scopeOf(address.host)
    if (!isAcceptable(address, reach, source, scope) || this.#bans.hasSelf(key) || this.isBanned(address))
      return false
    const rank = peerSources.indexOf(source)
    const known = this.#entries.get(key)
    const teller = toldBy && hostKey(toldBy)
    const isHeard = teller === undefined || this.#reputation.listensTo(teller, now)
    if (known !== undefined) {
      known.rank = Math.min(known.rank, rank)
      if (isHeard) known.hints |= address.flags ?? 0
      if (source === 'manual') this.#ports.delete(known)
      if (known.state !== 'idle' || known.readyAt <= now || !nameAgain(known, source, now)) return false
      this.#wakeAt = undefined
      return true
    }
    if (!isHeard) return false
    const limitedHost = source === 'manual' || reach === 'loopback' ? undefined : hostKey(address.host)
    const crowd = this.#ports.crowd(limitedHost)
    if (crowd.length > 0 && !this.#makeRoom(rank, crowd)) return false
    if (this.#entries.size >= this.#limit && !this.#makeRoom(rank, this.#entries.values())) return false
    if (teller !== undefined) this.#reputation.told(teller)
    const zoned = address.host.includes('%')
    const host = zoned ? address.host : canonicalHost(address.host)
    const entry = newEntry({
      address: { host, port: address.port },
      key,
      host: limitedHost,
      rank,
      readyAt: now,
      toldBy: teller,
      hints: address.flags ?? 0
    })
    this.#entries.set(key, entry)
    this.#ports.add(entry)
    this.#wakeAt = Math.min(this.wakeAt, now)
    return true
  }

  /**
   * The best peer to dial now: fewest failures, then best source, then longest not tried, then priority (BEP 40), then chance. It
   * stays the best until `dialling` is told. Addresses that `pace` holds back, unless the program named them, wait as long as it says.
   */
  next(now: number, pace?: DialPace): Candidate | undefined {
    if (this.wakeAt > now) return undefined
    let best: Entry | undefined
    let equals = 0
    for (const entry of this.#entries.values()) {
      if (entry.state !== 'idle' || entry.readyAt > now) continue
      const order =
        best === undefined ? -1 : inOrder(entry, best) || this.#priority(best) - this.#priority(entry)
      if (order > 0 || (pace !== undefined && this.#holdBack(entry, pace, now))) continue
      if (order < 0) {
        best = entry
        equals = 1
      } else if (this.#random() * ++equals < 1) best = entry
    }
    if (best === undefined) return undefined
    const { address, failures, hints, worked } = best
    const variants = variantsOf(worked, this.#variants)
    return { address, source: sourceOf(best), failures, hints: hintsOf(hints), variants }
  }

  /** When `next` has an address at the earliest (ms, may lie in the past), or `Infinity`. */
  get wakeAt(): number {
    if (this.#wakeAt === undefined) {
      this.#wakeAt = Number.POSITIVE_INFINITY
      for (const { state, readyAt } of this.#entries.values()) {
        if (state === 'idle' && readyAt < this.#wakeAt) this.#wakeAt = readyAt
      }
    }
    return this.#wakeAt
  }

  /** A dial to the address begins. */
  dialling(address: PeerAddress, now: number): void {
    const entry = this.#change(address, 'dialling')
    if (entry !== undefined) entry.triedAt = now
  }

  /** The dial has led to a connection by this variant, which proves the address if we use it. */
  connected(address: PeerAddress, isProof = true, variant?: DialVariant): void {
    const entry = this.#connect(address)
    if (entry === undefined) return
    if (variant !== undefined) entry.worked = variant
    if (!isProof) return
    entry.proven = true
    this.#ports.delete(entry)
  }

  /**
   * A peer that has dialled us says that it listens there, so that it need not be dialled: then true, and its end is to be told with
   * `disconnected`. False for what is not in the book, and for an address with a dial or a connection of its own, which anybody on
   * that host may name.
   */
  claim(address: PeerAddress): boolean {
    if (this.#entries.get(addressKey(address))?.state !== 'idle') return false
    this.#connect(address)
    return true
  }

  /**
   * The dial or the handshake failed; the peer is tried again after a wait that grows. After six failures in a row it is given up
   * if it never gave us data, but for manual peers and those of the resume record.
   */
  failed(address: PeerAddress, now: number): void {
    const entry = this.#change(address, 'idle')
    if (entry === undefined) return
    // Each address is one lie, however often it is tried.
    if (entry.toldBy !== undefined && entry.failures === 0) this.#reputation.failed(entry.toldBy, now)
    if (backOff(entry, 1, now)) this.#release(entry)
  }

  /** The connection ended. */
  disconnected(address: PeerAddress, now: number, outcome: Outcome): void {
    const entry = this.#change(address, 'idle')
    if (entry === undefined) return
    if (waitAfter(entry, outcome, now)) this.#release(entry)
  }

  /** Makes uninteresting peers ready: something is wanted again. */
  revive(now: number): void {
    for (const entry of this.#entries.values()) {
      if (entry.state === 'idle' && entry.uninteresting) entry.readyAt = Math.min(entry.readyAt, now)
    }
    this.#wakeAt = undefined
  }

  /**
   * Never dials this host again nor lets it in, whatever address of its public /64 it has in IPv6. On loopback, where many peers
   * share one host, the ban is for host and port. At most 4,096 bans are kept, the latest.
   */
  ban(address: PeerAddress): void {
    const isBanned = this.#bans.add(address)
    for (const entry of this.#entries.values()) {
      if (isBanned(entry.address)) this.#delete(entry)
    }
    this.#wakeAt = undefined
  }

  /** Whether the host is banned. */
  isBanned(address: PeerAddress): boolean {
    return this.#bans.has(address)
  }

  /** The address is our own and is never taken in again. */
  self(address: PeerAddress): void {
    const key = addressKey(address)
    this.#bans.addSelf(key)
    const entry = this.#entries.get(key)
    if (entry !== undefined) this.#delete(entry)
    this.#wakeAt = undefined
  }

  /** Forgets all that only this source named, now or, of those in use, as soon as their use ends; for good. */
  forget(source: PeerSource): void {
    this.#forgotten.add(source)
    for (const entry of this.#entries.values()) {
      if (sourceOf(entry) === source && entry.state === 'idle') this.#delete(entry)
    }
    this.#wakeAt = undefined
  }

  /** The best addresses for a resume record: those connected, then those that gave us data, then those that never failed. */
  serialise(limit = 100): PeerAddress[] {
    const inUse = (entry: Entry): number => Number(entry.state === 'connected')
    return [...this.#entries.values()]
      .filter((entry) => entry.failures === 0 || wasUseful(entry))
      .sort(
        (a, b) =>
          inUse(b) - inUse(a) ||
          (b.usefulAt === a.usefulAt ? 0 : b.usefulAt - a.usefulAt) ||
          a.failures - b.failures ||
          a.rank - b.rank
      )
      .slice(0, limit)
      .map(({ address }) => ({ host: address.host, port: address.port }))
  }

  /** Drops the worst idle entry of some if it is worse than a newcomer of this rank. */
  #makeRoom(rank: number, entries: Iterable<Entry>): boolean {
    let worst: Entry | undefined
    for (const entry of entries) {
      if (entry.state !== 'idle' || sourceOf(entry) === 'manual') continue
      if (worst === undefined || worth(entry) < worth(worst)) worst = entry
    }
    if (worst === undefined || worth(worst) >= worthOf(0, rank, false)) return false
    this.#delete(worst)
    this.#wakeAt = undefined
    return true
  }

  #delete(entry: Entry): void {
    this.#entries.delete(entry.key)
    this.#ports.delete(entry)
    this.#release(entry)
  }

  /** Counts the entry no longer among those of the host that told it. */
  #release(entry: Entry): void {
    if (entry.toldBy !== undefined) this.#reputation.released(entry.toldBy)
    entry.toldBy = undefined
  }

  /** Whether an address must wait, which it then does. */
  #holdBack(entry: Entry, pace: DialPace, now: number): boolean {
    if (sourceOf(entry) === 'manual') return false
    if (entry.dialKeys === 'unknown') entry.dialKeys = dialKeys(entry.address)
    const readyAt = entry.dialKeys === undefined ? now : pace.readyAt(entry.dialKeys, now, entry.proven)
    if (readyAt <= now) return false
    entry.readyAt = readyAt
    this.#wakeAt = undefined
    return true
  }

  #connect(address: PeerAddress): Entry | undefined {
    const entry = this.#change(address, 'connected')
    if (entry?.toldBy === undefined) return entry
    this.#reputation.reached(entry.toldBy)
    this.#release(entry)
    return entry
  }

  #priority(entry: Entry): number {
    if (this.#own !== undefined && entry.priorityVersion !== this.#own.version) {
      entry.priorityVersion = this.#own.version
      entry.priority = this.#own.priority(entry.address)
    }
    return entry.priority
  }

  #change(address: PeerAddress, state: State): Entry | undefined {
    const entry = this.#entries.get(addressKey(address))
    if (entry === undefined) return undefined
    entry.state = state
    if (state !== 'idle') entry.uninteresting = false
    else if (this.#forgotten.has(sourceOf(entry))) this.#delete(entry)
    this.#wakeAt = undefined
    return entry
  }
}

function isAcceptable(
  { host, port }: PeerAddress,
  reach: AddressScope,
  source: PeerSource,
  told: AddressScope
): boolean {
  if (!Number.isInteger(port) || port < 1 || port > 65535) return false
  // A name may mean any address, `localhost` this machine.
  if (!isAddress(host)) return source === 'manual' && host.length > 0 && host.length < 256
  if (reach === 'unusable') return false
  // Addresses of trackers, LSD and magnet links are scope-checked by their callers.
  return (source !== 'pex' && source !== 'dht') || mayTell(told, reach)
}
