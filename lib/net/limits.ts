/**
 * Limits on what servers can send to our HTTP requests and look-ups, and what peers can open on our ports,
 * each with its reason.
 */
export const limits = {
  /** Bytes of an HTTP response head: some servers send 20 kB of cookies. */
  headBytes: 65_536,
  /** Bytes of an HTTP body as sent: 1 MiB of a tracker response holds 170,000 peers, more than any torrent needs. */
  bodyBytes: 1_048_576,
  /** Bytes of an HTTP body after decompression: a gzip bomb expands a thousandfold. */
  inflatedBytes: 2_097_152,
  /** Consecutive redirects; browsers follow 20, a tracker needs 1 or 2. */
  redirects: 5,
  /** Bytes of an HTTP proxy's answer to CONNECT: a status and a few headers. */
  proxyHeadBytes: 16_384,
  /** Dials in progress through a proxy: it is one host, and many have a limit on connections of their own. */
  proxyHalfOpen: 20,
  /** Datagrams that wait for a UDP relay: the first requests of the DHT and of UDP trackers. */
  relayQueue: 256,
  /** Lines of the routing table that are read: machines with containers have some hundred. */
  routes: 4_096,
  /** Routers that are asked for a port: more than two uplinks are rare, and a guess takes two addresses. */
  gateways: 4,
  /** Milliseconds to resolve a host name. */
  resolveMs: 20_000,
  /**
   * Accepted connections that have not sent enough yet. At 1,700 silent ones a second, each stays for 300 ms,
   * the round trip of a distant peer. Together with established connections and open files they stay below
   * the 1,024 descriptors that some systems grant a process.
   */
  incomingSockets: 512,
  /**
   * At `incomingSockets`, a newcomer from a network (/24, in IPv6 /48) with this many of them replaces the oldest of
   * that network; any other newcomer replaces the oldest of all.
   */
  incomingPerNetwork: 64,
  /** Milliseconds in which a connection must send enough. */
  incomingMs: 10_000,
  /**
   * Chunks in which the first bytes may arrive: real peers send them at once, and each chunk costs as much as
   * a connection.
   */
  incomingReads: 8
} as const
