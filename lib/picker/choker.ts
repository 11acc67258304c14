import type { PeerNumber } from '../util/indices.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import { byGiving, type Peer, type Standing } from './choke-order.ts'
import { byTurns } from './seed-turns.ts'
import { uploadSlots } from './upload-slots.ts'

/** What a {@link Choker} does to peers. */
export interface ChokerSink {
  /** Stops serving the peer. */
  choke(id: PeerNumber): void
  /** Begins to serve the peer. */
  unchoke(id: PeerNumber): void
}

/** How fast a peer has been in the last seconds. */
export interface PeerRates {
  /** Payload that it sent us. */
  readonly downloadBytesPerSecond: number
  /** Payload that we sent it. */
  readonly uploadBytesPerSecond: number
  /** Payload that it sent us, and that we sent it, since it is connected; bytes. */
  readonly downloaded: number
  readonly uploaded: number
}

/** What a {@link Choker} is made of. */
export interface ChokerOptions {
  /** Takes the decisions. */
  readonly sink: ChokerSink
  /** Tells a peer's rates; asked in rounds and when a place is given away. */
  readonly rates: (id: PeerNumber) => PeerRates
  /** Returns [0, 1). */
  readonly random: () => number
  /** A fixed number of places; without it the upload rate decides, see {@link uploadSlots}. */
  readonly slots?: number
  /** Upload limit, default `Infinity`; 0 chokes all. */
  readonly uploadLimit?: number
  /** Bytes after which a peer's turn may end while we seed; default 5 MiB, about 20 common pieces. */
  readonly quotaBytes?: number
  /** Bytes after which the optimistic turn of a peer ends that gives nothing; two pieces should fit. Default 512 KiB. */
  readonly optimisticBytes?: number
}

/** Milliseconds between two rounds (BEP 3). */
export const roundMs: number = 10_000
/** Milliseconds that an optimistic unchoke lasts (BEP 3). */
export const optimisticMs: number = 30_000
/** A peer connected for less than this counts three times in the draw for the optimistic place (BEP 3). */
export const newcomerMs: number = 60_000

/** While we download, places are for half of those who want one, at least so many: where nobody waits, nobody need give. */
const leastScarce = 4
/** Who took this much and gave less than an eighth of what it took takes only, until it gives more. */
const takerBytes = 128 * 1024
const takerRatio = 8
/** What it counts in the draw for the optimistic place. */
const takerChance = 1 / 3

/**
 * Decides whom we serve (BEP 3): the peers that give us most, or while we seed each peer in turn, and one at random.
 *
 * A round every 10 s ranks all; in between a place that is free goes at once to a peer that wants it. Peers that snub
 * us get the optimistic place only. Pure: time and chance are arguments, `wakeAt` says when `round` is due.
 */
export class Choker {
  readonly #sink: ChokerSink
  readonly #rates: (id: PeerNumber) => PeerRates
  readonly #random: () => number
  readonly #fixedSlots: number | undefined
  readonly #quotaBytes: number
  readonly #optimisticBytes: number
  readonly #peers = new LazyMap<number, Peer>()
  /** How many of them are interested. */
  #interestedCount = 0
  #limit: number
  /** How many peers the upload suffices for. */
  #roomFor: number
  #slots: number
  #seeding = false
  #optimisticAt = 0
  #wakeAt = Number.POSITIVE_INFINITY

  constructor({ sink, rates, random, slots, uploadLimit, quotaBytes, optimisticBytes }: ChokerOptions) {
    this.#sink = sink
    this.#rates = rates
    this.#random = random
    this.#fixedSlots = slots
    this.#quotaBytes = quotaBytes ?? 5 * 2 ** 20
    this.#optimisticBytes = optimisticBytes ?? 512 * 1024
    this.#limit = uploadLimit ?? Number.POSITIVE_INFINITY
    this.#roomFor = uploadSlots(this.#limit, 0)
    this.#slots = slots ?? this.#roomFor
  }

  /** When the next round is due (ms), or `Infinity` without peers. */
  get wakeAt(): number {
    return this.#wakeAt
  }

  /** How many interested peers are served at a time, the optimistic one included. */
  get slots(): number {
    return this.#slots
  }

  /** Whether peers take turns instead of earning their place; counts from the next round on. */
  get seeding(): boolean {
    return this.#seeding
  }

  set seeding(seeding: boolean) {
    this.#seeding = seeding
  }

  /** The upload limit in bytes per second; counts from the next round on. */
  get uploadLimit(): number {
    return this.#limit
  }

  set uploadLimit(bytesPerSecond: number) {
    this.#limit = bytesPerSecond
  }

  /** Whether any peer is interested. */
  get wanted(): boolean {
    return this.#interestedCount > 0
  }

  /** Whether the peer is served now. */
  isUnchoked(id: PeerNumber): boolean {
    return (this.#peers.get(id)?.standing ?? 'choked') !== 'choked'
  }

  /** A peer connected; it is choked and not interested, as every connection begins. */
  addPeer(id: PeerNumber, now: number): void {
    if (this.#peers.has(id)) return
    if (this.#peers.size === 0) this.#wakeAt = now + roundMs
    this.#peers.set(id, {
      id,
      connectedAt: now,
      standing: 'choked',
      interested: false,
      asked: false,
      uploadOnly: false,
      snubbed: false,
      changedAt: now,
      sent: 0,
      download: 0,
      upload: 0,
      takes: false,
      gives: false,
      tie: 0
    })
  }

  /** A peer is gone; its place is given away at once, and the sink hears nothing more of it. */
  removePeer(id: PeerNumber, now: number): void {
    const peer = this.#peers.get(id)
    if (peer === undefined) return
    this.#peers.delete(id)
    if (peer.interested) this.#interestedCount--
    if (this.#peers.size === 0) this.#wakeAt = Number.POSITIVE_INFINITY
    this.#limitSlots()
    this.#fill(now)
  }

  /** A peer said that it is interested, or no longer. */
  interested(id: PeerNumber, interested: boolean, now: number): void {
    const peer = this.#peers.get(id)
    if (peer === undefined) return
    peer.asked = interested
    this.#interested(peer, interested && !peer.uploadOnly, now)
  }

  /** A peer will not download any more (BEP 21), or will after all: one that will not gets no place whatever it says. */
  uploadOnly(id: PeerNumber, uploadOnly: boolean, now: number): void {
    const peer = this.#peers.get(id)
    if (peer === undefined) return
    peer.uploadOnly = uploadOnly
    this.#interested(peer, peer.asked && !uploadOnly, now)
  }

  #limitSlots(): void {
    this.#slots = this.#fixedSlots ?? this.#roomFor
    if (this.#fixedSlots !== undefined || this.#seeding) return
    this.#slots = Math.min(this.#slots, Math.max(leastScarce, Math.ceil(this.#interestedCount / 2)))
  }

  #interested(peer: Peer, interested: boolean, now: number): void {
    if (peer.interested === interested) return
    peer.interested = interested
    this.#interestedCount += interested ? 1 : -1
    this.#limitSlots()
    if (!interested) {
      if (peer.standing !== 'choked') peer.standing = 'idle'
      this.#fill(now)
      return
    }
    const free = this.#freeStanding(peer)
    if (free !== undefined) this.#set(peer, free, now)
    else if (peer.standing === 'extra') this.#displace(peer, now)
    // Who leaves its place and comes back would else be served beside the one that took it.
    else if (peer.standing === 'idle') this.#set(peer, 'choked', now)
  }

  /** A peer keeps us waiting for blocks, or no longer; counts from the next round on. */
  snubbed(id: PeerNumber, snubbed: boolean): void {
    const peer = this.#peers.get(id)
    if (peer !== undefined) peer.snubbed = snubbed
  }

  /**
   * Payload was sent to a peer. One that only takes loses its place to those who give, and keeps the chance of the optimistic one;
   * that ends too when it has taken enough to have something to give.
   */
  sent(id: PeerNumber, bytes: number, now: number): void {
    const peer = this.#peers.get(id)
    if (peer === undefined) return
    peer.sent += bytes
    const isOptimistic = peer.standing === 'optimistic' && peer.sent >= this.#optimisticBytes
    if (this.#seeding || (peer.standing !== 'regular' && !isOptimistic)) return
    this.#measure(peer)
    if (this.#mayEarn(peer)) return
    this.#set(peer, 'choked', now)
    this.#fill(now)
  }

  /** Ranks all peers and gives the places anew. */
  round(now: number): void {
    if (this.#peers.size === 0) return
    this.#wakeAt = now + roundMs
    const peers = [...this.#peers.values()]
    let upload = 0
    for (const peer of peers) {
      this.#measure(peer)
      upload += peer.upload
    }
    this.#roomFor = uploadSlots(this.#limit, upload)
    this.#limitSlots()
    const regular = new Set(this.#rank(peers, now).slice(0, this.#regularSlots()))
    const optimistic = this.#drawOptimistic(peers, regular, now)
    const spare = this.#unpaid(peers, regular, optimistic)
    const changes: [Peer, Standing][] = peers.map((peer) => [
      peer,
      regular.has(peer) ? 'regular' : peer === optimistic ? 'optimistic' : (spare.get(peer) ?? 'choked')
    ])
    // Chokes first, so that never more than the places are taken.
    for (const [peer, standing] of changes) if (standing === 'choked') this.#set(peer, standing, now)
    for (const [peer, standing] of changes) if (standing !== 'choked') this.#set(peer, standing, now)
  }

  /** One place is for chance when there are two or more. */
  #regularSlots(): number {
    return this.#slots > 1 ? this.#slots - 1 : this.#slots
  }

  #measure(peer: Peer): void {
    const rates = this.#rates(peer.id)
    peer.download = rates.downloadBytesPerSecond
    peer.upload = rates.uploadBytesPerSecond
    peer.gives = rates.downloaded > 0
    peer.takes = rates.uploaded >= takerBytes && rates.uploaded > takerRatio * rates.downloaded
    peer.tie = this.#random()
  }

  /** Whether a peer may have a regular place while we download: one that only takes may while nobody who gives wants it. */
  #mayEarn(peer: Peer): boolean {
    if (peer.snubbed) return false
    if (!peer.takes) return true
    for (const other of this.#peers.values())
      if (other.gives && !other.takes && other.interested) return false
    return true
  }

  /** Who may have a regular place, best first. */
  #rank(peers: readonly Peer[], now: number): Peer[] {
    if (this.#seeding)
      return byTurns(
        peers.filter(({ interested }) => interested),
        this.#quotaBytes,
        now
      )
    return byGiving(peers.filter((peer) => peer.interested && this.#mayEarn(peer)))
  }

  /** The optimistic peer of this round: the one there is for 30 s, then one drawn from those without a place. */
  #drawOptimistic(peers: readonly Peer[], regular: ReadonlySet<Peer>, now: number): Peer | undefined {
    if (this.#slots < 2) return undefined
    const waiting = peers.filter((peer) => peer.interested && !regular.has(peer))
    const current = waiting.find((peer) => peer.standing === 'optimistic')
    if (current !== undefined && now - this.#optimisticAt < optimisticMs) return current
    // Who had a place until now comes last, or a turn that ended would go on here.
    const others = waiting.filter((peer) => peer.standing === 'choked')
    if (others.length === 0) return current ?? waiting[0]
    this.#optimisticAt = now
    const weight = (peer: Peer): number => {
      if (!this.#seeding && peer.takes) return takerChance
      return now - peer.connectedAt < newcomerMs ? 3 : 1
    }
    let left = this.#random() * others.reduce((sum, peer) => sum + weight(peer), 0)
    return others.find((peer) => (left -= weight(peer)) < 0) ?? others.at(-1)
  }

  /** Peers without interest that stay or become unchoked: the fast ones, and the idle ones while places are free. */
  #unpaid(
    peers: readonly Peer[],
    regular: ReadonlySet<Peer>,
    optimistic: Peer | undefined
  ): Map<Peer, Standing> {
    const unpaid = new Map<Peer, Standing>()
    const bored = peers.filter((peer) => !peer.interested && !peer.uploadOnly)
    if (!this.#seeding && this.#slots > 0) {
      let slowest = regular.size < this.#regularSlots() ? 0 : Number.POSITIVE_INFINITY
      for (const peer of regular) slowest = Math.min(slowest, peer.download)
      const fast = bored.filter((peer) => !peer.snubbed && peer.download > slowest)
      for (const peer of byGiving(fast).slice(0, this.#slots)) unpaid.set(peer, 'extra')
    }
    let free = this.#slots - regular.size - (optimistic === undefined ? 0 : 1)
    for (const peer of bored) {
      if (free <= 0) break
      if (peer.standing === 'choked' || unpaid.has(peer)) continue
      unpaid.set(peer, 'idle')
      free--
    }
    return unpaid
  }

  /** Gives free places to interested peers between two rounds. */
  #fill(now: number): void {
    let regular = 0
    let optimistic = 0
    const waiting: Peer[] = []
    for (const peer of this.#peers.values()) {
      if (peer.standing === 'regular') regular++
      else if (peer.standing === 'optimistic') optimistic++
      else if (peer.interested) waiting.push(peer)
    }
    if (waiting.length === 0 || regular + optimistic >= this.#slots) return
    for (const peer of waiting) this.#measure(peer)
    for (const peer of this.#rank(waiting, now)) {
      const standing = this.#freeStanding(peer)
      if (standing === undefined) return
      this.#set(peer, standing, now)
    }
  }

  /** The kind of place that is free for the peer, if any. */
  #freeStanding(peer: Peer): Standing | undefined {
    let regular = 0
    let optimistic = 0
    for (const { standing } of this.#peers.values()) {
      if (standing === 'regular') regular++
      else if (standing === 'optimistic') optimistic++
    }
    if (regular < this.#regularSlots() && (this.#seeding || this.#mayEarn(peer))) return 'regular'
    return optimistic === 0 && regular < this.#slots && this.#slots > 1 ? 'optimistic' : undefined
  }

  /** A fast peer that became interested takes the place of the slowest regular one (BEP 3). */
  #displace(peer: Peer, now: number): void {
    let slowest: Peer | undefined
    for (const other of this.#peers.values()) {
      if (other.standing === 'regular' && (slowest === undefined || other.download < slowest.download))
        slowest = other
    }
    if (slowest === undefined) this.#set(peer, 'choked', now)
    else {
      this.#set(slowest, 'choked', now)
      this.#set(peer, 'regular', now)
    }
  }

  #set(peer: Peer, standing: Standing, now: number): void {
    // What the sink does may have removed the peer.
    if (this.#peers.get(peer.id) !== peer) return
    const before = peer.standing
    if (before === standing) return
    peer.standing = standing
    if (standing === 'optimistic') this.#optimisticAt = now
    if (standing === 'choked') {
      peer.changedAt = now
      this.#sink.choke(peer.id)
    } else if (before === 'choked') {
      peer.changedAt = now
      peer.sent = 0
      this.#sink.unchoke(peer.id)
    }
  }
}
