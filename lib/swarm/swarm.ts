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

/** With fewer peers the DHT is asked again soon. */
const fewPeers = 10

/** Whether more is to be fetched, as far as is known. */
function isFetching(content: SwarmContent | undefined): boolean {
  return content?.activity !== 'seeding' && content?.activity !== 'idle'
}

/** Options and callbacks of a {@link Swarm}. */
export interface SwarmOptions extends Pick<PeerSourcesOptions, 'host' | 'state' | 'counters' | 'onWarning'> {
  readonly infoHashes: InfoHashes
  readonly metadata: SwarmMetadata
  /** A peer has connected. */
  onPeer(peer: Peer): void
  /** A round of the choker comes next: its upload limit is to be set anew, as other torrents may serve by now. */
  onChokeRound(): void
  /** Peers that had nothing for us may have something now. */
  wantAgain(): void
}

/** All peers of a torrent: joins their sources, the peer manager and the extended handshakes, and tells all parts of peers that come and go. */
export class Swarm {
  readonly sources: PeerSources
  readonly manager: PeerManager
  readonly handshakes: ExtendedHandshakes
  readonly #options: SwarmOptions
  /** Undefined until its storage is open. */
  #content: SwarmContent | undefined
  /** Pieces that peers have granted (BEP 6) before it was known which there are. */
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

  /** Options for the wires, as far as they are known. */
  #wireOptions(): WireOptions {
    const layout = this.#content?.layout
    const dht = this.sources.allowsDht
    if (layout === undefined) return { dht }
    return { pieceCount: layout.pieceCount, pieceLength: layout.pieceLength, totalLength: layout.length, dht }
  }

  /** Takes a peer that has dialled us. */
  accept(peer: PeerConnection): void {
    const { host, state } = this.#options
    if (state.closed || state.stopped) {
      peer.wire.destroy()
      return
    }
    peer.connection.moveTo(host.throttles)
    this.manager.accept(peer)
  }

  /** Follows the state of the torrent: dials, keeps or leaves its peers and their sources. */
  update(): void {
    const { metadata, state } = this.#options
    const { stopped, away, waits } = state
    if (away) this.manager.disconnect(() => true)
    // Peers that were disconnected while the torrent had to wait are wanted again.
    else if (!stopped) this.sources.book.revive(monotonicMs())
    this.manager.setDialling(!(stopped || (waits && metadata.known)))
    this.sources.update()
  }

  /** The metadata, or what an earlier run knew of it, says that the torrent is private (BEP 27). */
  makePrivate(): void {
    this.sources.makePrivate()
    // Peers that other sources had named before that was known are no members of the tracker's swarm.
    this.manager.disconnect(({ source }) => !this.sources.allows(source))
  }

  /** The storage is open: peers were told that we have nothing, and not how long the metadata is. */
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

  /** Dials also peers that were disconnected because neither side needed the other. */
  redial(): void {
    this.sources.book.revive(monotonicMs())
    this.manager.dial()
  }

  /** Leaves the swarm; resolves when trackers have heard it or took too long. Idempotent. */
  close(): Promise<void> {
    const goodbyes = this.sources.close()
    this.#options.metadata.close()
    this.manager.close()
    return goodbyes
  }

  /** Lets the wire check what the peer says; no change when it knew. */
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
        if (this.#content === undefined) this.#grant(peer, piece)
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

  #grant(peer: Peer, piece: number): void {
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
    // It was disconnected while the torrent had to wait, and has gone only now.
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
    // Streams may want what is not selected.
    this.handshakes.update()
  }
}
