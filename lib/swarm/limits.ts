/** Bounds on what peers can hold open here before their handshake, each with its reason. */
export const limits = {
  /** Milliseconds that a connection may take for the handshake: a far and busy peer needs a few round trips. */
  handshakeMs: 10_000,
  /**
   * Incoming connections whose handshake has not been read: it may wait for its turn in the download limit. An honest peer sends it
   * within a round trip, so more are a flood, and the one that waits longest is the least likely to be a peer.
   */
  incomingHandshakes: 64
} as const
