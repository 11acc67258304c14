/**
 * Limits of what clients can make the server hold. A limit "of a host" applies to each client address, or to each /64 of public
 * IPv6. It does not apply to this machine, because a reverse proxy speaks for all clients.
 */
export interface ServerLimits {
  /** Open connections. */
  readonly connections: number
  readonly connectionsOfHost: number
  /** Refused connections that stay open for a moment so that their 503 arrives. */
  readonly refusals: number
  /** Files being sent. */
  readonly streams: number
  readonly streamsOfHost: number
  /** Open event streams. */
  readonly watchers: number
  readonly watchersOfHost: number
  /** Milliseconds between two updates of the event streams. */
  readonly newsMs: number
  /** Other requests being answered. */
  readonly requests: number
  readonly requestsOfHost: number
  /** Pipelined requests that wait for an earlier one, per connection and in total. */
  readonly waitingOfConnection: number
  readonly waiting: number
  /** Bytes of the request line and headers. */
  readonly headerBytes: number
  /** Milliseconds until the headers of a request, and the whole request, must have arrived. */
  readonly headersMs: number
  readonly requestMs: number
  readonly torrentBytes: number
  /** Bytes of a link, and of a list of files. */
  readonly linkBytes: number
  readonly selectionBytes: number
  /** Bytes of all bodies being received. */
  readonly bodyBytes: number
  /** Milliseconds after which a response that the client does not read is closed; not for files. */
  readonly stalledMs: number
  /** Milliseconds without reading after which a file stream may be closed for a new one. */
  readonly yieldMs: number
  /** Milliseconds without reading after which a file stream releases its readahead window in the torrent. */
  readonly parkMs: number
}

/** The limits of every server; {@link ServerOptions} can change those of connections and streams. */
export const serverLimits: ServerLimits = {
  // An open connection costs 10 to 30 KB. Most systems give a process 1024 file descriptors, and the torrents need some.
  connections: 512,
  // A browser opens six per server, a player up to ten, and a few households share an address.
  connectionsOfHost: 64,
  // Each stays for a second.
  refusals: 64,
  // Each may hold a chunk of 256 KiB: 32 MB together. The remaining connections are for pages and lists.
  streams: 128,
  streamsOfHost: 32,
  // Each page costs a snapshot per second, about a millisecond.
  watchers: 32,
  watchersOfHost: 8,
  // More frequent updates would not help users.
  newsMs: 1000,
  // These requests take milliseconds, unless a client is slow; a list then holds up to 64 KB.
  requests: 128,
  requestsOfHost: 32,
  // Browsers and players do not pipeline. Each request may hold headers of the full length: 16 MB together.
  waitingOfConnection: 32,
  waiting: 1024,
  // Node's default, even if its command line sets another.
  headerBytes: 16 << 10,
  // Headers arrive in one or two packets; a client that sends them byte by byte can hold a connection for this long.
  headersMs: 10_000,
  // The largest .torrent at 2.3 Mbit/s.
  requestMs: 120_000,
  // Real .torrent files of a million pieces have 20 MB.
  torrentBytes: 32 << 20,
  // Magnet links with a hundred trackers have 10 KB.
  linkBytes: 64 << 10,
  // The indices of 150,000 files.
  selectionBytes: 1 << 20,
  // Two of the largest .torrent files, or many usual ones.
  bodyBytes: 64 << 20,
  // A client that reads nothing for a minute is taken to be gone.
  stalledMs: 60_000,
  // A player that reads nothing for so long has a full buffer or is paused; it opens a new stream when it continues.
  yieldMs: 60_000,
  // A film that was paused for buffering has filled its readahead window by then, unless its swarm is too slow.
  parkMs: 300_000
}
