/** Bounds on all that a tracker can push, and the spans of time of this folder, each with its reason. */
export const limits = {
  /** Peers taken from one reply; what is beyond is dropped, because no client dials so many before the next one. */
  peersPerReply: 4096,
  /** Peers that wait unread; the oldest are dropped. */
  unreadPeers: 4096,
  /** Characters of a tracker's text that reach a message or a log. */
  textLength: 200,
  /** Bytes of a tracker id that is sent back, since it becomes a part of each request. */
  trackerIdBytes: 256,
  /** Trackers of one torrent, since each may cost a socket and a name look-up; the first ones count. */
  trackers: 100,
  /** Nested lists and dictionaries: a scrape reply has 3. */
  bencodeDepth: 16,
  /** Values of one reply; 4096 peers as dictionaries are 29,000. */
  bencodeTokens: 200_000,
  /** Info hashes of one UDP scrape: 74 fill a datagram that no network splits (BEP 15). */
  scrapeHashes: 74,
  /** Peers asked for by UDP over IPv6: 66 fill a datagram of 1232 bytes, which is never split on its way. */
  udpPeersIpv6: 66,
  /** How long a UDP connection id may be used (BEP 15). */
  connectionIdMs: 60_000,
  /** Connection ids kept; the oldest go first. */
  connectionIds: 1024,
  /** How long the second address family is waited for once the first has answered. */
  familyGraceMs: 5_000
} as const
