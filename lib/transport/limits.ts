/** Bounds on the CPU that the messages of one host cost, without requested blocks and uploads, each with its reason. */
export const limits = {
  /**
   * Part of a core that a host may use permanently, and milliseconds that it may use at once: together 4 % over any 10 s, so that with the
   * error of measurement it stays below 5 %. Busy peers use less than 1 %; the bitfield of the largest torrent takes about 10 ms.
   */
  handling: { part: 0.02, burstMs: 200 },
  /** The same for a shared host, exactly 5 %: many honest connections may come from it, and they would wait for their handshakes. */
  sharedHandling: { part: 0.025, burstMs: 250 },
  /** Shortest wait of an open connection, in milliseconds: each wait costs a timer and a system call, as much as many messages. */
  handlingPauseMs: 100,
  /** Longest wait of a host, in milliseconds, before its connections are closed. */
  handlingWaitMs: 10_000,
  /** Milliseconds for which a host may stay above half of its burst before its connections are closed. */
  handlingBusyMs: 60_000,
  /** Number of hosts that are counted at a time; a host is forgotten once its count is 0. */
  handlingHosts: 4096,
  /** Factor for the costs of a message in the system and in garbage collection; measured as 1.2 to 1.8. */
  handlingOverhead: 1.8,
  /** Approximate milliseconds to accept a connection, wait for its first bytes and close it. */
  acceptedMs: 0.25,
  /** Approximate milliseconds to answer a handshake; the cost of messages is measured. */
  handshakeMs: 0.7,
  /** Approximate milliseconds to accept a connection and close it at once. */
  refusedMs: 0.04
} as const
