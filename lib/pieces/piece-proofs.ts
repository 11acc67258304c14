/** Expected digests of pieces. */
export interface PieceProofs {
  /** Returns the expected SHA-1 of a piece, 20 bytes. */
  sha1(piece: number): Uint8Array
}
