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
  /** Bytes of the metadata; undefined while it is unknown. */
  metadataLength(): number | undefined
  /** Peers that had nothing for us may have something now. */
  wantAgain(): void
}

/**
 * Our extended handshakes (BEP 10), which name the client, and messages that say whether we will download anything (BEP 21). Two
 * peers that only upload are of no use to each other and disconnect.
 */
export class ExtendedHandshakes {
  readonly #options: ExtendedHandshakesOptions
  /** Peers that were told last that we will download nothing. */
  readonly #told = new LazySet<Peer>()
  /** Undefined until its storage is open. */
  #content: SwarmContent | undefined
  #wasUploadOnly = false

  constructor(options: ExtendedHandshakesOptions) {
    this.#options = options
  }

  /** The storage is open. */
  begin(content: SwarmContent): void {
    this.#content = content
  }

  /** Sends our extended handshake: again when the metadata has become known. */
  send(peer: Peer): void {
    const { host, metadataLength } = this.#options
    const uploadOnly = this.#saysUploadOnly
    this.#noteTold(peer, uploadOnly)
    peer.wire.extendedHandshake({
      version: `piecewise/${version}`,
      port: host.port,
      yourIp: peer.connection.remote.host,
      metadataSize: metadataLength(),
      uploadOnly
    })
  }

  /** Hears whether the peer will download anything. */
  listen(peer: Peer): void {
    const { wire } = peer
    wire.on('bitfield', () => this.heard(peer))
    wire.on('have', () => wire.peerSeeding && this.heard(peer))
  }

  /** The peer may have said whether it will download anything. */
  heard(peer: Peer): void {
    this.#content?.uploads.setUploadOnly(peer)
    if (this.#isUploadOnly && peer.uploadOnly) this.#options.manager.disconnect((other) => other === peer)
  }

  /** The peer has gone. */
  removePeer(peer: Peer): void {
    this.#told.delete(peer)
  }

  /** Tells peers when we begin or cease to download, and disconnects peers that only upload when we do too. */
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

  /** The same as peers are told: a super-seed shows no pieces, and must not be taken for a peer that is of no use. */
  get #saysUploadOnly(): boolean {
    return this.#isUploadOnly && this.#content?.haves.hides === false
  }
}
