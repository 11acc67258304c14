import { blockLength } from '../util/block-length.ts'

/** The bounds on all that a peer can push through a {@link Wire}; counts, or bytes where the name says so. */
export interface WireLimits {
  /** Pieces a torrent may have; it bounds the bitfield and, before the count is known, the index of a have. */
  readonly pieceCount: number
  /** The longest range that a peer gets when it requests it, in bytes; longer ones are rejected. */
  readonly requestLength: number
  /** The longest block that a peer may send, in bytes. */
  readonly blockLength: number
  /** The longest extended message (BEP 10), in bytes. */
  readonly extendedLength: number
  /** The longest extended handshake (BEP 10), in bytes. */
  readonly extendedHandshakeLength: number
  /** Names kept from the `m` dictionary of an extended handshake. */
  readonly extensionNames: number
  /** The longest message of an unknown kind, which is skipped, in bytes. */
  readonly unknownLength: number
  /** Requests of the peer that are kept; more are rejected or dropped. */
  readonly requestQueue: number
  /** Requests that a choked peer may send until the wire is closed. */
  readonly chokedRequests: number
  /** Messages that make no sense, and are ignored or rejected, until the wire is closed. */
  readonly oddMessages: number
  /** Milliseconds after which one of these is forgiven. */
  readonly oddMessageMs: number
  /** Messages that list all pieces (bitfield, have all, have none) until the wire is closed. */
  readonly bulkMessages: number
  /** Milliseconds after which one of these is forgiven. */
  readonly bulkMessageMs: number
  /** Chokes until the wire is closed. */
  readonly chokes: number
  /** Milliseconds after which one of these is forgiven. */
  readonly chokeMs: number
  /** Extended handshakes until the wire is closed. */
  readonly extendedHandshakes: number
  /** Milliseconds after which one of these is forgiven. */
  readonly extendedHandshakeMs: number
  /** Messages handled in one turn of the event loop; the rest of a chunk waits for the next. Requests that are taken do not count. */
  readonly turnMessages: number
  /** Milliseconds of handling in one turn, about. */
  readonly turnMs: number
  /** Allowed-fast grants that are listened to. */
  readonly allowedFast: number
  /** Outgoing control bytes above which `receive` asks the transport to pause. */
  readonly controlLength: number
  /** Outgoing control bytes above which the wire is closed. */
  readonly controlLengthMax: number
  /** Bytes of answered blocks above which `piece` asks its caller to wait. */
  readonly answerLength: number
}

/** The defaults, each with its reason. */
export const defaultWireLimits: WireLimits = {
  // As many as any client accepts; a bitfield of 256 KiB.
  pieceCount: 0x200000,
  // BEP 3: all implementations ask for 16 KiB. Some close connections that ask for more; libtorrent rejects such requests, as we do.
  requestLength: blockLength,
  // No answer is longer than its request, and nothing here asks for more.
  blockLength,
  // A metadata piece (BEP 9) has 16 KiB and a header; a peer exchange (BEP 11) of 200 peers has 6 KiB.
  extendedLength: 128 * 1024,
  // Real ones have less than 1 KiB.
  extendedHandshakeLength: 16 * 1024,
  // Real clients know about 10.
  extensionNames: 64,
  // Skipped without being kept, so it costs time only. Later protocols (BEP 52 hashes) have short messages.
  unknownLength: 1024 * 1024,
  // 32 MiB in flight; a peer that asks twice a second for all that it may is then not held below 64 MB/s. Advertised as `reqq`.
  requestQueue: 2000,
  // A full queue may be on its way while our choke travels, and again after a short unchoke; then it is a flood.
  chokedRequests: 4000,
  // A queue full of requests that are too long (250 in most clients) is rejected before the peer can learn from it, and libtorrent
  // lets as many pass. Each costs a look at it and at most 17 bytes.
  oddMessages: 300,
  // A client with a harmless fault, such as a message a minute, stays for good; one that floods us is gone at once.
  oddMessageMs: 10_000,
  // BEP 3 and 6 want one, but clients in use send a further bitfield instead of many haves. Each costs a look at all pieces.
  bulkMessages: 8,
  // Five a minute for good.
  bulkMessageMs: 12_000,
  // Clients choose anew every 10 to 30 seconds. Each choke ends our requests, and each unchoke has us send them again.
  chokes: 500,
  // A client that chokes for a moment whenever its own limit is reached stays for good.
  chokeMs: 500,
  // One comes with the connection, and another whenever the peer's port, metadata or upload-only state changes (BEP 10). Each is parsed,
  // and told to all extensions.
  extendedHandshakes: 64,
  // A client that sends one whenever a download begins or ends stays for good.
  extendedHandshakeMs: 1000,
  // More than any client sends at once but for haves of a whole torrent; others wait no longer than for a large chunk of blocks.
  turnMessages: 2000,
  // A timer or a reader is not late by more than that for one peer.
  turnMs: 5,
  // BEP 6 suggests 10; some send more.
  allowedFast: 128,
  // Replies to a peer that does not read them: more than any burst of haves, rejects or metadata.
  controlLength: 128 * 1024,
  // A peer that reads nothing while it is told of 450,000 pieces is of no use.
  controlLengthMax: 4 * 1024 * 1024,
  // Keeps a fast link busy between two turns of the event loop, and bounds the views held for a slow one.
  answerLength: 512 * 1024
}

/** The longest metadata (BEP 9) that is fetched, in bytes: a torrent of 1.5 million pieces. */
export const metadataLengthMax: number = 32 * 1024 * 1024

/** The size of every piece of metadata but the last (BEP 9), in bytes. */
export const metadataPieceLength: number = 16 * 1024

/**
 * The most peers in each list of a peer exchange message (BEP 11). Messages after the first hold 50; the first ones of real clients
 * hold 200 at most.
 */
export const pexPeersMax: number = 1000
