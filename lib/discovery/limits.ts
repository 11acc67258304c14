/** Limits on what peers, trackers, magnet links and the DHT can make us store or dial, each with its reason. */
export const limits = {
  /**
   * Unanswered ports of one host (in IPv6, one /64) in an address book, and unanswered ports dialled within
   * `portMs`. A household or rack has few peers; more ports are a port scan. Ports that answered do not
   * count, so that many peers behind a carrier-grade NAT can be reached over time.
   */
  portsPerHost: 4,
  /**
   * Milliseconds for which an unanswered port counts: the longest back-off (an hour) and five minutes, in which the
   * dial fails and the retry waits for its turn. A port thus stays counted while it is retried, and new ports of its host
   * cannot take its place.
   */
  portMs: 3_900_000,
  /** Unanswered dials to one host: a seedbox that shares ten torrents with us is dialled once for each. */
  hostDials: 10,
  /** Milliseconds after which one of these dials is forgiven: a host without peers gets ten dials a minute. */
  hostDialMs: 6000,
  /**
   * Unanswered dials to one network (/24, in IPv6 /48): attackers rotate hosts, and a network seldom
   * has more honest peers.
   */
  networkDials: 20,
  /**
   * Milliseconds after which one of these dials is forgiven: a network without peers gets twenty dials a
   * minute from all torrents.
   */
  networkDialMs: 3000,
  /** Hosts whose dials are tracked, the latest ones: nine minutes' worth at 30 dials a second, 4 MB. */
  dialledHosts: 16_384,
  /** Networks whose dials are tracked; their dials are forgiven within a minute. */
  dialledNetworks: 4096,
  /**
   * Connections of a torrent to one public host (in IPv6, one /48). Several peers may share a router, but one
   * holder must not take all connections.
   */
  peersPerHost: 16,
  /**
   * Connections of all torrents to one network (/24, in IPv6 /48) that are never evicted for other networks;
   * a quarter of the maximum if that is lower.
   */
  networkShare: 16,
  /**
   * Bytes per second at which a connection of a network above its share is not evicted: it is more useful
   * than a replacement would be.
   */
  neededRate: 16_384,
  /**
   * Maximum number of dials in progress for which connections of networks above their share are evicted: more would
   * close working connections for addresses that never answer.
   */
  crowdedDials: 10,
  /** Milliseconds to delay dials when all connections of networks above their share are needed. */
  crowdedMs: 5000,
  /** A ban costs some 100 bytes; more bad hosts than this are an attack that bans cannot stop. */
  bans: 4096,
  /** Own addresses that are remembered, so as not to dial them: we have few, but a peer can pretend to be us once per connection. */
  selves: 64,
  /** Fraction of an address book that one host may fill by PEX, so that no single host decides which peers are dialled. */
  sourceShare: 0.2
} as const
