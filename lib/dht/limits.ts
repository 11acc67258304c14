/** Names of the limits that are plain numbers. */
type Bound =
  | 'datagramBytes'
  | 'transactionBytes'
  | 'openTransactions'
  | 'nodesPerAnswer'
  | 'peersPerAnswer'
  | 'peersPerLookup'
  | 'candidates'
  | 'queriesPerLookup'
  | 'candidatesPerNetwork'
  | 'insecureQueries'
  | 'nodesPerNetwork'
  | 'concurrentPings'
  | 'waitingPings'
  | 'peersPerInfoHash'
  | 'peersPerParty'
  | 'infoHashes'
  | 'peers'
  | 'peerMs'
  | 'items'
  | 'itemMs'
  | 'itemBytes'
  | 'saltBytes'
  | 'samples'
  | 'answerBytes'
  | 'nodesBesideItem'
  | 'answersPerSecond'
  | 'answerBytesPerSecond'
  | 'answerBytesPerAddress'
  | 'queriesPerSecond'
  | 'queriesPerAddress'
  | 'floodWindowMs'
  | 'countedAddresses'

/** Limits on the work and memory that other nodes can cause, each with its reason. */
export const limits: {
  readonly decode: { readonly depth: number; readonly tokens: number }
  readonly answerPeers: { readonly 4: number; readonly 6: number }
} & Readonly<Record<Bound, number>> = {
  /** Maximum size of an accepted datagram, in bytes. BEP 32 requires 1024; items (BEP 44) need somewhat more. */
  datagramBytes: 4096,
  /** Maximum nesting and number of values of a message. Items may nest; no other message needs more. */
  decode: { depth: 20, tokens: 2000 },
  /** Maximum length of a transaction id that we echo, in bytes. Ours have 4. */
  transactionBytes: 32,
  /** Maximum number of outstanding queries. */
  openTransactions: 1024,
  /** Maximum number of nodes taken from one response. BEP 5 sends 8, some implementations 16. */
  nodesPerAnswer: 16,
  /** Maximum number of peers taken from one response. More do not fit into a datagram that arrives unfragmented. */
  peersPerAnswer: 200,
  /** Maximum number of distinct peers from one lookup. No swarm needs more, and hostile nodes invent them without end. */
  peersPerLookup: 5000,
  /** Maximum number of nodes that one lookup remembers, closest first. */
  candidates: 200,
  /** Maximum number of queries of one lookup. */
  queriesPerLookup: 160,
  /** Maximum number of candidates per network (/24 or /48) in a lookup: the owner of a network controls all its addresses. */
  candidatesPerNetwork: 3,
  /** Maximum number of insecure nodes (BEP 42) that one lookup queries; as many more may wait. They are not counted as closest. */
  insecureQueries: 24,
  /** Maximum number of nodes per network (/24 or /48) in a bucket. */
  nodesPerNetwork: 2,
  /** Maximum number of concurrent pings to nodes that queried us or were named by peers. */
  concurrentPings: 8,
  /** Maximum number of such nodes that wait for a ping; more are dropped. */
  waitingPings: 32,
  /** Maximum number of peers per info hash. BEP 33 filters saturate at 6000, and a response holds 32. */
  peersPerInfoHash: 500,
  /** Maximum number of peers per info hash and IPv6 /64. A household has several hosts, but one host can use all 2^64 addresses. */
  peersPerParty: 4,
  /** Maximum number of info hashes with peers; those announced least recently are evicted. */
  infoHashes: 5000,
  /** Maximum number of peers in all; about 150 bytes each. */
  peers: 50_000,
  /** Milliseconds that an announced peer is kept. Clients repeat announces about every 15 minutes. */
  peerMs: 30 * 60_000,
  /** Maximum number of items (BEP 44), each of at most 1000 bytes. */
  items: 1000,
  /** Milliseconds that an item is kept (BEP 44). */
  itemMs: 2 * 3_600_000,
  /** Maximum bytes of an item's bencoded value (BEP 44). */
  itemBytes: 1000,
  /** Maximum bytes of a salt (BEP 44). */
  saltBytes: 64,
  /** Size up to which a response is filled with nodes and then peers, in bytes (BEP 32). Only an item may exceed it. */
  answerBytes: 1024,
  /** Minimum number of nodes in a response to `get`, however large the item is. The total of about 1300 bytes arrives unfragmented. */
  nodesBesideItem: 4,
  /** Maximum number of peers in a response, by address family. */
  answerPeers: { 4: 32, 6: 16 },
  /** Number of info hashes in a response to sample_infohashes (BEP 51). */
  samples: 20,
  /** Maximum number of queries answered per second, from all addresses. */
  answersPerSecond: 400,
  /** Bytes of responses per second, except to this machine: about 100 of typical size. `answersPerSecond` alone would allow 400 large items. */
  answerBytesPerSecond: 40_000,
  /** Maximum bytes of responses to one address, or one IPv6 /64, per `floodWindowMs`. Bounds what forged queries can send to one victim. */
  answerBytesPerAddress: 20_000,
  /** Maximum number of queries that we send per second. */
  queriesPerSecond: 200,
  /** Maximum number of queries from one address, or one IPv6 /64, per `floodWindowMs`. Further ones are ignored until the window is over. */
  queriesPerAddress: 100,
  /** Length of the window in which queries and bytes are counted, in milliseconds. */
  floodWindowMs: 10_000,
  /** Maximum number of addresses with counters. */
  countedAddresses: 4096
}
