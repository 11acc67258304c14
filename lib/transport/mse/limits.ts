/** Limits on what a peer can send or cause during the MSE handshake, each with its reason. */
export const limits = {
  /** Maximum bytes of each padding: PadA to PadD have at most 512 (MSE). */
  padBytes: 512,
  /**
   * Maximum chunks in which the peer's part of the handshake arrives: real peers need two or three, and each
   * chunk costs as much as a message.
   */
  reads: 32,
  /** Key exchanges of incoming connections in a second: each costs 0.6 ms of CPU, so a flood takes 6 % of a core. */
  exchangesPerSecond: 100,
  /** Key exchanges at once: a burst of honest peers after an announce does not wait. */
  exchangeBurst: 20,
  /** Approximate milliseconds of CPU of one key exchange, which count against the host that dialled. */
  exchangeMs: 0.8,
  /** Key pairs made in advance: a pair takes 0.2 ms to make, and dials come a few at a time. */
  keyPairs: 4
} as const
