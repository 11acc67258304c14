import type { PeerNumber } from '../util/indices.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import { byGiving, type Peer, type Standing } from './choke-order.ts'
import { bySlotTime } from './seed-rotation.ts'
import { uploadSlots } from './upload-slots.ts'

/** Messages that a {@link Choker} sends. */
export interface ChokerSink {
  choke(id: PeerNumber): void
  unchoke(id: PeerNumber): void
}

/** Transfer rates of a peer over the last seconds, and its totals. */
export interface PeerRates {
  /** Payload received from the peer. */
  readonly downloadBytesPerSecond: number
  /** Payload sent to the peer. */
  readonly uploadBytesPerSecond: number
  /** Payload bytes received from the peer, and sent to it, since it connected. */
  readonly downloaded: number
  readonly uploaded: number
}

/** Options of a {@link Choker}. */
export interface ChokerOptions {
  /** Receives the decisions. */
  readonly sink: ChokerSink
  /** Returns a peer's rates. Called in each round and when a slot is filled. */
  readonly rates: (id: PeerNumber) => PeerRates
  /** Returns [0, 1). */
  readonly random: () => number
  /** Fixed number of slots. Default: derived from the upload rate, see {@link uploadSlots}. */
  readonly slots?: number
  /** Upload limit in bytes per second; 0 chokes all peers. Default `Infinity`. */
  readonly uploadLimit?: number
  /** Bytes after which a seed may move a slot to another peer. Default 5 MiB, about 20 common pieces. */
  readonly quotaBytes?: number
  /** Bytes after which an optimistic unchoke ends if the peer uploads nothing; should cover two pieces. Default 512 KiB. */
  readonly optimisticBytes?: number
}

/** Milliseconds between two rounds (BEP 3). */
export const roundMs: number = 10_000
/** Duration of an optimistic unchoke, in milliseconds (BEP 3). */
export const optimisticMs: number = 30_000
/** Milliseconds after connecting in which a peer has three times the chance of an optimistic unchoke (BEP 3). */
export const newcomerMs: number = 60_000

/** While downloading, slots cover only half of the interested peers, but at least this many, so that peers have to upload for them. */
const minDownloadSlots = 4
/** A peer that received this many bytes and uploaded less than an eighth of them is a taker, until it uploads more. */
const takerBytes = 128 * 1024
const takerRatio = 8
/** Weight of a taker in the draw for the optimistic unchoke. */
const takerChance = 1 / 3

/**
 * Decides which peers to unchoke (BEP 3): while downloading, the peers that upload to us fastest; while seeding, each peer
 * in rotation; and one peer at random.
 *
 * A round every 10 s ranks all peers. Between rounds, a free slot goes to an interested peer at once. Snubbed peers get
 * the optimistic unchoke only. Pure: time and randomness are arguments, and `wakeAt` says when `round` is due.
 */
export class Choker {
  readonly #sink: ChokerSink
  readonly #rates: (id: PeerNumber) => PeerRates
  readonly #random: () => number
  readonly #fixedSlots: number | undefined
  readonly #quotaBytes: number
  readonly #optimisticBytes: number
  readonly #peers = new LazyMap<number, Peer>()
  /** Number of interested peers. */
  #interestedCount = 0
  #limit: number
  /** Number of slots that the upload rate allows. */
  #affordableSlots: number
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
    this.#affordableSlots = uploadSlots(this.#limit, 0)
    this.#slots = slots ?? this.#affordableSlots
  }

  /** When the next round is due, in milliseconds on the clock of `now`; `Infinity` without peers. */
  get wakeAt(): number {
    return this.#wakeAt
  }

  /** Number of interested peers that are unchoked at a time, including the optimistic one. */
  get slots(): number {
    return this.#slots
  }

  /** Whether slots rotate (seeding) instead of going to the fastest uploaders. Takes effect at the next round. */
  get seeding(): boolean {
    return this.#seeding
  }

  set seeding(seeding: boolean) {
    this.#seeding = seeding
  }

  /** Upload limit in bytes per second. Takes effect at the next round. */
  get uploadLimit(): number {
    return this.#limit
  }

  set uploadLimit(bytesPerSecond: number) {
    this.#limit = bytesPerSecond
  }

  /** Whether any peer is interested. */
  get hasInterested(): boolean {
    return this.#interestedCount > 0
  }

  isUnchoked(id: PeerNumber): boolean {
    return (this.#peers.get(id)?.standing ?? 'choked') !== 'choked'
  }

  /** Adds a connected peer, choked and not interested. */
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

  /** Removes a peer and fills its slot at once. The sink is not called for it again. */
  removePeer(id: PeerNumber, now: number): void {
    const peer = this.#peers.get(id)
    if (peer === undefined) return
    this.#peers.delete(id)
    if (peer.interested) this.#interestedCount--
    if (this.#peers.size === 0) this.#wakeAt = Number.POSITIVE_INFINITY
    this.#limitSlots()
    this.#fill(now)
  }

  /** Records an interested or not interested message. */
  interested(id: PeerNumber, interested: boolean, now: number): void {
    const peer = this.#peers.get(id)
    if (peer === undefined) return
    peer.asked = interested
    this.#interested(peer, interested && !peer.uploadOnly, now)
  }

  /** Records whether a peer is upload-only (BEP 21). An upload-only peer gets no slot, even if it is interested. */
  uploadOnly(id: PeerNumber, uploadOnly: boolean, now: number): void {
    const peer = this.#peers.get(id)
    if (peer === undefined) return
    peer.uploadOnly = uploadOnly
    this.#interested(peer, peer.asked && !uploadOnly, now)
  }

  #limitSlots(): void {
    this.#slots = this.#fixedSlots ?? this.#affordableSlots
    if (this.#fixedSlots !== undefined || this.#seeding) return
    this.#slots = Math.min(this.#slots, Math.max(minDownloadSlots, Math.ceil(this.#interestedCount / 2)))
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
    // A peer that loses interest and regains it would otherwise hold an extra slot beside its successor.
    else if (peer.standing === 'idle') this.#set(peer, 'choked', now)
  }

  /** Records whether a peer snubs us. Takes effect at the next round. */
  snubbed(id: PeerNumber, snubbed: boolean): void {
    const peer = this.#peers.get(id)
    if (peer !== undefined) peer.snubbed = snubbed
  }

  /**
   * Records payload sent to a peer. A taker loses its regular slot to peers that upload and can only get the optimistic one.
   * The optimistic unchoke of a taker ends once it has received enough to have something to upload.
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

  /** Ranks all peers and reassigns the slots. */
  round(now: number): void {
    if (this.#peers.size === 0) return
    this.#wakeAt = now + roundMs
    const peers = [...this.#peers.values()]
    let upload = 0
    for (const peer of peers) {
      this.#measure(peer)
      upload += peer.upload
    }
    this.#affordableSlots = uploadSlots(this.#limit, upload)
    this.#limitSlots()
    const regular = new Set(this.#rank(peers, now).slice(0, this.#regularSlots()))
    const optimistic = this.#drawOptimistic(peers, regular, now)
    const unslotted = this.#chooseUninterested(peers, regular, optimistic)
    const changes: [Peer, Standing][] = peers.map((peer) => [
      peer,
      regular.has(peer) ? 'regular' : peer === optimistic ? 'optimistic' : (unslotted.get(peer) ?? 'choked')
    ])
    // Chokes go first, so that the number of unchoked peers never exceeds the slots.
    for (const [peer, standing] of changes) if (standing === 'choked') this.#set(peer, standing, now)
    for (const [peer, standing] of changes) if (standing !== 'choked') this.#set(peer, standing, now)
  }

  /** Returns the number of regular slots: all but one for the optimistic unchoke, if there are two or more. */
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

  /** Whether a peer may have a regular slot while downloading. A taker may if no interested peer uploads. */
  #mayEarn(peer: Peer): boolean {
    if (peer.snubbed) return false
    if (!peer.takes) return true
    for (const other of this.#peers.values())
      if (other.gives && !other.takes && other.interested) return false
    return true
  }

  /** Returns the peers that may have a regular slot, best first. */
  #rank(peers: readonly Peer[], now: number): Peer[] {
    if (this.#seeding)
      return bySlotTime(
        peers.filter(({ interested }) => interested),
        this.#quotaBytes,
        now
      )
    return byGiving(peers.filter((peer) => peer.interested && this.#mayEarn(peer)))
  }

  /** Returns the optimistic peer of this round: the current one for 30 s, then a random peer without a regular slot. */
  #drawOptimistic(peers: readonly Peer[], regular: ReadonlySet<Peer>, now: number): Peer | undefined {
    if (this.#slots < 2) return undefined
    const waiting = peers.filter((peer) => peer.interested && !regular.has(peer))
    const current = waiting.find((peer) => peer.standing === 'optimistic')
    if (current !== undefined && now - this.#optimisticAt < optimisticMs) return current
    // A peer that held a slot until now comes last, or its slot would go on as an optimistic one.
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

  /** Returns the uninterested peers that stay or become unchoked: the fast uploaders, and idle peers while slots are free. */
  #chooseUninterested(
    peers: readonly Peer[],
    regular: ReadonlySet<Peer>,
    optimistic: Peer | undefined
  ): Map<Peer, Standing> {
    const chosen = new Map<Peer, Standing>()
    const uninterested = peers.filter((peer) => !peer.interested && !peer.uploadOnly)
    if (!this.#seeding && this.#slots > 0) {
      let slowest = regular.size < this.#regularSlots() ? 0 : Number.POSITIVE_INFINITY
      for (const peer of regular) slowest = Math.min(slowest, peer.download)
      const fast = uninterested.filter((peer) => !peer.snubbed && peer.download > slowest)
      for (const peer of byGiving(fast).slice(0, this.#slots)) chosen.set(peer, 'extra')
    }
    let free = this.#slots - regular.size - (optimistic === undefined ? 0 : 1)
    for (const peer of uninterested) {
      if (free <= 0) break
      if (peer.standing === 'choked' || chosen.has(peer)) continue
      chosen.set(peer, 'idle')
      free--
    }
    return chosen
  }

  /** Gives free slots to interested peers between two rounds. */
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

  /** Returns the kind of slot that is free for the peer, or undefined. */
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

  /** Gives the slot of the slowest regular peer to a fast peer that became interested (BEP 3). */
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
    // An earlier call of the sink may have removed the peer.
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
