/** Bounds on what peers, trackers, magnet links and the DHT can push into this folder, each with its reason. */
export const limits = {
  /**
   * Ports of one host (in IPv6: of one /64) in an address book that never answered a dial, and that are dialled within `portMs`: a
   * household or a rack has a few peers, and more ports are a scan of that host. Ports that answered do not count, so that a carrier's
   * NAT with many peers is reached in the end.
   */
  portsPerHost: 4,
  /** How long a dial that was not answered keeps one of these ports: as long as the longest back-off, so that it is dialled again before. */
  portMs: 3_600_000,
  /** Dials to one host at once that were not answered: a seedbox that shares ten torrents with us is dialled for each of them. */
  hostDials: 10,
  /** Milliseconds after which one of these is forgiven: a host that is no peer gets ten connections a minute. */
  hostDialMs: 6000,
  /** The same for one network (/24, in IPv6 /48): attackers rotate hosts, while honest peers of one network seldom number more. */
  networkDials: 20,
  /** Milliseconds after which one of these is forgiven: a network without peers gets twenty connections a minute from all torrents. */
  networkDialMs: 3000,
  /** Hosts whose dials are remembered, those dialled last: at 30 dials a second nine minutes' worth, and 4 MB. */
  dialledHosts: 16_384,
  /** The same for networks, which are forgiven within a minute. */
  dialledNetworks: 4096,
  /**
   * Connections of a torrent with one public host, in IPv6 with one /48, which has one holder: several peers may be behind one router,
   * but none is to take all places.
   */
  peersPerHost: 16,
  /** Connections of all torrents with one network (/24, in IPv6 /48) that others cannot claim; a quarter of few places. */
  networkShare: 16,
  /** Bytes per second that keep a peer of a network with more than its share: 200 of them are of more use than others would be. */
  neededRate: 16_384,
  /** Dials under way for which connections of such a network are closed: more would empty it for addresses that never answer. */
  crowdedDials: 10,
  /** How long to wait with a dial, in milliseconds, when all connections of networks with more than their share are needed. */
  crowdedMs: 5000,
  /** A ban costs some 100 bytes; more bad hosts than this are an attack that bans cannot answer. */
  bans: 4096,
  /** We have few addresses, but a peer may pretend to be us once for each connection. */
  selves: 64,
  /** The part of an address book that the addresses of one host may fill that tells them by PEX, so that none decides which peers are dialled. */
  sourceShare: 0.2
} as const
