import { type InfoHashes, wireHash } from '../metainfo/info-hashes.ts'
import { monotonicMs } from '../util/clock.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import type { WireOptions } from '../wire/wire-events.ts'
import { ExtendedHandshakes } from './extended-handshakes.ts'
import type { Peer } from './peer.ts'
import { PeerManager } from './peer-manager.ts'
import { PeerSources, type PeerSourcesOptions } from './peer-sources.ts'
import type { PeerConnection } from './pending-handshakes.ts'
import type { SwarmContent, SwarmMetadata } from './torrent-parts.ts'

/** With fewer peers, the DHT is queried again soon. */
const fewPeers = 10

/** Whether there is more to download, as far as is known. */
function isFetching(content: SwarmContent | undefined): boolean {
  return content?.activity !== 'seeding' && content?.activity !== 'idle'
}

/** Options and callbacks of a {@link Swarm}. */
export interface SwarmOptions extends Pick<PeerSourcesOptions, 'host' | 'state' | 'counters' | 'onWarning'> {
  readonly infoHashes: InfoHashes
  readonly metadata: SwarmMetadata
  onPeer(peer: Peer): void
  /**
   * Called before a round of the choker if the client has an upload limit. Updates this torrent's share of the limit, because the number
   * of serving torrents may have changed.
   */
  onChokeRound(): void
  /** Called when we want data again: peers that had nothing for us may have something now. */
  wantAgain(): void
}

/**
 * All peers of a torrent. Connects the candidate sources, the peer manager and the extended handshakes, and tells each part when a peer
 * connects or disconnects.
 */
export class Swarm {
  readonly sources: PeerSources
  readonly manager: PeerManager
  readonly handshakes: ExtendedHandshakes
  readonly #options: SwarmOptions
  /** Undefined until the storage is open. */
  #content: SwarmContent | undefined
  /** Allowed-fast pieces (BEP 6) that peers named before the storage was open. */
  readonly #granted = new LazyMap<Peer, Set<number>>()

  constructor(options: SwarmOptions) {
    const { infoHashes, host, state, metadata, counters, wantAgain, onWarning } = options
    this.#options = options
    this.sources = new PeerSources({
      infoHash: wireHash(infoHashes),
      host,
      state,
      isSeed: () => this.#content?.complete === true,
      isHungry: () => isFetching(this.#content) && this.manager.peers.size < fewPeers,
      counters,
      onPeers: () => this.manager.dial(),
      onWarning
    })
    this.manager = new PeerManager({
      infoHashes,
      peerId: host.peerId,
      book: this.sources.book,
      budget: host.connections,
      own: host.own,
      throttles: host.throttles,
      dial: (address, variant, signal) => host.dial(address, variant, signal),
      allows: (source) => this.sources.allows(source),
      wireOptions: () => this.#wireOptions(),
      onPeer: (peer) => this.#onPeer(peer),
      onUploadOnly: (peer) => this.handshakes.heard(peer),
      onGone: (peer, isUnneeded) => this.#onGone(peer, isUnneeded),
      onTick: (now) => this.#onTick(now)
    })
    this.handshakes = new ExtendedHandshakes({
      host,
      manager: this.manager,
      metadataLength: () => metadata.exchange.length,
      wantAgain
    })
  }

  /** Returns the options for new wires, as far as they are known. */
  #wireOptions(): WireOptions {
    const layout = this.#content?.layout
    const dht = this.sources.allowsDht
    if (layout === undefined) return { dht }
    return { pieceCount: layout.pieceCount, pieceLength: layout.pieceLength, totalLength: layout.length, dht }
  }

  /** Accepts an incoming peer, or closes it if the torrent is stopped. */
  accept(peer: PeerConnection): void {
    const { host, state } = this.#options
    if (state.closed || state.stopped) {
      peer.wire.destroy()
      return
    }
    peer.connection.moveTo(host.throttles)
    this.manager.accept(peer)
  }

  /** Applies the state of the torrent to its connections, dialling and candidate sources. */
  update(): void {
    const { metadata, state } = this.#options
    const { stopped, away, waits } = state
    if (away) this.manager.disconnect(() => true)
    // Peers that were disconnected while the torrent waited in the queue are wanted again.
    else if (!stopped) this.sources.book.revive(monotonicMs())
    this.manager.setDialling(!(stopped || (waits && metadata.known)))
    this.sources.update()
  }

  /** Makes the torrent private (BEP 27), as its metadata or resume record says. */
  makePrivate(): void {
    this.sources.makePrivate()
    // Peers from other sources do not belong to the tracker's swarm.
    this.manager.disconnect(({ source }) => !this.sources.allows(source))
  }

  /** Called when the storage is open: sends our pieces and the metadata length to peers that connected before. */
  begin(content: SwarmContent): void {
    this.#content = content
    this.handshakes.begin(content)
    for (const peer of this.manager.peers.values()) {
      this.#tellLayout(peer, content)
      content.haves.catchUp(peer)
      this.handshakes.send(peer)
      content.addPeer(peer, this.#granted.get(peer) ?? [])
    }
    this.#granted.clear()
  }

  /** Lifts the back-off of peers that were disconnected because neither side needed the other, and dials. */
  redial(): void {
    this.sources.book.revive(monotonicMs())
    this.manager.dial()
  }

  /** Closes all connections and sources; resolves when the trackers have answered or timed out. Idempotent. */
  close(): Promise<void> {
    const goodbyes = this.sources.close()
    this.#options.metadata.close()
    this.manager.close()
    return goodbyes
  }

  /** Gives the wire the lengths of the torrent for its checks; no effect if it has them. */
  #tellLayout({ wire }: Peer, { layout }: SwarmContent): void {
    wire.setPieceCount(layout.pieceCount, layout.pieceLength, layout.length)
  }

  #onPeer(peer: Peer): void {
    const { host, state, metadata, onPeer } = this.#options
    const { wire, connection } = peer
    const content = this.#content
    if (content === undefined) {
      wire.haveNone()
      wire.on('allowed-fast', (piece) => {
        if (this.#content === undefined) this.#saveGrant(peer, piece)
      })
    } else {
      // The storage may have opened during the handshake.
      this.#tellLayout(peer, content)
      content.haves.begin(peer)
    }
    metadata.exchange.addPeer(peer)
    this.sources.meet(peer)
    this.handshakes.send(peer)
    content?.addPeer(peer, [])
    wire.on('extended-handshake', ({ port, yourIp }) => {
      if (yourIp !== undefined) host.own.told(connection.remote.host, yourIp)
      if (port === undefined) return
      this.manager.listens(peer, port)
      this.sources.exchange?.listens(peer)
    })
    this.handshakes.listen(peer)
    onPeer(peer)
    if (state.away) this.manager.disconnect((other) => other === peer)
  }

  #saveGrant(peer: Peer, piece: number): void {
    const granted = this.#granted.get(peer)
    if (granted === undefined) this.#granted.set(peer, new Set([piece]))
    else granted.add(piece)
  }

  #onGone(peer: Peer, isUnneeded: boolean): void {
    const { state, metadata } = this.#options
    metadata.exchange.removePeer(peer)
    this.#granted.delete(peer)
    this.handshakes.removePeer(peer)
    this.#content?.removePeer(peer)
    this.sources.exchange?.removePeer(peer, isUnneeded)
    const isWanted = !state.stopped && !state.closed && this.#content?.done !== true
    // The peer was disconnected while the torrent waited in the queue, and the torrent runs again.
    if (isUnneeded && isWanted) this.redial()
  }

  #onTick(now: number): void {
    const { metadata, host, onChokeRound } = this.#options
    metadata.exchange.wake()
    this.sources.exchange?.tick(now)
    const content = this.#content
    if (content === undefined) return
    if (host.uploadLimit !== Number.POSITIVE_INFINITY && content.uploads.isDue(now)) onChokeRound()
    content.tick(now)
    // A stream may read files that are not selected, which changes our `upload_only` state.
    this.handshakes.update()
  }
}
