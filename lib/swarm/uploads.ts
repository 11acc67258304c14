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
/** Seconds for which a peer counts as a reader of the cache after a request. */
const readerSeconds = 10
/** Minimum bytes per optimistic slot; at least two pieces. */
const leastOptimistic = 512 << 10
/** Size of the allowed-fast set of a peer (BEP 6). */
const allowedFastCount = 10
/** Maximum immediate rejects per peer and second. Later requests wait for the next second, because some clients retry at once. */
const promptRefusals = 64
/** Maximum interest changes per peer and second that are applied at once: each can make the choker reassign all slots. */
const promptChanges = 32

interface Serving {
  readonly peer: Peer
  /** Whether it was sent its allowed-fast set. */
  granted: boolean
  /** Requests rejected in the current second. */
  refusals: number
  /** Interest changes in the current second. */
  changes: number
  /** Blocks that the connection may not have sent yet. */
  readonly departing: DepartingBlocks
  /** Value of the wire's `blockBytesSent` at the last count. */
  counted: number
  /** Seconds for which it still counts as a reader. */
  reads: number
  /** Whether its oldest request waits for a storage read. */
  reading: boolean
  /** Whether its wire accepts no more blocks until `sendable`. */
  full: boolean
}

/** Callbacks of {@link Uploads}. */
export interface UploadEvents {
  /** Connected peers by `Peer.id`. */
  readonly peers: ReadonlyMap<number, Peer>
  /** Whether a piece may be served. */
  serves(piece: PieceIndex): boolean
  /** Whether allowed-fast sets are sent to choked peers. */
  grants(): boolean
  /** Called with the payload bytes sent since the last call. */
  sent(peer: Peer, bytes: number): void
  /** Called when storage failed to read a stored block. */
  unreadable(piece: PieceIndex, error: Error): void
}

/** Answers the requests of peers, in order, with blocks from the read cache. The choker decides which peers may request. */
export class Uploads {
  readonly choker: Choker
  readonly #infoHash: Uint8Array
  readonly #layout: Layout
  readonly #cache: ReadCache
  readonly #events: UploadEvents
  readonly #servingTorrents: ServingTorrents
  /** Whether this torrent is counted in `servingTorrents`. */
  #serves = false
  readonly #serving = new LazyMap<number, Serving>()
  /** Number of peers that count as readers of the cache. */
  #readers = 0
  #limit: number
  #suggests = false
  /** Created with the first suggestion: most torrents are incomplete or have too few peers for one. */
  #suggester: Suggester | undefined

  /** `infoHash` has 20 bytes; `uploadLimit` is in bytes per second. */
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

  /** Adds a peer whose handshake is done. */
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
    wire.answerLeft = (data, sent) => this.#onAnswerLeft(serving, data, sent)
    this.choker.addPeer(id, monotonicMs())
    wire.on('interested', () => this.#onInterestChange(serving))
    wire.on('not-interested', () => this.#onInterestChange(serving))
    wire.on('request', (piece, offset, length) => {
      if (!this.#mayServe(piece)) {
        if (serving.refusals++ < promptRefusals) wire.reject(piece, offset, length)
        else wire.putOff(piece, offset)
        return
      }
      this.#suggest(id, (suggester) => suggester.requested(id, piece))
      this.#setReader(serving, readerSeconds)
      this.#pump(serving)
    })
    if (this.#suggester !== undefined) this.#watch(this.#suggester, peer)
    wire.on('sendable', () => {
      serving.full = false
      this.#pump(serving)
    })
    if (peer.uploadOnly || wire.peerInterested) this.#follow(serving)
  }

  /** Applies a change of interest, at once or with the next `reconsider`. */
  #onInterestChange(serving: Serving): void {
    if (serving.changes++ < promptChanges) this.#follow(serving)
  }

  #follow(serving: Serving): void {
    const { id, uploadOnly, wire } = serving.peer
    const now = monotonicMs()
    this.choker.uploadOnly(id, uploadOnly, now)
    if (wire.peerInterested) this.#onInterested(serving)
    else this.choker.interested(id, false, now)
    this.#countServing()
  }

  /** Updates whether this torrent is counted in `servingTorrents`. */
  #countServing(): void {
    const { hasInterested } = this.choker
    if (hasInterested === this.#serves) return
    this.#serves = hasInterested
    if (hasInterested) this.#servingTorrents.begin()
    else this.#servingTorrents.cease()
  }

  /** Tells the choker that a peer is interested, and sends its allowed-fast set (BEP 6) once if it gets no slot. */
  #onInterested(serving: Serving): void {
    const { id, wire, connection } = serving.peer
    this.choker.interested(id, true, monotonicMs())
    // Only peers without a slot get the set, because it is the same for a whole /24, whose peers can all request it at once.
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

  /** Applies a possible change of a peer's `upload_only` state (BEP 21): an upload-only peer gets no slot. */
  setUploadOnly(peer: Peer): void {
    const serving = this.#serving.get(peer.id)
    if (serving !== undefined) this.#onInterestChange(serving)
  }

  /** Forgets a peer that disconnected. */
  removePeer(peer: Peer): void {
    const serving = this.#serving.get(peer.id)
    if (serving === undefined) return
    this.#count(serving)
    // Its connection closes in this turn of the event loop. After that, the system reads none of its blocks.
    serving.departing.releaseAll()
    this.#setReader(serving, 0)
    this.#serving.delete(peer.id)
    this.#suggester?.removePeer(peer.id)
    this.choker.removePeer(peer.id, monotonicMs())
    this.#countServing()
  }

  /** Counts the payload sent since the last call, and releases cache pages. Call it once a second. */
  count(): void {
    this.#cache.tick()
    for (const serving of this.#serving.values()) {
      const { wire, connection } = serving.peer
      this.#count(serving)
      if (serving.reads > 0) this.#setReader(serving, serving.reads - 1)
      serving.departing.look(wire.sent, connection.bytesQueued)
    }
  }

  /** Counts a peer as a reader for this many more seconds. */
  #setReader(serving: Serving, seconds: number): void {
    const change = Number(seconds > 0) - Number(serving.reads > 0)
    serving.reads = seconds
    if (change === 0) return
    this.#readers += change
    this.#cache.setReaders(this.#readers)
  }

  /** Applies delayed interest changes, and answers or rejects delayed requests. Call it once a second. */
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

  /** Runs the choker when a round is due; `snubs` returns whether a peer snubs us. Call it once a second. */
  tick(now: number, snubs: (id: PeerNumber) => boolean): void {
    if (!this.isDue(now)) return
    for (const id of this.#serving.keys()) this.choker.snubbed(id, snubs(id))
    this.choker.round(now)
  }

  /** Switches the choker to seeding or back. With `suggests`, peers are sent suggestions for pieces that no other peer fetches. */
  setSeeding(seeding: boolean, suggests: boolean): void {
    this.choker.seeding = seeding
    this.#suggests = suggests
  }

  #suggest(id: PeerNumber, next: (suggester: Suggester) => number): void {
    const peer = this.#events.peers.get(id)
    // With so few peers, suggestions do not pay.
    if (!this.#suggests || peer?.wire.peerFast !== true || this.#serving.size < 3) return
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

  /** Keeps the suggester informed of a peer's pieces. */
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

  /** Sets the upload limit in bytes per second, which controls the number of slots; 0 stops all uploads at once. */
  setLimit(bytesPerSecond: number): void {
    const isSwitched = (bytesPerSecond === 0) !== (this.#limit === 0)
    this.#limit = bytesPerSecond
    this.choker.uploadLimit = bytesPerSecond
    // A change from or to 0 must not wait for the next round.
    if (isSwitched) this.choker.round(monotonicMs())
    if (bytesPerSecond > 0) return
    // This includes requests for allowed-fast pieces.
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
        void this.#answerAfterRead(serving, request, bytes)
        return
      }
      if (!wire.piece(request.piece, request.offset, bytes)) serving.full = true
    }
  }

  /** Releases the cache page of a block: at once if it will not be sent, otherwise when the system has read it. */
  #onAnswerLeft({ peer, departing }: Serving, data: Uint8Array, sent: boolean): void {
    const page = this.#cache.pageOf(data)
    if (page === undefined) return
    if (sent) departing.add(page, peer.wire.sent, peer.connection.bytesQueued)
    else this.#cache.release(page, 1)
  }

  async #answerAfterRead(
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
