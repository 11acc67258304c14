import { AddressBook } from '../discovery/address-book.ts'
import { Discovery } from '../discovery/discovery.ts'
import type { PeerSource } from '../discovery/peer-source.ts'
import { usableAddresses } from '../discovery/remote-addresses.ts'
import type { ResumeRecord } from '../storage/resume-record.ts'
import type { AnnounceCounters } from '../tracker/request.ts'
import { formatAddress, type PeerAddress, parseAddress } from '../util/address.ts'
import { monotonicMs } from '../util/clock.ts'
import type { Trust } from '../util/trust.ts'
import { DhtLink } from './dht-link.ts'
import type { Peer } from './peer.ts'
import { PeerExchange } from './peer-exchange.ts'
import type { SwarmHost, TorrentDhtOptions } from './swarm-host.ts'
import type { SwarmState } from './torrent-parts.ts'
import { TrackerSet, type TrackerTiers } from './tracker-set.ts'

/** What {@link PeerSources} ask and tell. */
export interface PeerSourcesOptions extends TorrentDhtOptions {
  /** 20 bytes. */
  readonly infoHash: Uint8Array
  readonly host: SwarmHost
  readonly state: SwarmState
  /** What trackers are told of this run. */
  counters(): AnnounceCounters
  /** There is somebody new to dial. */
  onPeers(): void
  onWarning(warning: Error): void
}

/**
 * Whoever names peers of one torrent: trackers, the DHT, the local network (BEP 14), other peers (BEP 11), the user and the last run.
 * Those that tell others of us are asked only while the torrent takes part; a private one (BEP 27) has but some of them.
 */
export class PeerSources {
  /** Where the addresses go. */
  readonly book: AddressBook
  readonly trackers: TrackerSet
  /** Trackers that the torrent itself does not name. */
  readonly #addedTrackers: string[] = []
  /** Those of them that are announced to from the start on. */
  #early: TrackerTiers = []
  readonly #options: PeerSourcesOptions
  readonly #discovery: Discovery
  readonly #dht: DhtLink
  readonly #exchange: PeerExchange | undefined
  #leaveNeighbours: (() => void) | undefined
  #started = false

  /** Asks nobody before `start`. */
  constructor(options: PeerSourcesOptions) {
    const { infoHash, host, isSeed, isHungry, counters, onPeers, onWarning } = options
    this.#options = options
    this.book = new AddressBook({ random: Math.random, own: host.own })
    this.#discovery = new Discovery({ book: this.book, now: monotonicMs, onPeers, onWarning })
    this.#dht = new DhtLink({ dht: host.dht, discovery: this.#discovery, infoHash, isSeed, isHungry })
    this.trackers = new TrackerSet({
      infoHash,
      host,
      counters,
      onAnnouncement: (announcement) => this.#discovery.attach('tracker', announcement),
      onWarning
    })
    if (host.pex) this.#exchange = new PeerExchange(this.#discovery, isSeed)
  }

  /** Whether `start` was called. */
  get started(): boolean {
    return this.#started
  }

  /** Whether the torrent is private (BEP 27), as far as is known. */
  get private(): boolean {
    return this.#discovery.private
  }

  /** Whether peers may be told that there is a DHT. */
  get allowsDht(): boolean {
    return this.#dht.allowed
  }

  /** Whether a source of this kind may be used. */
  allows(source: PeerSource): boolean {
    return this.#discovery.allows(source)
  }

  /** Begins to ask all of them; `announce` are the trackers that the torrent names. */
  start(announce: TrackerTiers): void {
    this.#started = true
    this.trackers.add(announce)
    this.trackers.add(this.#early)
    this.update()
  }

  /** Asks or leaves each of them, as the state of the torrent says now. */
  update(): void {
    const { away, stopped, filesKnown, closed } = this.#options.state
    this.trackers.setActive(!away)
    // Who lets nobody in must not be found; but without the files also a torrent that is paused looks for them.
    if (stopped && filesKnown) {
      this.#leaveNeighbours?.()
      this.#leaveNeighbours = undefined
      this.#dht.stop()
    } else if (this.#started && !closed) {
      this.#askNeighbours()
      this.#dht.start()
    }
  }

  /** Takes peers, `host:port` or objects, that the program has named, or a magnet link or whoever else is not trusted. */
  addPeers(addresses: readonly (string | PeerAddress)[], trust: Trust): void {
    const list = addresses.map((one) => (typeof one === 'string' ? parseAddress(one) : one))
    if (trust === 'program') this.#discovery.add('manual', list)
    else this.#discovery.add('magnet', usableAddresses(list, this.#options.host.localAddress))
  }

  /** Announces to further trackers, from the start on; whether any is new. Those that the program gives may lead anywhere. */
  addTrackers(trackers: TrackerTiers, trust: Trust): boolean {
    if (trust === 'program') this.trackers.trust(trackers.flat())
    if (!this.#started) {
      // They would hear that everything is missing, and of a torrent that may have to wait its turn.
      this.#early = [...this.#early, ...trackers]
      this.#addedTrackers.push(...trackers.flat())
      return trackers.length > 0
    }
    const added = this.trackers.add(trackers)
    this.#addedTrackers.push(...added)
    return added.length > 0
  }

  /** Takes the ways into the DHT that the torrent names (BEP 5), unless the DHT is not for it; once it is known whether it is private. */
  addNodes(nodes: readonly string[]): void {
    this.#dht.addNodes(nodes)
  }

  /** The metadata, or what an earlier run knew of it, says that the torrent is private: who else names peers is left, and forgotten with them. */
  makePrivate(): void {
    this.#discovery.makePrivate()
    this.#exchange?.stop()
  }

  /** A peer has connected; before our extended handshake is sent. */
  meet(peer: Peer): void {
    this.#dht.meet(peer)
    this.#exchange?.addPeer(peer)
  }

  /** The peer listens at its `address`. */
  listens(peer: Peer): void {
    this.#exchange?.listens(peer)
  }

  /** The peer has gone; without fault of either side if it `isUnneeded`. */
  part(peer: Peer, isUnneeded: boolean): void {
    this.#exchange?.removePeer(peer, isUnneeded)
  }

  /** To be called about once a second while there are peers. */
  tick(now: number): void {
    this.#exchange?.tick(now)
  }

  /** What the resume record says of them: known peers as text, the best first, the trackers that were added, and who is left out. */
  remember(): Pick<ResumeRecord, 'peers' | 'trackers' | 'private'> {
    const peers = this.book.serialise().map(formatAddress)
    return { peers, trackers: this.#addedTrackers, private: this.private }
  }

  /** Takes what `remember` has said to an earlier run. */
  recall({ peers, trackers }: Pick<ResumeRecord, 'peers' | 'trackers'>): void {
    this.#discovery.add('resume', peers.flatMap(readAddress))
    this.addTrackers(trackers, 'remote')
  }

  /** Leaves all of them, and resolves when trackers have heard it or took too long; idempotent. */
  close(): Promise<void> {
    const goodbyes = this.trackers.close()
    this.#discovery.close()
    return goodbyes
  }

  #askNeighbours(): void {
    const { host, infoHash } = this.#options
    if (host.lsd === undefined || this.#leaveNeighbours !== undefined || !this.allows('lsd')) return
    this.#leaveNeighbours = this.#discovery.attach('lsd', host.lsd.peers(infoHash))
  }
}

/** The address in a text of our own making, or none. */
function readAddress(text: string): PeerAddress[] {
  try {
    return [parseAddress(text)]
  } catch {
    return []
  }
}
