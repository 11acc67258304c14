import { setMaxListeners } from 'node:events'
import type { AddressBook, Candidate } from '../discovery/address-book.ts'
import { holderOf, hostKey } from '../discovery/address-scope.ts'
import type { Outcome } from '../discovery/back-off.ts'
import type { ConnectionBudget } from '../discovery/connection-budget.ts'
import { Dialer } from '../discovery/dialer.ts'
import { limits } from '../discovery/limits.ts'
import type { OwnAddress } from '../discovery/own-address.ts'
import type { PeerSource } from '../discovery/peer-source.ts'
import { type InfoHashes, isNamedBy, wireHash } from '../metainfo/info-hashes.ts'
import type { Connection } from '../net/connection.ts'
import { formatAddress, type PeerAddress, parseAddress } from '../util/address.ts'
import { equalBytes, toHex } from '../util/bytes.ts'
import { monotonicMs } from '../util/clock.ts'
import { debug } from '../util/debug.ts'
import { asError, TorrentError } from '../util/errors.ts'
import { LazyMap, LazySet } from '../util/lazy-collections.ts'
import { Wire } from '../wire/wire.ts'
import type { WireOptions } from '../wire/wire-events.ts'
import { peerToEvict, seatOf } from './eviction.ts'
import { Peer } from './peer.ts'
import { join } from './wire-connection.ts'

const log = debug('dial')
const banLog = debug('ban')
const evictLog = debug('evict')
/** How long a connected peer may take for its handshake. */
const handshakeMs = 10_000
/** A dial that is answered within this time after the same peer's own dial came in has crossed it. */
const crossedMs = 10_000
/** A peer that is silent for this long is gone (BEP 3 asks for a keep-alive every two minutes). */
const silenceMs = 130_000
const keepAliveMs = 100_000
const tickMs = 1000

/** What a {@link PeerManager} needs from its torrent. */
export interface PeerManagerOptions {
  /** 20 bytes. */
  readonly infoHashes: InfoHashes
  readonly peerId: Uint8Array
  readonly book: AddressBook
  readonly budget: ConnectionBudget
  /** Tells whose connection counts more. */
  readonly own: Pick<OwnAddress, 'priority'>
  dial(address: PeerAddress, signal: AbortSignal): Promise<Connection>
  /** Whether a peer may be taken that this source has named; a torrent may turn out to be private during a dial. */
  allows(source: PeerSource): boolean
  /** Options of the wires, as far as they are known now. */
  wireOptions(): WireOptions
  /** A peer's handshake is done and ours is sent; nothing else was said. */
  onPeer(peer: Peer): void
  /** The peer will not download any more (BEP 21), or will after all. */
  onUploadOnly(peer: Peer): void
  /** The peer has gone. */
  onGone(peer: Peer): void
  /** Once a second while there are peers. */
  onTick(now: number): void
}

interface Pending {
  readonly wire: Wire
  readonly deadline: number
}

/** The connections of one torrent: whom it dials is the dialer's decision, here it is done, watched and ended. */
export class PeerManager {
  readonly peers: LazyMap<number, Peer> = new LazyMap()
  readonly dialer: Dialer
  readonly #options: PeerManagerOptions
  /** Made for the first dial: most torrents of many have nobody to dial. */
  #abort: AbortController | undefined
  #closed = false
  readonly #pending = new LazySet<Pending>()
  #lastId = 0
  #dialTimer: NodeJS.Timeout | undefined
  #tickTimer: NodeJS.Timeout | undefined
  #stopWaiting: (() => void) | undefined
  #paused = false

  constructor(options: PeerManagerOptions) {
    this.#options = options
    this.dialer = new Dialer({ book: options.book, budget: options.budget })
  }

  /** Dials whom the dialer names, now and whenever it may go on. */
  dial(): void {
    clearTimeout(this.#dialTimer)
    if (this.#closed || this.#paused) return
    const now = monotonicMs()
    for (let next = this.dialer.nextDial(now); next !== undefined; next = this.dialer.nextDial(now)) {
      void this.#connect(next)
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

  /** Takes an incoming connection whose handshake named this torrent; its wire has sent nothing yet. */
  accept(connection: Connection, wire: Wire, peerId: Uint8Array): void {
    // Asked first, or whoever is here already could have others sent away.
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
    wire.handshake(wireHash(this.#options.infoHashes), this.#options.peerId, this.#options.wireOptions().dht)
    const peer = this.#add(wire, connection, connection.remote, 'incoming', undefined)
    peer.leave = release
    wire.on('close', () => {
      release()
      this.#gone(peer)
    })
  }

  /** A peer that has dialled us says where it listens: it need not be dialled while it is here, but may be later. */
  listens(peer: Peer, port: number): void {
    if (!peer.connection.incoming || peer.listens) return
    const { book } = this.#options
    peer.address = { host: peer.connection.remote.host, port }
    peer.listens = true
    book.add(peer.address, 'incoming', monotonicMs())
    peer.claims = book.claim(peer.address)
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
    for (const peer of [...this.peers.values()]) {
      if (!which(peer)) continue
      peer.unneeded = true
      peer.wire.destroy()
    }
  }

  /** Closes every connection and dials nothing more; idempotent. */
  close(): void {
    this.#closed = true
    this.#abort?.abort(new TorrentError('ERR_TORRENT_CLOSED', 'the torrent is closed'))
    clearTimeout(this.#dialTimer)
    clearInterval(this.#tickTimer)
    this.#stopWaiting?.()
    for (const { wire } of this.#pending) wire.destroy()
    for (const peer of [...this.peers.values()]) peer.wire.destroy()
    this.dialer.close()
  }

  async #connect({ address, source }: Candidate): Promise<void> {
    if (log.enabled) log('dial %s, named by %s', formatAddress(address), source)
    const { signal } = this.#dialling()
    let connection: Connection
    try {
      connection = await this.#options.dial(address, signal)
    } catch (error) {
      if (log.enabled) log('dial %s failed: %s', formatAddress(address), asError(error).message)
      this.dialer.failed(address, monotonicMs())
      this.#keepConnected(address)
      this.dial()
      return
    }
    if (signal.aborted || !this.#options.allows(source)) {
      connection.close()
      this.dialer.failed(address, monotonicMs())
      this.dial()
      return
    }
    this.#greet(connection, address, source)
  }

  /** A dial is over, and its end says nothing of a peer that has dialled us meanwhile: that need not be dialled while it is here. */
  #keepConnected({ host, port }: PeerAddress): void {
    for (const peer of this.peers.values()) {
      const { listens, claims, address } = peer
      if (!listens || claims || address.port !== port || address.host !== host) continue
      peer.claims = this.#options.book.claim(address)
    }
  }

  #dialling(): AbortController {
    if (this.#abort === undefined) {
      this.#abort = new AbortController()
      // Each dial under way listens to it.
      setMaxListeners(0, this.#abort.signal)
    }
    return this.#abort
  }

  /** Sends our handshake over a connection that we dialled and waits for the answer. */
  #greet(connection: Connection, address: PeerAddress, source: PeerSource): void {
    const { infoHashes, peerId, book } = this.#options
    const wire = Wire.ofClient(this.#options.wireOptions())
    const sentAt = monotonicMs()
    const pending: Pending = { wire, deadline: sentAt + handshakeMs }
    this.#pending.add(pending)
    this.#tick()
    let peer: Peer | undefined
    let outcome: Outcome | undefined
    wire.on('handshake', (handshake) => {
      this.#pending.delete(pending)
      if (!isNamedBy(infoHashes, handshake.infoHash)) {
        wire.destroy(new TorrentError('ERR_WIRE_PROTOCOL', 'the peer answered for another torrent'))
      } else if (equalBytes(handshake.peerId, peerId)) {
        book.self(address)
        wire.destroy(new TorrentError('ERR_WIRE_CLOSED', 'that was ourselves'))
      } else {
        const isAllowed = this.#options.allows(source)
        const isWelcome = isAllowed && this.#mayJoin(handshake.peerId, connection)
        this.dialer.connected(address, isWelcome)
        if (!isWelcome) {
          outcome = 'uninteresting'
          const reason = isAllowed
            ? 'the peer, or too many of its network, are connected already'
            : 'the torrent is private'
          wire.destroy(new TorrentError('ERR_WIRE_CLOSED', reason))
        } else {
          this.#replaceTwin(handshake.peerId)
          peer = this.#add(wire, connection, address, source, monotonicMs() - sentAt)
          peer.leave = () => this.dialer.disconnected(address, monotonicMs(), 'uninteresting')
        }
      }
    })
    let fault = false
    wire.on('error', (error) => {
      fault = error instanceof TorrentError && error.code === 'ERR_WIRE_PROTOCOL'
    })
    wire.on('close', () => {
      this.#pending.delete(pending)
      const now = monotonicMs()
      this.dialer.failed(address, now)
      outcome ??= fault ? 'fault' : outcomeOf(peer)
      this.dialer.disconnected(address, now, outcome)
      this.#keepConnected(address)
      this.dial()
      if (peer !== undefined) this.#gone(peer)
    })
    join(connection, wire, hostKey(connection.remote.host))
    wire.handshake(wireHash(infoHashes), peerId)
  }

  #add(
    wire: Wire,
    connection: Connection,
    address: PeerAddress,
    source: PeerSource,
    latencyMs: number | undefined
  ): Peer {
    const { onUploadOnly } = this.#options
    const now = monotonicMs()
    const peer = new Peer(++this.#lastId, wire, connection, address, source, latencyMs, now, onUploadOnly)
    this.peers.set(peer.id, peer)
    if (log.enabled) this.#logEnds(peer)
    const seat = seatOf(peer, () => this.#sendAway(peer))
    peer.leaveSeat = this.#options.budget.seat(connection.remote.host, seat)
    this.#tick()
    this.#options.onPeer(peer)
    return peer
  }

  #logEnds({ id, wire, address, source, connectedAt }: Peer): void {
    log(
      'peer %d is %s, %s',
      id,
      formatAddress(address),
      source === 'incoming' ? 'which dialled us' : `named by ${source}`
    )
    let reason = 'it closed the connection'
    wire.once('error', (error) => {
      reason = error.message
    })
    wire.once('close', () =>
      log('peer %d left after %d ms: %s', id, Math.round(monotonicMs() - connectedAt), reason)
    )
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
    for (const peer of this.peers.values()) {
      if (peer.peerId !== id) continue
      peer.wire.destroy(new TorrentError('ERR_WIRE_CLOSED', 'the peer has dialled us at the same time'))
      this.#gone(peer)
    }
  }

  /**
   * Sends away a peer of a network with more than its share, else one that counts less than a newcomer (BEP 40), if there is one; the
   * place is free at once.
   */
  #makeRoom(newcomer: PeerAddress): boolean {
    const { book, budget } = this.#options
    if (book.isBanned(newcomer)) return false
    const now = monotonicMs()
    if (budget.makeRoom(newcomer.host, now)) return true
    const loser = peerToEvict(this.peers.values(), newcomer, this.#options, now)
    if (loser !== undefined) this.#sendAway(loser)
    return loser !== undefined
  }

  #sendAway(peer: Peer): void {
    if (evictLog.enabled) evictLog('peer %d is evicted: another peer takes its place', peer.id)
    peer.unneeded = true
    peer.wire.destroy(new TorrentError('ERR_WIRE_CLOSED', 'another peer takes its place'))
    this.#gone(peer)
    peer.leave?.()
  }

  #gone(peer: Peer): void {
    if (!this.peers.delete(peer.id)) return
    peer.leaveSeat?.()
    if (peer.claims) this.#options.book.disconnected(peer.address, monotonicMs(), outcomeOf(peer))
    this.#options.onGone(peer)
  }

  #tick(): void {
    if (this.#tickTimer !== undefined) return
    this.#tickTimer = setInterval(() => this.#look(), tickMs)
    this.#tickTimer.unref()
  }

  #look(): void {
    const now = monotonicMs()
    for (const { wire, deadline } of this.#pending) {
      if (now > deadline) wire.destroy(new TorrentError('ERR_TRANSPORT_TIMEOUT', 'no handshake came'))
    }
    for (const peer of this.peers.values()) {
      const { wire } = peer
      if (wire.received !== peer.receivedBefore) peer.heardAt = now
      if (wire.sent !== peer.sentBefore) peer.spokeAt = now
      peer.receivedBefore = wire.received
      peer.sentBefore = wire.sent
      if (now - peer.heardAt > silenceMs) {
        wire.destroy(new TorrentError('ERR_TRANSPORT_TIMEOUT', 'the peer is silent'))
      } else if (now - peer.spokeAt > keepAliveMs) wire.keepAlive()
    }
    this.#options.onTick(now)
    if (this.peers.size > 0 || this.#pending.size > 0) return
    clearInterval(this.#tickTimer)
    this.#tickTimer = undefined
  }
}

/** What came of a connection that has ended. */
function outcomeOf(peer: Peer | undefined): Outcome {
  if (peer === undefined || peer.unneeded) return 'uninteresting'
  if (peer.down.total > 0) return 'useful'
  // Who is not complete and has left may come to need us again, as one that had come for the metadata alone.
  return peer.wire.amInterested || !peer.wire.peerSeeding ? 'useless' : 'uninteresting'
}

/** An address that a ban key names: a host, or on loopback host and port. */
function addressOf(banKey: string): PeerAddress {
  try {
    return parseAddress(banKey)
  } catch {
    return { host: banKey, port: 0 }
  }
}
