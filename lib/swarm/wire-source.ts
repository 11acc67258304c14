import { blockLength, type Layout } from '../metainfo/layout.ts'
import type { BlockSource } from '../pieces/block-source.ts'
import type { BlockIndex, PeerNumber, PieceIndex } from '../util/indices.ts'
import type { Wire } from '../wire/wire.ts'
import type { Peer } from './peer.ts'

/** A peer's wire as a source of blocks. */
export class WireSource implements BlockSource {
  readonly id: PeerNumber
  readonly banKey: string
  readonly #wire: Wire
  readonly #layout: Layout

  constructor({ id, banKey, wire }: Peer, layout: Layout) {
    this.id = id
    this.banKey = banKey
    this.#wire = wire
    this.#layout = layout
  }

  /** Requests a block. */
  request(piece: PieceIndex, block: BlockIndex): void {
    this.#wire.request(piece, block * blockLength, this.#layout.blockSize(piece, block))
  }

  /** Cancels the request for a block. */
  cancel(piece: PieceIndex, block: BlockIndex): void {
    if (this.#wire.destroyed) return
    this.#wire.cancel(piece, block * blockLength, this.#layout.blockSize(piece, block))
  }

  /** Sends `interested` or `not interested`. */
  interest(interested: boolean): void {
    if (interested) this.#wire.interested()
    else this.#wire.notInterested()
  }

  /** Moves the block being received into the wire's own memory, so that the caller's memory is free. */
  detach(): void {
    this.#wire.detachBlock()
  }
}
