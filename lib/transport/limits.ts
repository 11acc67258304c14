/** Bounds on the CPU that the messages of one host cost, blocks that we requested and uploads apart, each with its reason. */
export const limits = {
  /**
   * The part of a core that a host may use for good: with the burst below 4 % over any 10 s. It may use 5, but not all that it costs can
   * be measured, and a busy machine needs more time for the same. Busy peers use less than 1 %.
   */
  handlingPart: 0.02,
  /** Milliseconds that a host may use at once: the bitfield of the largest torrent takes about 10. */
  handlingBurstMs: 200,
  /** Milliseconds that a host may have to wait before its connections are closed. */
  handlingWaitMs: 10_000,
  /** Milliseconds for which a host may use more than half of its burst before its connections are closed. */
  handlingBusyMs: 60_000,
  /** Hosts that are counted at a time; each is forgotten once it has used less than its part. */
  handlingHosts: 4096,
  /** So much more than the time of its own a message costs, for the system's part and for garbage; measured, 1.2 to 2. */
  handlingOverhead: 2,
  /** Milliseconds that it costs to accept a connection, to wait for its first bytes and to close it, about. */
  acceptedMs: 0.3,
  /** Milliseconds that it costs besides to answer a peer's handshake, about; what its messages cost is measured. */
  greetedMs: 0.7,
  /** Milliseconds that it costs to accept a connection that is closed at once, about. */
  refusedMs: 0.04
} as const
