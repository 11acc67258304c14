import { canonicalHost, isAddress, type PeerAddress } from '../util/address.ts'
import { LazyMap, LazySet } from '../util/lazy-collections.ts'
import { type AddressScope, addressKey, hostKey, mayTell, scopeOf } from './address-scope.ts'
import { backOff, nameAgain, type Outcome, postponedMs, waitAfter } from './back-off.ts'
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
import { type DialRules, type DialVariant, variantsOf } from './dial-variant.ts'
import { type HintedAddress, type Hints, hintsOf } from './hints.ts'
import { limits } from './limits.ts'
import { type PeerSource, peerSources } from './peer-source.ts'
import { SourceReputation } from './source-reputation.ts'
import { UnprovenPorts } from './unproven-ports.ts'

const plainTcp: DialRules = { encryption: false, transports: ['tcp'] }

/** A peer address worth dialling. */
export interface Candidate {
  readonly address: PeerAddress
  /** Most trustworthy source that named it. */
  readonly source: PeerSource
  /** Consecutive failures so far. */
  readonly failures: number
  /** Unproven hints of other peers about it (PEX flags). */
  readonly hints: Hints
  /** Ways to dial it, in the order to try them. */
  readonly variants: readonly DialVariant[]
}

/** Options of an {@link AddressBook}. */
export interface AddressBookOptions {
  /** Returns a number in [0, 1), which decides between equal candidates. */
  readonly random: () => number
  /** Maximum number of addresses; default 1,000. */
  readonly limit?: number
  /** Ways to dial an address; default plain TCP. */
  readonly dials?: DialRules
  /** Ranks peers that are otherwise equal (BEP 40); without it, chance decides. */
  readonly own?: PeerPriorities
}

/** Priorities of peers (BEP 40). */
export interface PeerPriorities {
  /** A number that changes whenever priorities may have changed. */
  readonly version: number
  /** Returns the priority of a peer; the higher one is dialled first. */
  priority(address: PeerAddress): number
}

/**
 * Addresses that a torrent knows, with the order in which to dial them. Pure: time and randomness are
 * arguments.
 *
 * Addresses come from the network and are not trusted:
 * - Unusable addresses are refused. So are private and loopback addresses from PEX and DHT, unless their
 *   source is equally local.
 * - One PEX peer may fill at most a fifth of the book with addresses that were not reached yet, and is ignored for a
 *   while when its addresses do not answer. DHT nodes are not tracked like that.
 * - Each address has one entry. When the book is full, a worse entry is evicted or the new address is
 *   refused. Entries that were given up are evicted first.
 */
export class AddressBook {
  readonly #random: () => number
  readonly #limit: number
  readonly #entries = new LazyMap<string, Entry>()
  readonly #ports = new UnprovenPorts<Entry>()
  readonly #bans = new Bans()
  /** Forgotten sources: their entries are deleted once they are no longer in use. */
  readonly #forgotten = new LazySet<PeerSource>()
  readonly #reputation: SourceReputation
  readonly #own: PeerPriorities | undefined
  readonly #dials: DialRules
  /** Earliest time at which an idle entry is ready; undefined when it must be recomputed. */
  #wakeAt: number | undefined

  constructor({ random, limit = 1000, own, dials = plainTcp }: AddressBookOptions) {
    this.#random = random
    this.#limit = limit
    this.#reputation = new SourceReputation(limit * limits.sourceShare)
    this.#own = own
    this.#dials = dials
  }

  /** Number of addresses, including those of connected peers. */
  get size(): number {
    return this.#entries.size
  }

  /** Returns counts by state, and the addresses that are dialled next, with the wait of each. */
  inspect(now: number): CandidateInspection {
    return inspectEntries(this.#entries.values(), this.#bans.size, now)
  }

  /** Returns the number of addresses from each source. */
  counts(): Record<PeerSource, number> {
    const counts = { manual: 0, lsd: 0, tracker: 0, incoming: 0, magnet: 0, resume: 0, dht: 0, pex: 0 }
    for (const entry of this.#entries.values()) counts[sourceOf(entry)]++
    return counts
  }

  /**
   * Adds an address.
   *
   * `toldBy` is the host that named the address (PEX); it is held responsible for all that it names. `scope`
   * is the scope of the source: by default the scope of `toldBy`, or public without one.
   *
   * Naming a waiting address again makes it ready at once. For LSD, it must not have been tried in the last 5
   * seconds; for sources other than LSD and manual, it must have been given up, and not tried in the last hour. Flags
   * are merged into those of a known address, unless `toldBy` is ignored.
   * @returns whether there is something new to dial; false if the address is known, refused or banned.
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
    const toldByKey = toldBy && hostKey(toldBy)
    const isHeard = toldByKey === undefined || this.#reputation.listensTo(toldByKey, now)
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
    if (toldByKey !== undefined) this.#reputation.told(toldByKey)
    const zoned = address.host.includes('%')
    const host = zoned ? address.host : canonicalHost(address.host)
    const entry = newEntry({
      address: { host, port: address.port },
      key,
      host: limitedHost,
      rank,
      readyAt: now,
      toldBy: toldByKey,
      hints: address.flags ?? 0
    })
    this.#entries.set(key, entry)
    this.#ports.add(entry)
    this.#wakeAt = Math.min(this.wakeAt, now)
    return true
  }

  /**
   * Returns the best peer to dial now: fewest failures, then best source, then longest untried, then priority
   * (BEP 40), then chance. Returns the same peer until `dialling` is called. Addresses that `pace` delays are
   * skipped until it allows them; manual addresses are exempt.
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
    const { address, failures, worked } = best
    const hints = hintsOf(best.hints)
    return {
      address,
      source: sourceOf(best),
      failures,
      hints,
      variants: variantsOf(this.#dials, hints, worked)
    }
  }

  /** Earliest time (ms, may be in the past) at which `next` returns an address, or `Infinity`. */
  get wakeAt(): number {
    if (this.#wakeAt === undefined) {
      this.#wakeAt = Number.POSITIVE_INFINITY
      for (const { state, readyAt } of this.#entries.values()) {
        if (state === 'idle' && readyAt < this.#wakeAt) this.#wakeAt = readyAt
      }
    }
    return this.#wakeAt
  }

  /** Records that a dial to the address begins. */
  dialling(address: PeerAddress, now: number): void {
    const entry = this.#change(address, 'dialling')
    if (entry !== undefined) entry.triedAt = now
  }

  /** Records that the dial led to a connection by this variant. With `isProof`, the address counts as proven. */
  connected(address: PeerAddress, isProof = true, variant?: DialVariant): void {
    const entry = this.#connect(address)
    if (entry === undefined) return
    if (variant !== undefined) entry.worked = variant
    if (!isProof) return
    entry.proven = true
    this.#ports.delete(entry)
  }

  /**
   * Marks the listen address of an incoming peer as connected, so that it is not dialled; `disconnected` must
   * follow. Returns false for unknown addresses. Also returns false for addresses with a dial or connection
   * of their own, because any peer on that host may announce that port.
   */
  markConnected(address: PeerAddress): boolean {
    if (this.#entries.get(addressKey(address))?.state !== 'idle') return false
    this.#connect(address)
    return true
  }

  /**
   * Records that the dial or the handshake failed, and schedules a retry with back-off. After six consecutive
   * failures the peer is given up, unless it once sent us data or its source is manual, magnet or resume.
   */
  failed(address: PeerAddress, now: number): void {
    const entry = this.#change(address, 'idle')
    if (entry === undefined) return
    // Only the first failure of an address counts against its source, however often it is retried.
    if (entry.toldBy !== undefined && entry.failures === 0) this.#reputation.failed(entry.toldBy, now)
    if (backOff(entry, 1, now)) this.#release(entry)
  }

  /** Records that the address could not be dialled now, for which it is not at fault. */
  postponed(address: PeerAddress, now: number): void {
    const entry = this.#change(address, 'idle')
    if (entry !== undefined) entry.readyAt = now + postponedMs
  }

  /** Records that the connection ended, and schedules the next dial. */
  disconnected(address: PeerAddress, now: number, outcome: Outcome): void {
    const entry = this.#change(address, 'idle')
    if (entry === undefined) return
    if (waitAfter(entry, outcome, now)) this.#release(entry)
  }

  /** Makes peers ready that were uninteresting: the torrent wants pieces again. */
  revive(now: number): void {
    for (const entry of this.#entries.values()) {
      if (entry.state === 'idle' && entry.uninteresting) entry.readyAt = Math.min(entry.readyAt, now)
    }
    this.#wakeAt = undefined
  }

  /**
   * Bans a host for good, in both directions; in IPv6, its whole public /64. On loopback, where many peers
   * share one host, the ban covers host and port. Keeps the latest 4,096 bans.
   */
  ban(address: PeerAddress): void {
    const isBanned = this.#bans.add(address)
    for (const entry of this.#entries.values()) {
      if (isBanned(entry.address)) this.#delete(entry)
    }
    this.#wakeAt = undefined
  }

  /** Returns whether the host is banned. */
  isBanned(address: PeerAddress): boolean {
    return this.#bans.has(address)
  }

  /** Records that the address is our own: it is removed and never added again. */
  self(address: PeerAddress): void {
    const key = addressKey(address)
    this.#bans.addSelf(key)
    const entry = this.#entries.get(key)
    if (entry !== undefined) this.#delete(entry)
    this.#wakeAt = undefined
  }

  /** Deletes the entries that only this source named; entries in use are deleted when their use ends. */
  forget(source: PeerSource): void {
    this.#forgotten.add(source)
    for (const entry of this.#entries.values()) {
      if (sourceOf(entry) === source && entry.state === 'idle') this.#delete(entry)
    }
    this.#wakeAt = undefined
  }

  /**
   * Returns the best addresses for a resume record: connected ones, then those that sent data, then those
   * that never failed.
   */
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

  /** Evicts the worst of these idle entries, if it is worse than a new one of this rank. */
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

  /** Stops counting the entry towards the host that named it. */
  #release(entry: Entry): void {
    if (entry.toldBy !== undefined) this.#reputation.released(entry.toldBy)
    entry.toldBy = undefined
  }

  /** Returns whether `pace` delays an address, and if so postpones its `readyAt`. */
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
  // A host name may resolve to any address, `localhost` to this machine.
  if (!isAddress(host)) return source === 'manual' && host.length > 0 && host.length < 256
  if (reach === 'unusable') return false
  // Addresses of trackers, LSD and magnet links are scope-checked by their callers.
  return (source !== 'pex' && source !== 'dht') || mayTell(told, reach)
}
