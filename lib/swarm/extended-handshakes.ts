import { LazySet } from '../util/lazy-collections.ts'
import { version } from '../util/version.ts'
import type { Peer } from './peer.ts'
import type { PeerManager } from './peer-manager.ts'
import type { SwarmHost } from './swarm-host.ts'
import type { SwarmContent } from './torrent-parts.ts'

/** Options and callbacks of {@link ExtendedHandshakes}. */
export interface ExtendedHandshakesOptions {
  readonly host: SwarmHost
  readonly manager: PeerManager
  /** Length of the metadata in bytes; undefined while it is unknown. */
  metadataLength(): number | undefined
  /** Called when we want data again: peers that had nothing for us may have something now. */
  wantAgain(): void
}

/**
 * Sends our extended handshakes (BEP 10), and `upload_only` messages when we begin or stop to download (BEP 21). Disconnects peers that
 * only upload while we only upload too.
 */
export class ExtendedHandshakes {
  readonly #options: ExtendedHandshakesOptions
  /** Peers whose latest message from us said `upload_only`. */
  readonly #told = new LazySet<Peer>()
  /** Undefined until the storage is open. */
  #content: SwarmContent | undefined
  #wasUploadOnly = false

  constructor(options: ExtendedHandshakesOptions) {
    this.#options = options
  }

  /** Sets the content once the storage is open. */
  begin(content: SwarmContent): void {
    this.#content = content
  }

  /** Sends our extended handshake; call it again once the metadata is known. */
  send(peer: Peer): void {
    const { host, metadataLength } = this.#options
    const uploadOnly = this.#saysUploadOnly
    this.#noteTold(peer, uploadOnly)
    peer.wire.extendedHandshake({
      version: `piecewise/${version}`,
      port: host.port === 0 ? undefined : host.port,
      yourIp: peer.connection.remote.host,
      metadataSize: metadataLength(),
      uploadOnly
    })
  }

  /** Watches whether the peer becomes a seed. */
  listen(peer: Peer): void {
    const { wire } = peer
    wire.on('bitfield', () => this.heard(peer))
    wire.on('have', () => wire.peerSeeding && this.heard(peer))
  }

  /** Applies a possible change of a peer's `upload_only` state; disconnects the peer if both sides only upload. */
  heard(peer: Peer): void {
    this.#content?.uploads.setUploadOnly(peer)
    if (this.#isUploadOnly && peer.uploadOnly) this.#options.manager.disconnect((other) => other === peer)
  }

  /** Forgets a peer that disconnected. */
  removePeer(peer: Peer): void {
    this.#told.delete(peer)
  }

  /** Tells peers when our `upload_only` state changes; disconnects peers that only upload when we start to only upload. */
  update(): void {
    const { manager, wantAgain } = this.#options
    const isUploadOnly = this.#isUploadOnly
    for (const peer of manager.peers.values()) this.#tell(peer, this.#saysUploadOnly)
    if (isUploadOnly === this.#wasUploadOnly) return
    this.#wasUploadOnly = isUploadOnly
    if (isUploadOnly) manager.disconnect((peer) => peer.uploadOnly)
    else wantAgain()
  }

  #tell(peer: Peer, uploadOnly: boolean): void {
    if (uploadOnly === this.#told.has(peer)) return
    this.#noteTold(peer, uploadOnly)
    peer.tellUploadOnly(uploadOnly)
  }

  #noteTold(peer: Peer, uploadOnly: boolean): void {
    if (uploadOnly) this.#told.add(peer)
    else this.#told.delete(peer)
  }

  get #isUploadOnly(): boolean {
    return this.#content?.uploadOnly === true
  }

  /** The state that peers are told. A super-seed shows no pieces, so `upload_only` would make it look useless. */
  get #saysUploadOnly(): boolean {
    return this.#isUploadOnly && this.#content?.haves.hides === false
  }
}
