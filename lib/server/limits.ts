/**
 * Bounds on what clients can make the server hold. A bound "of a host" is for each client address, in public IPv6 for each /64, and not
 * for programs on this machine: a reverse proxy there speaks for all clients.
 */
export interface ServerLimits {
  /** Connections. */
  readonly connections: number
  readonly connectionsOfHost: number
  /** Refused connections that are kept for a moment so that their 503 arrives. */
  readonly refusals: number
  /** Files that are being sent. */
  readonly streams: number
  readonly streamsOfHost: number
  /** Open event streams. */
  readonly watchers: number
  readonly watchersOfHost: number
  /** Milliseconds between two looks at the torrents for all event streams. */
  readonly newsMs: number
  /** All other requests that are being answered. */
  readonly requests: number
  readonly requestsOfHost: number
  /** Requests of one connection, and of all, that wait for an earlier one of their connection. */
  readonly waitingOfConnection: number
  readonly waiting: number
  /** Bytes of the request line and headers. */
  readonly headerBytes: number
  /** Milliseconds for the headers of a request, and for all of it. */
  readonly headersMs: number
  readonly requestMs: number
  /** Bytes of a .torrent. */
  readonly torrentBytes: number
  /** Bytes of a link, and of a list of files. */
  readonly linkBytes: number
  readonly selectionBytes: number
  /** Bytes of all bodies that are being received. */
  readonly bodyBytes: number
  /** Milliseconds after which a client that takes nothing of an answer is given up, unless it is a file. */
  readonly stalledMs: number
  /** Milliseconds after which a stream that takes nothing makes room for another one. */
  readonly yieldMs: number
  /** Milliseconds after which a stream that takes nothing lets go of its window in the torrent. */
  readonly parkMs: number
}

/** The limits of every server; {@link ServerOptions} may set others for connections and streams. */
export const serverLimits: ServerLimits = {
  // An open connection costs 10 to 30 KB, and most systems give a process 1024 files, some of which the torrents need.
  connections: 512,
  // A browser has six for each server, a player up to ten, and a few households share an address.
  connectionsOfHost: 64,
  // Each is kept for a second.
  refusals: 64,
  // Each may hold a chunk of 256 KiB: 32 MB. The rest of the connections is for pages and lists.
  streams: 128,
  streamsOfHost: 32,
  // A page costs a snapshot of what it shows each second, of about a millisecond.
  watchers: 32,
  watchersOfHost: 8,
  // Speeds and progress need not be newer.
  newsMs: 1000,
  // They take milliseconds, unless a client is slow; then a list keeps up to 64 KB.
  requests: 128,
  requestsOfHost: 32,
  // Browsers and players pipeline nothing. Each may hold headers of the full length: 16 MB.
  waitingOfConnection: 32,
  waiting: 1024,
  // As in Node, but whatever its command line says.
  headerBytes: 16 << 10,
  // Headers come in one packet or two; a client that sends them byte by byte keeps a connection for so long.
  headersMs: 10_000,
  // The largest .torrent at 2 Mbit/s.
  requestMs: 120_000,
  // Real .torrent files of a million pieces have 20 MB.
  torrentBytes: 32 << 20,
  // Magnet links with a hundred trackers have 10 KB.
  linkBytes: 64 << 10,
  // The indices of 150,000 files.
  selectionBytes: 1 << 20,
  // Two of the largest .torrent files, or many of the usual ones.
  bodyBytes: 64 << 20,
  // A network that is down for longer loses the connection as well.
  stalledMs: 60_000,
  // A player that reads nothing for so long has filled its buffer or is paused; it opens a new stream when it goes on.
  yieldMs: 60_000,
  // A film that is paused so that it can buffer has its window by then, or a swarm that is too slow for it.
  parkMs: 300_000
}
