import type { AddressBook, Candidate } from '../discovery/address-book.ts'
import { siteOf } from '../discovery/address-scope.ts'
import type { Outcome } from '../discovery/back-off.ts'
import type { ConnectionBudget } from '../discovery/connection-budget.ts'
import type { DialVariant } from '../discovery/dial-variant.ts'
import { Dialer } from '../discovery/dialer.ts'
import { limits } from '../discovery/limits.ts'
import type { OwnAddress } from '../discovery/own-address.ts'
import type { PeerSource } from '../discovery/peer-source.ts'
import { wireHash } from '../metainfo/info-hashes.ts'
import type { Connection } from '../net/connection.ts'
import { formatAddress, type PeerAddress, parseAddress } from '../util/address.ts'
import { toHex } from '../util/bytes.ts'
import { monotonicMs } from '../util/clock.ts'
import { debug } from '../util/debug.ts'
import { TorrentError } from '../util/errors.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import type { WireOptions } from '../wire/wire-events.ts'
import { Connector, type ConnectorOptions } from './connector.ts'
import { countedConnection, peerToEvict } from './eviction.ts'
import { Member } from './member.ts'
import { Peer } from './peer.ts'
import type { PeerConnection } from './pending-handshakes.ts'

const log = debug('dial')
const banLog = debug('ban')
const evictLog = debug('evict')
/** If our dial is answered within this time after the same peer dialled us, both dials count as simultaneous. */
const crossedMs = 10_000
const tickMs = 1000

/** Options and callbacks of a {@link PeerManager}. */
export interface PeerManagerOptions extends ConnectorOptions {
  readonly book: AddressBook
  readonly budget: ConnectionBudget
  /** Computes the priority of peers (BEP 40). */
  readonly own: Pick<OwnAddress, 'priority'>
  /** Whether peers of this source may connect. Asked again after a dial, because the torrent may turn out to be private meanwhile. */
  allows(source: PeerSource): boolean
  /** Returns the options for new wires, as far as they are known. */
  wireOptions(): WireOptions
  /** Both handshakes are done; no other message was sent or received. */
  onPeer(peer: Peer): void
  /** The peer's `upload_only` state changed (BEP 21). */
  onUploadOnly(peer: Peer): void
  /** The peer disconnected; `isUnneeded` if neither side was at fault. */
  onGone(peer: Peer, isUnneeded: boolean): void
  /** Called once a second while there are peers. */
  onTick(now: number): void
}

/** Manages the peers of one torrent: decides which are connected and for how long. */
export class PeerManager {
  readonly peers: LazyMap<number, Peer> = new LazyMap()
  readonly dialer: Dialer
  readonly #options: PeerManagerOptions
  readonly #connector: Connector
  /** Records of the peers, by `Peer.id`. */
  readonly #members = new LazyMap<number, Member>()
  #closed = false
  #lastId = 0
  #dialTimer: NodeJS.Timeout | undefined
  #tickTimer: NodeJS.Timeout | undefined
  #stopWaiting: (() => void) | undefined
  #paused = false

  constructor(options: PeerManagerOptions) {
    this.#options = options
    this.dialer = new Dialer({ book: options.book, budget: options.budget })
    this.#connector = new Connector(options, {
      wireOptions: () => options.wireOptions(),
      isWanted: ({ source }) => options.allows(source),
      onRetry: (candidate) => {
        if (this.#peersAt(candidate.address).length > 0) return false
        this.dialer.retried(candidate, monotonicMs())
        return true
      },
      onConnected: (candidate, variant, peer) => this.#connected(candidate, variant, peer),
      onSelf: (candidate) => {
        options.book.self(candidate.address)
        this.#failed(candidate)
      },
      onFailed: (candidate) => this.#failed(candidate),
      onPostponed: (candidate) => this.#failed(candidate, true)
    })
  }

  /** Dials all candidates that are due, and schedules the next call. */
  dial(): void {
    clearTimeout(this.#dialTimer)
    if (this.#closed || this.#paused) return
    const now = monotonicMs()
    for (let next = this.dialer.nextDial(now); next !== undefined; next = this.dialer.nextDial(now)) {
      this.#connector.connect(next)
    }
    const at = this.dialer.wakeAt(now)
    if (at === Number.POSITIVE_INFINITY) {
      this.#stopWaiting ??= this.#options.budget.onRelease(() => {
        this.#stopWaiting = undefined
        setImmediate(() => this.dial())
      })
    } else {
      this.#dialTimer = setTimeout(() => this.dial(), Math.max(10, at - now))
      this.#dialTimer.unref()
    }
  }

  /** Pauses or resumes dialling; connections stay open. */
  setDialling(dialling: boolean): void {
    this.#paused = !dialling
    this.dial()
  }

  /** Accepts an incoming peer of this torrent, or closes it. Its wire must not have sent anything. */
  accept(peer: PeerConnection): void {
    const { connection, wire, peerId } = peer
    const { remote } = connection
    // Check this first, or a peer that is already connected could evict others.
    const refusal = this.#refusal(peerId, connection)
    const mayJoin = refusal === undefined
    let release = mayJoin ? this.dialer.accept(remote) : undefined
    if (mayJoin && release === undefined && this.#makeRoom(remote)) release = this.dialer.accept(remote)
    if (release === undefined) {
      const isBanned = this.#options.book.isBanned(remote)
      refuse(peer, refusal ?? (isBanned ? 'its host is banned' : 'there is no room for this peer'))
      return
    }
    this.#replaceTwin(peerId)
    const { infoHashes, peerId: ownId } = this.#options
    wire.handshake(wireHash(infoHashes), ownId, this.#options.wireOptions().dht)
    const member = this.#add(peer, remote, 'incoming', release)
    wire.on('close', () => {
      member.release()
      this.#gone(member)
    })
  }

  /** Records the listening port of an incoming peer, so that it can be dialled after it disconnects. */
  listens({ id }: Peer, port: number): void {
    const member = this.#members.get(id)
    if (member === undefined || !member.peer.connection.incoming || member.listens) return
    const { peer } = member
    const { book } = this.#options
    peer.address = { host: peer.connection.remote.host, port }
    member.listens = true
    book.add(peer.address, 'incoming', monotonicMs())
    member.marksConnected = book.markConnected(peer.address)
  }

  /** Bans a peer that sent bad data, even if it has disconnected, and closes its connections. */
  ban(banKey: string): void {
    if (banLog.enabled) banLog('%s is banned, and its connections are closed', banKey)
    this.#options.book.ban(addressOf(banKey))
    for (const peer of this.peers.values()) {
      if (peer.banKey !== banKey) continue
      this.#options.book.ban(peer.address)
      peer.wire.destroy(new TorrentError('ERR_WIRE_PROTOCOL', `${banKey} sent bad data`))
    }
  }

  /** Closes the connections for which `which` returns true; the peers are not dialled again soon. */
  disconnect(which: (peer: Peer) => boolean): void {
    for (const member of [...this.#members.values()]) {
      if (!which(member.peer)) continue
      member.unneeded = true
      member.peer.wire.destroy()
    }
  }

  /** Closes all connections and stops dialling; idempotent. */
  close(): void {
    this.#closed = true
    clearTimeout(this.#dialTimer)
    clearInterval(this.#tickTimer)
    this.#stopWaiting?.()
    this.#connector.close()
    for (const peer of [...this.peers.values()]) peer.wire.destroy()
    this.dialer.close()
  }

  /** Handles a candidate whose variants all failed, or that was only postponed. */
  #failed({ address }: Candidate, isPostponed = false): void {
    if (isPostponed) this.dialer.postponed(address, monotonicMs())
    else this.dialer.failed(address, monotonicMs())
    this.#keepConnected(address)
    this.dial()
  }

  /** After a dial has ended: if a peer at the same address dialled us meanwhile, the address still counts as connected. */
  #keepConnected(address: PeerAddress): void {
    for (const member of this.#peersAt(address)) {
      if (!member.marksConnected) member.marksConnected = this.#options.book.markConnected(address)
    }
  }

  /** Returns the connected peers that listen at an address. */
  #peersAt({ host, port }: PeerAddress): readonly Member[] {
    return [...this.#members.values()].filter(
      ({ listens, peer: { address } }) => listens && address.port === port && address.host === host
    )
  }

  /** Handles a dialled peer that sent its handshake: keeps it or closes it. */
  #connected({ address, source }: Candidate, variant: DialVariant, peer: PeerConnection): void {
    const { wire, connection, peerId } = peer
    const isAllowed = this.#options.allows(source)
    const refusal = isAllowed ? this.#refusal(peerId, connection) : 'the torrent is private'
    this.dialer.connected(address, refusal === undefined, variant)
    let member: Member | undefined
    let isFault = false
    wire.on('error', (error) => {
      isFault = error instanceof TorrentError && error.code === 'ERR_WIRE_PROTOCOL'
    })
    wire.on('close', () => {
      const outcome: Outcome = isFault ? 'fault' : (member?.outcome ?? 'uninteresting')
      this.dialer.disconnected(address, monotonicMs(), outcome)
      this.#keepConnected(address)
      this.dial()
      if (member !== undefined) this.#gone(member)
    })
    if (refusal !== undefined) {
      refuse(peer, refusal)
      return
    }
    this.#replaceTwin(peerId)
    member = this.#add(peer, address, source, () => {
      this.dialer.disconnected(address, monotonicMs(), 'uninteresting')
    })
  }

  #add(connected: PeerConnection, address: PeerAddress, source: PeerSource, release: () => void): Member {
    const { budget, onPeer, onUploadOnly } = this.#options
    const peer = new Peer(++this.#lastId, connected, address, source, monotonicMs(), onUploadOnly)
    const member = new Member(peer, release)
    this.peers.set(peer.id, peer)
    this.#members.set(peer.id, member)
    if (log.enabled) logEnds(peer)
    const counted = countedConnection(peer, () => this.#evict(member))
    member.uncount = budget.countNetwork(peer.connection.remote.host, counted)
    this.#startTicking()
    onPeer(peer)
    return member
  }

  /**
   * Returns why a peer may not join, or undefined if it may: it is not connected yet, and its site (`siteOf`) has fewer than
   * `limits.peersPerHost` peers. When both sides dial each other at the same time, both must keep the same connection. If the peer has
   * answered on the connection that we dialled, both use it, so it stays. Otherwise the connection dialled by the side with the higher id
   * stays. A new connection replaces an old one only in this case and only from the same host, because any peer can claim a public id.
   */
  #refusal(peerId: Uint8Array, connection: Connection): string | undefined {
    const { peersPerHost } = limits
    const id = toHex(peerId)
    const site = siteOf(connection.remote.host)
    let ofSite = 0
    for (const peer of this.peers.values()) {
      if (site !== undefined && peer.site === site) ofSite++
      if (peer.peerId !== id) continue
      const crossed =
        peer.connection.incoming &&
        !connection.incoming &&
        peer.connection.remote.host === connection.remote.host &&
        monotonicMs() - peer.connectedAt < crossedMs
      if (!crossed || id > toHex(this.#options.peerId)) return 'the peer is already connected'
    }
    return ofSite < peersPerHost ? undefined : `${peersPerHost} peers of its host are already connected`
  }

  /** Closes the other connection of a peer that may join. */
  #replaceTwin(peerId: Uint8Array): void {
    const id = toHex(peerId)
    for (const member of this.#members.values()) {
      const { peer } = member
      if (peer.peerId !== id) continue
      peer.wire.destroy(
        new TorrentError('ERR_WIRE_CLOSED', 'a simultaneous connection with the same peer replaces this one')
      )
      this.#gone(member)
    }
  }

  /**
   * Evicts a peer for a newcomer: one of a network above its share, otherwise one with a lower priority (BEP 40). Returns whether a
   * connection was freed, which takes effect at once.
   */
  #makeRoom(newcomer: PeerAddress): boolean {
    const { book, budget } = this.#options
    if (book.isBanned(newcomer)) return false
    const now = monotonicMs()
    if (budget.makeRoom(newcomer.host, now)) return true
    const loser = peerToEvict(this.peers.values(), newcomer, this.#options, now)
    const member = loser && this.#members.get(loser.id)
    if (member !== undefined) this.#evict(member)
    return member !== undefined
  }

  #evict(member: Member): void {
    if (evictLog.enabled) evictLog('peer %d is evicted: another peer takes its place', member.peer.id)
    member.unneeded = true
    member.peer.wire.destroy(new TorrentError('ERR_WIRE_CLOSED', 'another peer takes its place'))
    this.#gone(member)
    member.release()
  }

  #gone(member: Member): void {
    const { peer } = member
    if (!this.peers.delete(peer.id)) return
    this.#members.delete(peer.id)
    member.uncount?.()
    if (member.marksConnected) this.#options.book.disconnected(peer.address, monotonicMs(), member.outcome)
    this.#options.onGone(peer, member.unneeded)
  }

  #startTicking(): void {
    if (this.#tickTimer !== undefined) return
    this.#tickTimer = setInterval(() => this.#onTick(), tickMs)
    this.#tickTimer.unref()
  }

  #onTick(): void {
    const now = monotonicMs()
    for (const member of this.#members.values()) {
      const { wire } = member.peer
      const state = member.look(now)
      if (state === 'silent') wire.destroy(new TorrentError('ERR_TRANSPORT_TIMEOUT', 'the peer is silent'))
      else if (state === 'keep alive') wire.keepAlive()
    }
    this.#options.onTick(now)
    if (this.peers.size > 0) return
    clearInterval(this.#tickTimer)
    this.#tickTimer = undefined
  }
}

/** Closes the connection of a peer that may not join, and logs why. */
function refuse({ wire, connection: { remote, incoming } }: PeerConnection, reason: string): void {
  if (log.enabled)
    log(
      '%s is refused, %s: %s',
      formatAddress(remote),
      incoming ? 'which dialled us' : 'which we dialled',
      reason
    )
  wire.destroy(new TorrentError('ERR_WIRE_CLOSED', reason))
}

/** Logs the connection of a peer, and later when and why it ends. */
function logEnds({ id, wire, address, source, connectedAt }: Peer): void {
  const how = source === 'incoming' ? 'which dialled us' : `named by ${source}`
  log('peer %d is %s, %s', id, formatAddress(address), how)
  let reason = 'it closed the connection'
  wire.once('error', (error) => {
    reason = error.message
  })
  wire.once('close', () =>
    log('peer %d left after %d ms: %s', id, Math.round(monotonicMs() - connectedAt), reason)
  )
}

/** Returns the address of a ban key: host and port on loopback, otherwise the host with port 0. */
function addressOf(banKey: string): PeerAddress {
  try {
    return parseAddress(banKey)
  } catch {
    return { host: banKey, port: 0 }
  }
}
