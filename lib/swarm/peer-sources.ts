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
import { newTiers, TrackerSet, type TrackerTiers } from './tracker-set.ts'

/** Options and callbacks of {@link PeerSources}. */
export interface PeerSourcesOptions extends TorrentDhtOptions {
  /** 20 bytes. */
  readonly infoHash: Uint8Array
  readonly host: SwarmHost
  readonly state: SwarmState
  /** Returns the byte counts of this run, for trackers. */
  counters(): AnnounceCounters
  onPeers(): void
  onWarning(warning: Error): void
}

/**
 * The candidate sources of one torrent: trackers, the DHT, LSD (BEP 14), PEX (BEP 11), the program and the resume record. Sources that
 * announce us are used only while the torrent runs. A private torrent (BEP 27) uses only some of them.
 */
export class PeerSources {
  /** Collects the candidates of all sources. */
  readonly book: AddressBook
  readonly trackers: TrackerSet
  /** Undefined when PEX is off. */
  readonly exchange: PeerExchange | undefined
  /** Trackers that were added by the program, a magnet link or the resume record. */
  readonly #addedTrackers: string[] = []
  /** Trackers that were added before `start`, which announces to them. */
  #earlyTrackers: TrackerTiers = []
  readonly #options: PeerSourcesOptions
  readonly #discovery: Discovery
  readonly #dht: DhtLink
  #stopLsd: (() => void) | undefined
  #started = false

  /** Contacts no source before `start`. */
  constructor(options: PeerSourcesOptions) {
    const { infoHash, host, isSeed, isHungry, counters, onPeers, onWarning } = options
    this.#options = options
    this.book = new AddressBook({ random: Math.random, own: host.own, dials: host.dials })
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

  /** Whether the torrent is known to be private (BEP 27). */
  get private(): boolean {
    return this.#discovery.private
  }

  /** Whether this torrent may use the DHT and announce it to peers. */
  get allowsDht(): boolean {
    return this.#dht.allowed
  }

  /** Returns `asking` while the DHT is queried, `idle` while it is not, and `off` if it must not be used. */
  get dhtState(): 'off' | 'idle' | 'asking' {
    return this.#dht.state
  }

  /** Whether a source may be used; private torrents restrict them. */
  allows(source: PeerSource): boolean {
    return this.#discovery.allows(source)
  }

  /** Starts all sources; `announce` holds the trackers that the torrent names. */
  start(announce: TrackerTiers): void {
    this.#started = true
    this.trackers.add(announce)
    this.trackers.add(this.#earlyTrackers)
    this.update()
  }

  /** Starts or stops each source to match the state of the torrent. */
  update(): void {
    const { away, stopped, filesKnown, closed } = this.#options.state
    this.trackers.setActive(!away)
    // A stopped torrent must not be announced. While its metadata is unknown, it still looks for peers that have it.
    if (stopped && filesKnown) {
      this.#stopLsd?.()
      this.#stopLsd = undefined
      this.#dht.stop()
    } else if (this.#started && !closed) {
      this.#startLsd()
      this.#dht.start()
    }
  }

  /** Adds candidates, as `host:port` or objects. With `remote` trust, such as from a magnet link, addresses are scope-checked. */
  addPeers(addresses: readonly (string | PeerAddress)[], trust: Trust): void {
    const list = addresses.map((one) => (typeof one === 'string' ? parseAddress(one) : one))
    if (trust === 'program') this.#discovery.add('manual', list)
    else this.#discovery.add('magnet', usableAddresses(list, this.#options.host.localAddress))
  }

  /**
   * Adds trackers; announces begin with `start`. Returns whether any is new; before `start`, the trackers that the torrent names are not
   * known yet. URLs from the program may name any host.
   */
  addTrackers(trackers: TrackerTiers, trust: Trust): boolean {
    if (trust === 'program') this.trackers.trust(trackers.flat())
    if (!this.#started) {
      // An announce now would report that everything is missing, and the torrent may still have to wait in the queue.
      const tiers = newTiers(trackers, new Set(this.#addedTrackers))
      this.#earlyTrackers = [...this.#earlyTrackers, ...tiers]
      this.#addedTrackers.push(...tiers.flat())
      return tiers.length > 0
    }
    const added = this.trackers.add(trackers)
    this.#addedTrackers.push(...added)
    return added.length > 0
  }

  /** Adds DHT bootstrap nodes that the torrent names (BEP 5), if it may use the DHT. Call it once `private` is known. */
  addNodes(nodes: readonly string[]): void {
    this.#dht.addNodes(nodes)
  }

  /** Makes the torrent private (BEP 27): stops the sources that private torrents may not use, and drops their candidates. */
  makePrivate(): void {
    this.#discovery.makePrivate()
    this.exchange?.stop()
  }

  /** Adds a connected peer to the DHT and PEX. Call it before our extended handshake is sent. */
  meet(peer: Peer): void {
    this.#dht.meet(peer)
    this.exchange?.addPeer(peer)
  }

  /** Returns fields of the resume record: known peers as `host:port`, best first, added trackers, and whether the torrent is private. */
  remember(): Pick<ResumeRecord, 'peers' | 'trackers' | 'private'> {
    const peers = this.book.serialise().map(formatAddress)
    return { peers, trackers: this.#addedTrackers, private: this.private }
  }

  /** Adds the peers and trackers that `remember` returned in an earlier run. */
  recall({ peers, trackers }: Pick<ResumeRecord, 'peers' | 'trackers'>): void {
    this.#discovery.add('resume', peers.flatMap(readAddress))
    this.addTrackers(trackers, 'remote')
  }

  /** Stops all sources; resolves when the trackers have answered or timed out. Idempotent. */
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

/** Parses an address of a resume record; returns an empty list if it is malformed. */
function readAddress(text: string): PeerAddress[] {
  try {
    return [parseAddress(text)]
  } catch {
    return []
  }
}
