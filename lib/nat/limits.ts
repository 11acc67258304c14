/**
 * Limits on what routers and other hosts of the local network can send or make us do while we ask for a port, each
 * with its reason.
 */
export const limits = {
  /** Bytes of a PCP packet (RFC 6887, section 7). */
  pcpBytes: 1_100,
  /** Bytes of an SSDP answer: real ones have 300 to 600, and a longer one does not fit into a packet. */
  ssdpBytes: 2_048,
  /** SSDP answers that are read in one search: each router sends up to a dozen, one for each of its services. */
  ssdpAnswers: 64,
  /** Hosts whose descriptions are fetched in one search: a network has one router, and perhaps a few access points. */
  descriptions: 4,
  /** Bytes of an HTTP answer of a router: descriptions have 3 to 20 KiB. */
  httpBytes: 65_536,
  /** Milliseconds of an HTTP request: slow routers take a second or two. */
  httpMs: 5_000,
  /** Elements of an XML document: a description of 64 KiB has at most some 1,500. */
  xmlElements: 2_000,
  /** Depth of an XML document: descriptions have 8 levels. */
  xmlDepth: 32,
  /** Services of a description that are asked for a port: routers have one for each kind of uplink. */
  services: 4,
  /** Characters of a text from a router that go into a reason or a log. */
  reasonChars: 120,
  /** Other external ports that are tried when one is taken; more would be a flood. */
  conflicts: 10,
  /** Minimum milliseconds between two renewals because of an announcement, which any host can forge. */
  announcementMs: 30_000,
  /** Minimum milliseconds between two renewals: a lease of a second must not make us a flood. */
  renewalMs: 15_000
} as const
