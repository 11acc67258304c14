import type { AddressBook, Candidate } from '../discovery/address-book.ts'
import { holderOf } from '../discovery/address-scope.ts'
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
import { peerToEvict, seatOf } from './eviction.ts'
import { Member } from './member.ts'
import { Peer } from './peer.ts'
import type { PeerConnection } from './pending-handshakes.ts'

const log = debug('dial')
const banLog = debug('ban')
const evictLog = debug('evict')
/** A dial that is answered within this time after the same peer's own dial came in has crossed it. */
const crossedMs = 10_000
const tickMs = 1000

/** Options and callbacks of a {@link PeerManager}. */
export interface PeerManagerOptions extends ConnectorOptions {
  readonly book: AddressBook
  readonly budget: ConnectionBudget
  /** Tells whose connection counts more. */
  readonly own: Pick<OwnAddress, 'priority'>
  /** Whether a peer may be taken that this source has named; a torrent may turn out to be private during a dial. */
  allows(source: PeerSource): boolean
  /** Options of the wires, as far as they are known now. */
  wireOptions(): WireOptions
  /** A peer's handshake is done and ours is sent; nothing else was said. */
  onPeer(peer: Peer): void
  /** The peer will not download any more (BEP 21), or will after all. */
  onUploadOnly(peer: Peer): void
  /** The peer has gone; without fault of either side if it `isUnneeded`. */
  onGone(peer: Peer, isUnneeded: boolean): void
  /** Once a second while there are peers. */
  onTick(now: number): void
}

/** The peers of one torrent: decides who is connected and for how long. */
export class PeerManager {
  readonly peers: LazyMap<number, Peer> = new LazyMap()
  readonly dialer: Dialer
  readonly #options: PeerManagerOptions
  readonly #connector: Connector
  /** The records of the peers, by the same numbers. */
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
      onRetry: (candidate) => this.dialer.retried(candidate, monotonicMs()),
      onConnected: (candidate, variant, peer) => this.#connected(candidate, variant, peer),
      onSelf: (candidate) => {
        options.book.self(candidate.address)
        this.#failed(candidate)
      },
      onFailed: (candidate) => this.#failed(candidate)
    })
  }

  /** Dials the candidates that the dialer names, now and whenever it may go on. */
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

  /** Stops or allows new dials; connections stay. */
  setDialling(dialling: boolean): void {
    this.#paused = !dialling
    this.dial()
  }

  /** Takes a peer that has dialled us and named this torrent; its wire has sent nothing yet. */
  accept(peer: PeerConnection): void {
    const { connection, wire, peerId } = peer
    // Asked first, or a peer that is connected already could have others evicted.
    const mayJoin = this.#mayJoin(peerId, connection)
    let release = mayJoin ? this.dialer.accept(connection.remote) : undefined
    if (mayJoin && release === undefined && this.#makeRoom(connection.remote)) {
      release = this.dialer.accept(connection.remote)
    }
    if (release === undefined) {
      wire.destroy(new TorrentError('ERR_WIRE_CLOSED', 'there is no room for this peer'))
      return
    }
    this.#replaceTwin(peerId)
    const { infoHashes, peerId: ownId } = this.#options
    wire.handshake(wireHash(infoHashes), ownId, this.#options.wireOptions().dht)
    const member = this.#add(peer, connection.remote, 'incoming', release)
    wire.on('close', () => {
      member.release()
      this.#gone(member)
    })
  }

  /** A peer that has dialled us says where it listens: it need not be dialled while it is here, but may be later. */
  listens({ id }: Peer, port: number): void {
    const member = this.#members.get(id)
    if (member === undefined || !member.peer.connection.incoming || member.listens) return
    const { peer } = member
    const { book } = this.#options
    peer.address = { host: peer.connection.remote.host, port }
    member.listens = true
    book.add(peer.address, 'incoming', monotonicMs())
    member.claims = book.claim(peer.address)
  }

  /** Closes the connections of a peer that sent bad data, and never takes it again, also if it has left meanwhile. */
  ban(banKey: string): void {
    if (banLog.enabled) banLog('%s is banned, and its connections are closed', banKey)
    this.#options.book.ban(addressOf(banKey))
    for (const peer of this.peers.values()) {
      if (peer.banKey !== banKey) continue
      this.#options.book.ban(peer.address)
      peer.wire.destroy(new TorrentError('ERR_WIRE_PROTOCOL', `${banKey} sent bad data`))
    }
  }

  /** Closes connections for which `which` says yes; they are not dialled again soon. */
  disconnect(which: (peer: Peer) => boolean): void {
    for (const member of [...this.#members.values()]) {
      if (!which(member.peer)) continue
      member.unneeded = true
      member.peer.wire.destroy()
    }
  }

  /** Closes every connection and dials nothing more; idempotent. */
  close(): void {
    this.#closed = true
    clearTimeout(this.#dialTimer)
    clearInterval(this.#tickTimer)
    this.#stopWaiting?.()
    this.#connector.close()
    for (const peer of [...this.peers.values()]) peer.wire.destroy()
    this.dialer.close()
  }

  /** No variant of a candidate has led to a handshake. */
  #failed({ address }: Candidate): void {
    this.dialer.failed(address, monotonicMs())
    this.#keepConnected(address)
    this.dial()
  }

  /** A dial is over, and its end says nothing of a peer that has dialled us meanwhile: that need not be dialled while it is here. */
  #keepConnected({ host, port }: PeerAddress): void {
    for (const member of this.#members.values()) {
      const { address } = member.peer
      if (!member.listens || member.claims || address.port !== port || address.host !== host) continue
      member.claims = this.#options.book.claim(address)
    }
  }

  /** A peer that was dialled has answered: it stays, or it leaves again. */
  #connected({ address, source }: Candidate, variant: DialVariant, peer: PeerConnection): void {
    const { wire, connection, peerId } = peer
    const isAllowed = this.#options.allows(source)
    const isWelcome = isAllowed && this.#mayJoin(peerId, connection)
    this.dialer.connected(address, isWelcome, variant)
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
    if (!isWelcome) {
      const reason = isAllowed
        ? 'the peer, or too many of its network, are connected already'
        : 'the torrent is private'
      wire.destroy(new TorrentError('ERR_WIRE_CLOSED', reason))
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
    const seat = seatOf(peer, () => this.#evict(member))
    member.leaveSeat = budget.seat(peer.connection.remote.host, seat)
    this.#tick()
    onPeer(peer)
    return member
  }

  /**
   * Whether a peer is not connected yet, and not one of too many of one holder. When two have dialled each other at the same time,
   * both must keep the same connection: one that we dialled and that was answered stays, for then the peer has taken it, and else
   * the one that the higher id has dialled. So nothing is thrown away that both sides have begun to use. Only then, and for the same
   * host, does a newcomer replace a peer: ids are no secret.
   */
  #mayJoin(peerId: Uint8Array, connection: Connection): boolean {
    const id = toHex(peerId)
    const holder = holderOf(connection.remote.host)
    let places: number = limits.peersPerHost
    for (const peer of this.peers.values()) {
      if (holder !== undefined && peer.holder === holder && --places === 0) return false
      if (peer.peerId !== id) continue
      const crossed =
        peer.connection.incoming &&
        !connection.incoming &&
        peer.connection.remote.host === connection.remote.host &&
        monotonicMs() - peer.connectedAt < crossedMs
      if (!crossed || id > toHex(this.#options.peerId)) return false
    }
    return true
  }

  /** Ends the other connection of a peer that may join. */
  #replaceTwin(peerId: Uint8Array): void {
    const id = toHex(peerId)
    for (const member of this.#members.values()) {
      const { peer } = member
      if (peer.peerId !== id) continue
      peer.wire.destroy(new TorrentError('ERR_WIRE_CLOSED', 'the peer has dialled us at the same time'))
      this.#gone(member)
    }
  }

  /**
   * Evicts a peer of a network with more than its share, else one that counts less than a newcomer (BEP 40), if there is one; its place
   * is free at once.
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
    member.leaveSeat?.()
    if (member.claims) this.#options.book.disconnected(peer.address, monotonicMs(), member.outcome)
    this.#options.onGone(peer, member.unneeded)
  }

  #tick(): void {
    if (this.#tickTimer !== undefined) return
    this.#tickTimer = setInterval(() => this.#look(), tickMs)
    this.#tickTimer.unref()
  }

  #look(): void {
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

/** Logs that a peer is connected, and when and why it leaves. */
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

/** An address that a ban key names: a host, or on loopback host and port. */
function addressOf(banKey: string): PeerAddress {
  try {
    return parseAddress(banKey)
  } catch {
    return { host: banKey, port: 0 }
  }
}
