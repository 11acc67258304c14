/** Limits on connections before their handshake, each with its reason. */
export const limits = {
  /** Handshake timeout in milliseconds: a distant, busy peer needs a few round trips. */
  handshakeMs: 10_000,
  /**
   * Maximum incoming connections without a handshake. An honest peer sends it within a round trip, although the download limit can delay
   * the read. More are a flood, and the connection that waits longest is the least likely to be a real peer.
   */
  incomingHandshakes: 64
} as const
