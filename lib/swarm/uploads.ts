import { blockLength, type Layout } from '../metainfo/layout.ts'
import { Choker } from '../picker/choker.ts'
import { Suggester } from '../picker/suggester.ts'
import type { ReadCache } from '../storage/read-cache.ts'
import { isBytes } from '../util/bytes.ts'
import { monotonicMs } from '../util/clock.ts'
import { debug } from '../util/debug.ts'
import { asError } from '../util/errors.ts'
import type { PeerNumber, PieceIndex } from '../util/indices.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import { allowedFastSet } from '../wire/allowed-fast.ts'
import type { PeerRequest } from '../wire/peer-requests.ts'
import { DepartingBlocks } from './departing-blocks.ts'
import type { Peer } from './peer.ts'
import type { ServingTorrents } from './serving-torrents.ts'

const log = debug('choke')
const storageLog = debug('storage')
/** Seconds for which a peer counts as a reader after a request. */
const readerSeconds = 10
/** Minimum bytes per optimistic slot; at least two pieces. */
const leastOptimistic = 512 << 10
/** Pieces that a new peer may fetch before it has anything to give (BEP 6). */
const allowedFastCount = 10
/** Requests of a peer that are refused at once in each second; further ones wait for its end, for some ask again at once. */
const promptRefusals = 64
/** Changes of interest that are followed at once in each second: each may have all slots given anew. */
const promptChanges = 32

interface Serving {
  readonly peer: Peer
  /** Whether it was told of pieces that it may request while it is choked. */
  granted: boolean
  /** How many of its requests were refused in this second. */
  refusals: number
  /** How often its interest has changed in this second. */
  changes: number
  /** Blocks that the connection may not have sent yet. */
  readonly departing: DepartingBlocks
  /** Bytes of blocks that its wire has sent and that are counted. */
  counted: number
  /** Seconds for which it still counts as a reader; 0 when it does not. */
  reads: number
  /** Whether the oldest request waits for storage. */
  reading: boolean
  /** Whether its wire takes no more answers for now. */
  full: boolean
}

/** Callbacks of {@link Uploads}. */
export interface UploadEvents {
  /** The connected peers by their numbers. */
  readonly peers: ReadonlyMap<number, Peer>
  /** Whether a piece may be served. */
  serves(piece: PieceIndex): boolean
  /** Whether choked peers may fetch a few pieces. */
  grants(): boolean
  /** Payload bytes went out. */
  sent(peer: Peer, bytes: number): void
  /** Storage failed to give a block that is had. */
  unreadable(piece: PieceIndex, error: Error): void
}

/** Answers the requests of peers. The choker decides which peers may ask; blocks come from the read cache in order. */
export class Uploads {
  readonly choker: Choker
  readonly #infoHash: Uint8Array
  readonly #layout: Layout
  readonly #cache: ReadCache
  readonly #events: UploadEvents
  readonly #servingTorrents: ServingTorrents
  /** Whether this torrent counts among those. */
  #serves = false
  readonly #serving = new LazyMap<number, Serving>()
  /** How many of them read. */
  #readers = 0
  #limit: number
  #guides = false
  /** Made when it is needed: most torrents have few peers or are in many hands. */
  #suggester: Suggester | undefined

  /** `infoHash` has 20 bytes, `uploadLimit` is in bytes per second; `servingTorrents` hears when peers begin or cease to want something. */
  constructor(
    infoHash: Uint8Array,
    layout: Layout,
    cache: ReadCache,
    uploadLimit: number,
    servingTorrents: ServingTorrents,
    events: UploadEvents
  ) {
    this.#infoHash = infoHash
    this.#layout = layout
    this.#cache = cache
    this.#servingTorrents = servingTorrents
    this.#events = events
    this.#limit = uploadLimit
    this.choker = new Choker({
      sink: {
        choke: (id) => {
          if (log.enabled) log('peer %d: we choke it', id)
          events.peers.get(id)?.wire.choke()
        },
        unchoke: (id) => {
          if (log.enabled) log('peer %d: we unchoke it', id)
          this.#suggest(id, (suggester) => suggester.unchoked(id))
          events.peers.get(id)?.wire.unchoke()
        }
      },
      rates: (id) => {
        const now = monotonicMs()
        const peer = events.peers.get(id)
        return {
          downloadBytesPerSecond: peer?.down.rate(now) ?? 0,
          uploadBytesPerSecond: peer?.up.rate(now) ?? 0,
          downloaded: peer?.down.total ?? 0,
          uploaded: peer?.up.total ?? 0
        }
      },
      random: Math.random,
      uploadLimit,
      optimisticBytes: Math.max(leastOptimistic, 2 * layout.pieceLength)
    })
  }

  /** Takes a peer whose handshake is done. */
  addPeer(peer: Peer): void {
    const { wire, id } = peer
    const serving: Serving = {
      peer,
      granted: false,
      refusals: 0,
      changes: 0,
      departing: new DepartingBlocks(this.#cache),
      counted: 0,
      reads: 0,
      reading: false,
      full: false
    }
    this.#serving.set(id, serving)
    wire.answerLeft = (data, sent) => this.#left(serving, data, sent)
    this.choker.addPeer(id, monotonicMs())
    wire.on('interested', () => this.#changed(serving))
    wire.on('not-interested', () => this.#changed(serving))
    wire.on('request', (piece, offset, length) => {
      if (!this.#mayServe(piece)) {
        if (serving.refusals++ < promptRefusals) wire.reject(piece, offset, length)
        else wire.putOff(piece, offset)
        return
      }
      this.#suggest(id, (suggester) => suggester.requested(id, piece))
      this.#reads(serving, readerSeconds)
      this.#pump(serving)
    })
    if (this.#suggester !== undefined) this.#watch(this.#suggester, peer)
    wire.on('sendable', () => {
      serving.full = false
      this.#pump(serving)
    })
    if (peer.uploadOnly || wire.peerInterested) this.#follow(serving)
  }

  /** The interest of the peer has changed. */
  #changed(serving: Serving): void {
    if (serving.changes++ < promptChanges) this.#follow(serving)
  }

  #follow(serving: Serving): void {
    const { id, uploadOnly, wire } = serving.peer
    const now = monotonicMs()
    this.choker.uploadOnly(id, uploadOnly, now)
    if (wire.peerInterested) this.#wanted(serving)
    else this.choker.interested(id, false, now)
    this.#countServing()
  }

  /** Counts this torrent in or out of those that serve. */
  #countServing(): void {
    const { wanted } = this.choker
    if (wanted === this.#serves) return
    this.#serves = wanted
    if (wanted) this.#servingTorrents.begin()
    else this.#servingTorrents.cease()
  }

  /** The peer is interested: if it must wait for a slot, it may fetch a few pieces meanwhile (BEP 6), once. */
  #wanted(serving: Serving): void {
    const { id, wire, connection } = serving.peer
    this.choker.interested(id, true, monotonicMs())
    // Peers of one network have one set: pieces that all of them may fetch at once are best not offered to peers with a slot.
    if (this.choker.isUnchoked(id) || serving.granted || !wire.peerFast || !this.#events.grants()) return
    const { pieceCount } = this.#layout
    for (const piece of allowedFastSet(
      connection.remote.host,
      this.#infoHash,
      pieceCount,
      allowedFastCount
    )) {
      if (!this.#events.serves(piece) || wire.peerPieces.get(piece)) continue
      serving.granted = true
      wire.allowedFast(piece)
    }
  }

  /** A peer may have said whether it will download anything (BEP 21): one that will not gets no slot. */
  setUploadOnly(peer: Peer): void {
    const serving = this.#serving.get(peer.id)
    if (serving !== undefined) this.#changed(serving)
  }

  /** The peer has gone. */
  removePeer(peer: Peer): void {
    const serving = this.#serving.get(peer.id)
    if (serving === undefined) return
    this.#count(serving)
    // Its connection is closed in this turn of the event loop, and then the system reads nothing of it any more.
    serving.departing.releaseAll()
    this.#reads(serving, 0)
    this.#serving.delete(peer.id)
    this.#suggester?.removePeer(peer.id)
    this.choker.removePeer(peer.id, monotonicMs())
    this.#countServing()
  }

  /** Counts the payload that has left since the last call. */
  count(): void {
    this.#cache.tick()
    for (const serving of this.#serving.values()) {
      const { wire, connection } = serving.peer
      this.#count(serving)
      if (serving.reads > 0) this.#reads(serving, serving.reads - 1)
      serving.departing.look(wire.sent, connection.bytesQueued)
    }
  }

  /** A peer counts as a reader for so many seconds more. */
  #reads(serving: Serving, seconds: number): void {
    const change = Number(seconds > 0) - Number(serving.reads > 0)
    serving.reads = seconds
    if (change === 0) return
    this.#readers += change
    this.#cache.setReaders(this.#readers)
  }

  /** To be called once a second: follows peers that change too often, and answers requests that came too early if the piece is here by now. */
  reconsider(): void {
    for (const serving of this.#serving.values()) {
      if (serving.changes > promptChanges) this.#follow(serving)
      const { wire } = serving.peer
      if (serving.refusals > promptRefusals) {
        for (const { piece, offset, length } of wire.putBack())
          if (!this.#mayServe(piece)) wire.reject(piece, offset, length)
        this.#pump(serving)
      }
      serving.refusals = serving.changes = 0
    }
  }

  #mayServe(piece: PieceIndex): boolean {
    return this.#limit > 0 && this.#events.serves(piece)
  }

  /** Whether a round of the choker is due. */
  isDue(now: number): boolean {
    return now >= this.choker.wakeAt
  }

  /** To be called once a second: tells the choker which peers snub us, and lets it decide when it is time. */
  tick(now: number, snubs: (id: PeerNumber) => boolean): void {
    if (!this.isDue(now)) return
    for (const id of this.#serving.keys()) this.choker.snubbed(id, snubs(id))
    this.choker.round(now)
  }

  /** Everything selected is here: from now on each peer is served for a while; with `guides` pieces are suggested that no other peer fetches. */
  setSeeding(seeding: boolean, guides: boolean): void {
    this.choker.seeding = seeding
    this.#guides = guides
  }

  #suggest(id: PeerNumber, next: (suggester: Suggester) => number): void {
    const peer = this.#events.peers.get(id)
    // With so few peers it does not matter which of them has which piece.
    if (!this.#guides || peer?.wire.peerFast !== true || this.#serving.size < 3) return
    if (this.#suggester === undefined) {
      this.#suggester = new Suggester({
        pieceCount: this.#layout.pieceCount,
        has: (of, piece) => this.#serving.get(of)?.peer.wire.peerPieces.get(piece) === true,
        random: Math.random
      })
      for (const serving of this.#serving.values()) {
        this.#suggester.haves(serving.peer.id, this.#piecesOf(serving.peer))
        this.#watch(this.#suggester, serving.peer)
      }
    }
    const piece = next(this.#suggester)
    if (piece >= 0) peer.wire.suggest(piece)
  }

  /** Tells the suggester what a peer comes to have. */
  #watch(suggester: Suggester, peer: Peer): void {
    const { wire, id } = peer
    wire.on('have', (piece) => suggester.haves(id, [piece]))
    wire.on('bitfield', () => suggester.haves(id, this.#piecesOf(peer)))
  }

  #piecesOf({ wire }: Peer): number[] {
    const pieces: number[] = []
    for (let piece = 0; piece < this.#layout.pieceCount; piece++) {
      if (wire.peerPieces.get(piece)) pieces.push(piece)
    }
    return pieces
  }

  /** Changes the upload limit that decides how many peers are served; with 0 no peer gets anything from now on. */
  setLimit(bytesPerSecond: number): void {
    const isSwitched = (bytesPerSecond === 0) !== (this.#limit === 0)
    this.#limit = bytesPerSecond
    this.choker.uploadLimit = bytesPerSecond
    // The change from or to 0 must not wait for the next round.
    if (isSwitched) this.choker.round(monotonicMs())
    if (bytesPerSecond > 0) return
    // Pieces that choked peers may fetch are not served either.
    for (const { peer } of this.#serving.values()) peer.wire.rejectAll()
  }

  #count(serving: Serving): void {
    const { peer } = serving
    const sent = peer.wire.blockBytesSent
    if (sent === serving.counted) return
    const bytes = sent - serving.counted
    serving.counted = sent
    this.#events.sent(peer, bytes)
    this.choker.sent(peer.id, bytes, monotonicMs())
  }

  #pump(serving: Serving): void {
    const { wire } = serving.peer
    const readAhead = Math.floor(this.#cache.aheadBytes / blockLength)
    while (!serving.reading && !serving.full) {
      const request = wire.oldestRequest
      if (request === undefined) return
      const ahead = wire.requestAhead(readAhead)
      if (ahead !== undefined) this.#cache.prefetch(this.#layout.pieceOffset(ahead.piece) + ahead.offset)
      const bytes = this.#cache.get(this.#layout.pieceOffset(request.piece) + request.offset, request.length)
      if (!isBytes(bytes)) {
        serving.reading = true
        void this.#later(serving, request, bytes)
        return
      }
      if (!wire.piece(request.piece, request.offset, bytes)) serving.full = true
    }
  }

  /** A block is on its way, or will not go: its memory is free once the system has read it. */
  #left({ peer, departing }: Serving, data: Uint8Array, sent: boolean): void {
    const page = this.#cache.pageOf(data)
    if (page === undefined) return
    if (sent) departing.add(page, peer.wire.sent, peer.connection.bytesQueued)
    else this.#cache.release(page, 1)
  }

  async #later(
    serving: Serving,
    { piece, offset }: PeerRequest,
    reading: Promise<Uint8Array>
  ): Promise<void> {
    const { peer } = serving
    const startedAt = storageLog.enabled ? monotonicMs() : 0
    try {
      if (!peer.wire.piece(piece, offset, await reading)) serving.full = true
      if (storageLog.enabled)
        storageLog(
          'peer %d waited %d ms for a read of piece %d',
          peer.id,
          Math.round(monotonicMs() - startedAt),
          piece
        )
    } catch (thrown) {
      peer.wire.rejectPiece(piece)
      this.#events.unreadable(piece, asError(thrown))
    }
    serving.reading = false
    if (this.#serving.get(peer.id) === serving) this.#pump(serving)
  }
}
