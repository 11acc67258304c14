import type { Discovery } from '../discovery/discovery.ts'
import { PexPolicy } from '../discovery/pex.ts'
import { monotonicMs } from '../util/clock.ts'
import { debug } from '../util/debug.ts'
import { TorrentError } from '../util/errors.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import { PexExtension, type PexHandlers, type PexMessage, pexFlags } from '../wire/ut-pex.ts'
import type { Peer } from './peer.ts'

const log = debug('pex')

/** Callbacks of a {@link Contact}. */
interface ContactEvents {
  onReady(contact: Contact): void
  onPeers(contact: Contact, message: PexMessage): void
}

/** A peer and its PEX extension. */
class Contact implements PexHandlers {
  readonly peer: Peer
  readonly extension: PexExtension
  readonly #events: ContactEvents

  constructor(peer: Peer, events: ContactEvents) {
    this.peer = peer
    this.#events = events
    this.extension = peer.wire.use(new PexExtension(peer.wire, this))
  }

  onReady(): void {
    this.#events.onReady(this)
  }

  onPeers(message: PexMessage): void {
    this.#events.onPeers(this, message)
  }
}

/** Sends each peer the addresses of the others, and adds the addresses that peers send to discovery (BEP 11). */
export class PeerExchange implements ContactEvents {
  readonly #discovery: Discovery
  readonly #isComplete: () => boolean
  readonly #policy = new PexPolicy()
  readonly #contacts = new LazyMap<Peer, Contact>()
  #stopped = false

  /** `isComplete` returns whether we need no seeds. */
  constructor(discovery: Discovery, isComplete: () => boolean) {
    this.#discovery = discovery
    this.#isComplete = isComplete
  }

  /** Adds a peer. Call it before our extended handshake is sent. */
  addPeer(peer: Peer): void {
    if (this.#stopped) return
    this.#contacts.set(peer, new Contact(peer, this))
    if (!peer.connection.incoming) this.listens(peer)
  }

  /** Records that the peer listens at its `address`, so that other peers may be told. */
  listens(peer: Peer): void {
    if (this.#stopped) return
    this.#policy.contact(peer.id, peer.address, () => flagsOf(peer))
  }

  /** Forgets a peer; `isUnneeded` if neither side was at fault. */
  removePeer(peer: Peer, isUnneeded: boolean): void {
    this.#contacts.delete(peer)
    this.#policy.leave(peer.id, isUnneeded)
  }

  /** Sends the messages that are due. Call it about once a second while there are peers. */
  tick(now: number): void {
    for (const contact of this.#contacts.values()) this.#tell(contact, now)
  }

  /** Stops for good because the torrent is private; our next extended handshake withdraws the extension. */
  stop(): void {
    this.#stopped = true
    for (const { extension } of this.#contacts.values()) extension.announced = false
    this.#contacts.clear()
  }

  /** @internal Called when the peer supports the extension. */
  onReady(contact: Contact): void {
    const now = monotonicMs()
    const { peer } = contact
    this.#policy.join(peer.id, peer.connection.remote.host, now)
    // Wait until the rest of the peer's extended handshake is processed.
    queueMicrotask(() => this.#tell(contact, now))
  }

  #tell({ peer, extension }: Contact, now: number): void {
    if (this.#stopped || !extension.supported || peer.wire.destroyed) return
    const message = this.#policy.next(peer.id, now)
    if (message !== undefined) extension.send(message)
  }

  /** @internal Called when the peer sends addresses. */
  onPeers({ peer }: Contact, message: PexMessage): void {
    const toldBy = peer.connection.remote.host
    const peers = this.#policy.hear(peer.id, message, monotonicMs(), this.#isComplete())
    if (peers === 'flood')
      throw new TorrentError('ERR_WIRE_LIMIT', 'the peer sends peer exchange messages too often')
    if (log.enabled) log('%s sent %d peers, %d accepted', toldBy, message.added.length, peers.length)
    this.#discovery.add(
      'pex',
      peers.map(({ address, flags }) => ({ ...address, flags })),
      { toldBy }
    )
  }
}

function flagsOf({ wire, connection }: Peer): number {
  const { peerHandshake, peerSeeding } = wire
  let flags = 0
  if (peerSeeding || peerHandshake?.uploadOnly === true) flags |= pexFlags.uploadOnly
  if ((peerHandshake?.extensions.get('ut_holepunch') ?? 0) !== 0) flags |= pexFlags.holepunch
  if (!connection.incoming) flags |= pexFlags.reachable
  if (connection.encryption !== 'none') flags |= pexFlags.encryption
  return flags
}
