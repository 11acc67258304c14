/**
 * A number with a kind. Plain numbers are assignable to it, but numbers of another kind are compile errors,
 * so that piece, block and peer numbers cannot be mixed up.
 */
type Counts<Kind extends string> = number & { readonly kind?: Kind }

/** Index of a piece in its torrent. */
export type PieceIndex = Counts<'piece'>
/** Index of a block in its piece. */
export type BlockIndex = Counts<'block'>
/** Number of a peer in its torrent. */
export type PeerNumber = Counts<'peer'>
