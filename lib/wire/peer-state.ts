import type { ExtendedHandshake } from './extended-handshake.ts'
import { PeerPieces, type PeerPiecesMediator } from './peer-pieces.ts'

const noIds: ReadonlyMap<string, number> = new Map()

/** The lengths of a torrent, as far as they are known; undefined ones are not checked. */
export interface TorrentLengths {
  readonly pieceLength?: number | undefined
  readonly totalLength?: number | undefined
}

/** The facts that a peer has told of itself; `PeerMessages` writes it. */
export class PeerState {
  readonly pieces: PeerPieces
  /** 20 bytes. */
  peerId: Uint8Array | undefined
  /** Whether both sides speak the fast extension (BEP 6). */
  fast = false
  /** Whether both sides speak the extension protocol (BEP 10). */
  extended = false
  dht = false
  choking = true
  interested = false
  /** Bytes of whole blocks that it sent. */
  blockBytes = 0
  /** How many requests it queues; 250 until it says otherwise, as most clients assume. */
  maxRequests = 250
  /** The last extended handshake. */
  remote: ExtendedHandshake | undefined
  /** The message ids of the peer's extensions, from all its extended handshakes. */
  remoteIds: ReadonlyMap<string, number> = noIds
  #lengths: TorrentLengths

  /** A peer that has told nothing yet. */
  constructor(
    pieceCountMax: number,
    faults: PeerPiecesMediator,
    pieceCount: number | undefined,
    lengths: TorrentLengths
  ) {
    this.pieces = new PeerPieces(pieceCount, pieceCountMax, faults)
    this.#lengths = lengths
  }

  /** Sets the lengths of the torrent; undefined ones stay as they are. */
  setLengths({ pieceLength, totalLength }: TorrentLengths): void {
    const known = this.#lengths
    this.#lengths = {
      pieceLength: pieceLength ?? known.pieceLength,
      totalLength: totalLength ?? known.totalLength
    }
  }

  /** Whether the torrent can have such a block, as far as is known. */
  hasBlock(piece: number, offset: number, length: number): boolean {
    // No torrent has longer pieces than 2^30 bytes, and keys of blocks rely on it.
    if (!this.pieces.exists(piece) || offset >= 0x40000000) return false
    const { pieceLength, totalLength } = this.#lengths
    if (pieceLength === undefined) return true
    if (offset + length > pieceLength) return false
    return totalLength === undefined || piece * pieceLength + offset + length <= totalLength
  }
}
