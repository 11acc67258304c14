import { blockLength } from '../util/block-length.ts'
import type { ExtendedHandshake } from './extended-handshake.ts'
import { PeerPieces, type PeerPiecesMediator } from './peer-pieces.ts'

const noIds: ReadonlyMap<string, number> = new Map()

/** Lengths of a torrent in bytes, for checks; unknown ones are undefined and not checked. */
export interface TorrentLengths {
  readonly pieceLength?: number | undefined
  readonly totalLength?: number | undefined
}

/** The peer's side of a wire, as its messages describe it. `PeerMessages` writes it. */
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
  /** Bytes of complete blocks received. */
  blockBytes = 0
  /** Length of its request queue (`reqq`); until it is known 250, as most clients assume. */
  maxRequests = 250
  /** Its latest extended handshake. */
  remote: ExtendedHandshake | undefined
  /** Message ids of its extensions, from all its extended handshakes. */
  remoteIds: ReadonlyMap<string, number> = noIds
  #lengths: TorrentLengths

  /** Creates the state before the peer's handshake. */
  constructor(
    pieceCountMax: number,
    faults: PeerPiecesMediator,
    pieceCount: number | undefined,
    lengths: TorrentLengths
  ) {
    this.pieces = new PeerPieces(pieceCount, pieceCountMax, faults)
    this.#lengths = lengths
  }

  /** Sets the lengths of the torrent; undefined ones do not change. */
  setLengths({ pieceLength, totalLength }: TorrentLengths): void {
    const known = this.#lengths
    this.#lengths = {
      pieceLength: pieceLength ?? known.pieceLength,
      totalLength: totalLength ?? known.totalLength
    }
  }

  /** Whether the torrent can contain such a block, as far as is known. */
  hasBlock(piece: number, offset: number, length: number): boolean {
    // No supported piece is longer than 2^29 bytes, so such an offset is wrong even while the piece length is unknown.
    if (!this.pieces.exists(piece) || offset >= 0x40000000) return false
    const { pieceLength, totalLength } = this.#lengths
    if (pieceLength === undefined) return true
    if (offset + length > pieceLength) return false
    return totalLength === undefined || piece * pieceLength + offset + length <= totalLength
  }

  /** Whether a block is the last of its piece, which may be short; false while the length of pieces is unknown. */
  isLastBlock(piece: number, offset: number, length: number): boolean {
    const { pieceLength, totalLength = Number.POSITIVE_INFINITY } = this.#lengths
    if (pieceLength === undefined || offset % blockLength !== 0) return false
    return offset + length === Math.min(pieceLength, totalLength - piece * pieceLength)
  }
}
