/** The digests that prove pieces. */
export interface PieceProofs {
  /** The SHA-1 that a piece should have. */
  sha1(piece: number): Uint8Array
}
