/**
 * A number that counts things of one kind. A plain number may be given for it, but one that is known to count another kind does not
 * compile, so that piece, block and peer are not mixed up where they stand side by side.
 */
type Counts<Kind extends string> = number & { readonly kind?: Kind }

/** The index of a piece in its torrent. */
export type PieceIndex = Counts<'piece'>
/** The index of a block in its piece. */
export type BlockIndex = Counts<'block'>
/** The number of a peer in its torrent. */
export type PeerNumber = Counts<'peer'>
