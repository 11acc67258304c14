import type { Layout } from '../metainfo/layout.ts'
import { Choker } from '../picker/choker.ts'
import type { ReadCache } from '../storage/read-cache.ts'
import { monotonicMs } from '../util/clock.ts'
import { asError } from '../util/errors.ts'
import type { Peer } from './peer.ts'

/** How far reads run ahead of the block that is sent next, in requests. */
const readAhead = 192
interface Serving {
  readonly peer: Peer
  /** Requests that are not answered yet: piece, offset, length in turn. */
  queue: { readonly piece: number; readonly offset: number; readonly length: number }[]
  busy: boolean
}

/** What {@link Uploads} asks and tells. */
export interface UploadEvents {
  /** A connected peer by its number. */
  peer(id: number): Peer | undefined
  /** Whether a piece may be served. */
  serves(piece: number): boolean
  /** Payload bytes went out. */
  sent(peer: Peer, bytes: number): void
  /** Storage failed to give a block that is had. */
  unreadable(piece: number, error: Error): void
}

/** Answers the requests of peers: who may ask is the choker's decision, blocks come from the read cache in order. */
export class Uploads {
  readonly choker: Choker
  readonly #layout: Layout
  readonly #cache: ReadCache
  readonly #events: UploadEvents
  readonly #serving = new Map<number, Serving>()
  #limit: number
  #paused = false

  constructor(layout: Layout, cache: ReadCache, uploadLimit: number, events: UploadEvents) {
    this.#layout = layout
    this.#cache = cache
    this.#events = events
    this.#limit = uploadLimit
    this.choker = new Choker({
      sink: {
        choke: (id) => {
          const serving = this.#serving.get(id)
          if (serving !== undefined) serving.queue = []
          events.peer(id)?.wire.choke()
        },
        unchoke: (id) => events.peer(id)?.wire.unchoke()
      },
      rates: (id) => {
        const now = monotonicMs()
        const peer = events.peer(id)
        return {
          downloadBytesPerSecond: peer?.down.rate(now) ?? 0,
          uploadBytesPerSecond: peer?.up.rate(now) ?? 0
        }
      },
      random: Math.random,
      uploadLimit
    })
  }

  /** Takes a peer whose handshake is done. */
  addPeer(peer: Peer): void {
    const { wire, id } = peer
    const serving: Serving = { peer, queue: [], busy: false }
    this.#serving.set(id, serving)
    this.choker.addPeer(id, monotonicMs())
    wire.on('interested', () => this.choker.interested(id, true, monotonicMs()))
    wire.on('not-interested', () => this.choker.interested(id, false, monotonicMs()))
    wire.on('request', (piece, offset, length) => {
      if (!this.#events.serves(piece)) {
        wire.reject(piece, offset, length)
        return
      }
      serving.queue.push({ piece, offset, length })
      this.#pump(serving)
    })
    wire.on('cancel', (piece, offset) => {
      const at = serving.queue.findIndex((request) => request.piece === piece && request.offset === offset)
      if (at >= 0) serving.queue.splice(at, 1)
    })
    wire.on('sendable', () => {
      serving.busy = false
      this.#pump(serving)
    })
    if (wire.peerInterested) this.choker.interested(id, true, monotonicMs())
  }

  /** The peer has gone. */
  removePeer(peer: Peer): void {
    this.#serving.delete(peer.id)
    this.choker.removePeer(peer.id, monotonicMs())
  }

  /** Counts payload that has left since the last call. */
  count(peer: Peer): void {
    const sent = peer.wire.blockBytesSent
    if (sent === peer.sentSeen) return
    this.choker.sent(peer.id, sent - peer.sentSeen)
    this.#events.sent(peer, sent - peer.sentSeen)
    peer.sentSeen = sent
  }

  /** To be called once a second: tells the choker who snubs us, and lets it decide when it is time. */
  tick(now: number, snubs: (id: number) => boolean): void {
    if (now < this.choker.wakeAt) return
    for (const id of this.#serving.keys()) this.choker.snubbed(id, snubs(id))
    this.choker.round(now)
  }

  /** Everything is here: from now on peers take turns. */
  setSeeding(seeding: boolean): void {
    this.choker.seeding = seeding
  }

  /** Changes the upload limit that decides how many peers are served. */
  setLimit(bytesPerSecond: number): void {
    this.#limit = bytesPerSecond
    if (!this.#paused) this.choker.uploadLimit = bytesPerSecond
  }

  /** Chokes everybody, or serves again. */
  pause(paused: boolean): void {
    this.#paused = paused
    this.choker.uploadLimit = paused ? 0 : this.#limit
    this.choker.round(monotonicMs())
  }

  #pump(serving: Serving): void {
    const { peer } = serving
    while (!serving.busy && serving.queue.length > 0) {
      const request = serving.queue[0]
      if (request === undefined) return
      const ahead = serving.queue[Math.min(serving.queue.length - 1, readAhead)]
      if (ahead !== undefined) this.#cache.prefetch(this.#layout.pieceOffset(ahead.piece) + ahead.offset)
      const { piece, offset, length } = request
      const bytes = this.#cache.get(this.#layout.pieceOffset(piece) + offset, length)
      if (!(bytes instanceof Uint8Array)) {
        serving.busy = true
        void this.#later(serving, bytes, piece)
        return
      }
      serving.queue.shift()
      if (!peer.wire.piece(piece, offset, bytes)) serving.busy = true
    }
  }

  async #later(serving: Serving, reading: Promise<Uint8Array>, piece: number): Promise<void> {
    try {
      await reading
    } catch (thrown) {
      serving.queue = serving.queue.filter((request) => {
        if (request.piece === piece) serving.peer.wire.reject(piece, request.offset, request.length)
        return request.piece !== piece
      })
      this.#events.unreadable(piece, asError(thrown))
    }
    serving.busy = false
    if (this.#serving.get(serving.peer.id) === serving) this.#pump(serving)
  }
}
