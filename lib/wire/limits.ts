import { blockLength } from '../util/block-length.ts'

/** Limits on the messages of a peer in a {@link Wire}; counts unless noted. */
export interface WireLimits {
  /** Maximum pieces of a torrent; bounds the bitfield and, while the count is unknown, the index of a have. */
  readonly pieceCount: number
  /** Maximum length of a peer's request in bytes; longer ones are rejected. */
  readonly requestLength: number
  /** Maximum length of a received block in bytes. */
  readonly blockLength: number
  /** Maximum length of an extended message (BEP 10) in bytes. */
  readonly extendedLength: number
  /** Maximum length of an extended handshake (BEP 10) in bytes. */
  readonly extendedHandshakeLength: number
  /** Maximum names kept from the `m` dictionary of an extended handshake. */
  readonly extensionNames: number
  /** Maximum length of a message with an unknown id in bytes; shorter ones are skipped. */
  readonly unknownLength: number
  /** Maximum queued requests of the peer; more are rejected, or dropped without the fast extension. */
  readonly requestQueue: number
  /** Maximum requests of a choked peer; more close the wire. */
  readonly chokedRequests: number
  /** Maximum invalid messages that are ignored or rejected; more close the wire. */
  readonly oddMessages: number
  /** Milliseconds after which the count for `oddMessages` drops by one. */
  readonly oddMessageMs: number
  /** Maximum messages that list all pieces (bitfield, have all, have none); more close the wire. */
  readonly bulkMessages: number
  /** Milliseconds after which the count for `bulkMessages` drops by one. */
  readonly bulkMessageMs: number
  /** Maximum chokes; more close the wire. */
  readonly chokes: number
  /** Milliseconds after which the count for `chokes` drops by one. */
  readonly chokeMs: number
  /** Maximum extended handshakes; more close the wire. */
  readonly extendedHandshakes: number
  /** Milliseconds after which the count for `extendedHandshakes` drops by one. */
  readonly extendedHandshakeMs: number
  /** Maximum messages handled per turn of the event loop; the rest waits. Expensive ones count more, such as a bitfield 250; accepted requests 0. */
  readonly turnMessages: number
  /** Approximate maximum milliseconds of handling per turn. */
  readonly turnMs: number
  /** Maximum allowed-fast messages that are emitted; more are ignored. */
  readonly allowedFast: number
  /** Outgoing control bytes above which `receive` asks the transport to pause. */
  readonly controlLength: number
  /** Outgoing control bytes above which the wire is closed. */
  readonly controlLengthMax: number
  /** Bytes of answered blocks above which `piece` asks its caller to wait. */
  readonly answerLength: number
}

/** Default limits, each with its reason. */
export const defaultWireLimits: WireLimits = {
  // libtorrent's default limit (`max_piece_count`), and that of our metainfo parser. The bitfield has 256 KiB.
  pieceCount: 0x200000,
  // BEP 3: all implementations request 16 KiB. Some close the connection on longer requests; libtorrent rejects them, and so do we.
  requestLength: blockLength,
  // A block is never longer than its request, and we never request more.
  blockLength,
  // A metadata piece (BEP 9) has 16 KiB and a header; a PEX message (BEP 11) with 200 peers has 6 KiB.
  extendedLength: 128 * 1024,
  // Real handshakes have less than 1 KiB.
  extendedHandshakeLength: 16 * 1024,
  // Real clients support about 10.
  extensionNames: 64,
  // A skipped message costs time but no memory. Later protocols (BEP 52 hashes) have short messages.
  unknownLength: 1024 * 1024,
  // 32 MiB of blocks: a peer that refills the queue twice a second can reach 64 MB/s. Advertised as `reqq`.
  requestQueue: 2000,
  // A full queue of requests may cross our choke, and another one may follow a short unchoke. More are a flood.
  chokedRequests: 4000,
  // A peer whose requests are too long sends a full queue (250 in most clients) before our first reject arrives. libtorrent has the same
  // limit. Each costs little time and at most 17 bytes.
  oddMessages: 300,
  // A client with a harmless bug, such as one bad message a minute, can stay; a flood closes the wire at once.
  oddMessageMs: 10_000,
  // BEP 3 and 6 allow one, but real clients send another bitfield instead of many haves. Each costs a scan of all pieces.
  bulkMessages: 8,
  // Allows five a minute.
  bulkMessageMs: 12_000,
  // Clients reassign slots every 10 to 30 seconds. Each choke drops our requests, and each unchoke makes us send them again.
  chokes: 500,
  // A client that chokes briefly whenever it reaches its rate limit can stay.
  chokeMs: 500,
  // One follows the handshake, and another whenever the peer's port, metadata or upload-only state changes (BEP 10). Each is parsed and
  // passed to all extensions.
  extendedHandshakes: 64,
  // A client that sends one whenever a download starts or stops can stay.
  extendedHandshakeMs: 1000,
  // More than clients send at once, except haves for a whole torrent. Handling them takes no longer than a large chunk of blocks.
  turnMessages: 2000,
  // One peer delays timers and readers by no more than this.
  turnMs: 5,
  // BEP 6 suggests 10; some send more.
  allowedFast: 128,
  // More than any burst of haves, rejects or metadata for a peer that reads.
  controlLength: 128 * 1024,
  // A peer that reads nothing while 450,000 haves pile up is useless.
  controlLengthMax: 4 * 1024 * 1024,
  // Keeps a fast link busy between two turns of the event loop, and bounds the memory held for a slow one.
  answerLength: 512 * 1024
}

/** Maximum length of metadata to fetch (BEP 9), in bytes: a torrent of 1.5 million pieces. */
export const metadataLengthMax: number = 32 * 1024 * 1024

/** Length of each metadata piece except the last (BEP 9), in bytes. */
export const metadataPieceLength: number = 16 * 1024

/**
 * Maximum peers in each list of a PEX message (BEP 11). Real clients send at most 200 in the first message and 50 in later ones.
 */
export const pexPeersMax: number = 1000
