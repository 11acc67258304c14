/** Limits on what trackers can send, and time spans of this folder, each with its reason. */
export const limits = {
  /** Peers used from one reply: no client dials more before the next reply. */
  peersPerReply: 4096,
  /** Unread peers of an announcement, as many as one reply brings. The oldest are dropped, because they are the likeliest to be gone. */
  unreadPeers: 4096,
  /** Characters of a tracker's text in a message or log: enough for the sentence or two that trackers send. */
  textLength: 200,
  /** Bytes of a tracker id, which becomes a part of each request. */
  trackerIdBytes: 256,
  /**
   * Trackers of one announcement, because each may cost a socket and a DNS look-up; the first ones are used. A torrent has one announcement
   * per call of `TrackerSet.add`.
   */
  trackers: 100,
  /** Nested lists and dictionaries: a scrape reply has 3. */
  bencodeDepth: 16,
  /** Values of one reply: 4,096 peers as dictionaries are 29,000. */
  bencodeTokens: 200_000,
  /** Info hashes of one UDP scrape: 74 fill a datagram that is not fragmented (BEP 15). */
  scrapeHashes: 74,
  /** Peers to ask for by UDP over IPv6: 66 fill a datagram of 1,232 bytes, which is never fragmented. */
  udpPeersIpv6: 66,
  /** Milliseconds for which a UDP connection id is valid (BEP 15). */
  connectionIdMs: 60_000,
  /** Connection ids kept, because each server costs one. The oldest are dropped; the next request to their server costs one more round trip. */
  connectionIds: 1024,
  /** Milliseconds to wait for the second address family once the first has answered; a broken one may take minutes to time out. */
  familyGraceMs: 5_000
} as const
