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

/** Options and callbacks of {@link PeerSources}. */
export interface PeerSourcesOptions extends TorrentDhtOptions {
  /** 20 bytes. */
  readonly infoHash: Uint8Array
  readonly host: SwarmHost
  readonly state: SwarmState
  /** The counts of this run that trackers are told. */
  counters(): AnnounceCounters
  /** There is a new candidate. */
  onPeers(): void
  onWarning(warning: Error): void
}

/**
 * The sources of peers of one torrent: trackers, the DHT, the local network (BEP 14), other peers (BEP 11), the user and the last run.
 * Sources that tell others of us are asked only while the torrent runs; a private torrent (BEP 27) has only some of them.
 */
export class PeerSources {
  /** Where the addresses go. */
  readonly book: AddressBook
  readonly trackers: TrackerSet
  /** Undefined when peers are not told of each other. */
  readonly exchange: PeerExchange | undefined
  /** Trackers that the torrent itself does not name. */
  readonly #addedTrackers: string[] = []
  /** Added trackers that are announced to from the start on. */
  #early: TrackerTiers = []
  readonly #options: PeerSourcesOptions
  readonly #discovery: Discovery
  readonly #dht: DhtLink
  #stopLsd: (() => void) | undefined
  #started = false

  /** Asks no source before `start`. */
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
    if (host.pex) this.exchange = new PeerExchange(this.#discovery, isSeed)
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

  /** Whether the DHT is asked for peers. */
  get dhtState(): 'off' | 'idle' | 'asking' {
    return this.#dht.state
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
    // A torrent that accepts no peers must not be found; but without the files also a paused one looks for them.
    if (stopped && filesKnown) {
      this.#stopLsd?.()
      this.#stopLsd = undefined
      this.#dht.stop()
    } else if (this.#started && !closed) {
      this.#startLsd()
      this.#dht.start()
    }
  }

  /** Takes peers, `host:port` or objects, that the program has named, or a source that is not trusted, such as a magnet link. */
  addPeers(addresses: readonly (string | PeerAddress)[], trust: Trust): void {
    const list = addresses.map((one) => (typeof one === 'string' ? parseAddress(one) : one))
    if (trust === 'program') this.#discovery.add('manual', list)
    else this.#discovery.add('magnet', usableAddresses(list, this.#options.host.localAddress))
  }

  /** Announces to further trackers, from the start on; returns whether any is new. URLs that the program gives may lead anywhere. */
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

  /** The metadata, or what an earlier run knew of it, says that the torrent is private: ends all other sources and forgets their peers. */
  makePrivate(): void {
    this.#discovery.makePrivate()
    this.exchange?.stop()
  }

  /** A peer has connected; before our extended handshake is sent. */
  meet(peer: Peer): void {
    this.#dht.meet(peer)
    this.exchange?.addPeer(peer)
  }

  /** Returns their part of the resume record: known peers as text, the best first, trackers that were added, and whether the torrent is private. */
  remember(): Pick<ResumeRecord, 'peers' | 'trackers' | 'private'> {
    const peers = this.book.serialise().map(formatAddress)
    return { peers, trackers: this.#addedTrackers, private: this.private }
  }

  /** Takes what `remember` has returned in an earlier run. */
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

  #startLsd(): void {
    const { host, infoHash } = this.#options
    if (host.lsd === undefined || this.#stopLsd !== undefined || !this.allows('lsd')) return
    this.#stopLsd = this.#discovery.attach('lsd', host.lsd.peers(infoHash))
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
