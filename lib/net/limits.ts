/** Bounds on all that a server can push at our HTTP requests and look-ups, and others at our ports, each with its reason. */
export const limits = {
  /** Bytes of the head of an HTTP answer: some have cookies of 20 kB. */
  headBytes: 65_536,
  /** Bytes of an HTTP body as sent: 1 MiB of a tracker's answer holds 170,000 peers, more than any torrent needs. */
  bodyBytes: 1_048_576,
  /** Bytes of an HTTP body after inflation: a gzip bomb grows a thousandfold. */
  inflatedBytes: 2_097_152,
  /** Redirects in a row; browsers follow 20, a tracker needs 1 or 2. */
  redirects: 5,
  /** How long a host name may take to resolve. */
  resolveMs: 20_000,
  /**
   * Accepted connections that have not said enough yet: with 1,700 silent ones a second, each stays for 300 ms, the round trip of a far
   * peer. With the connections in use and open files they stay below the 1024 that some systems grant a process.
   */
  incomingSockets: 512,
  /** Incoming sockets of one network (/24, in IPv6 /48) while others want them. */
  incomingPerNetwork: 64,
  /** How long a connection may take to say enough, in milliseconds. */
  incomingMs: 10_000,
  /** Pieces in which its first bytes may come: peers send them at once, and each costs as much as a connection. */
  incomingReads: 8
} as const
