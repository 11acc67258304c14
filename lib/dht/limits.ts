/** Names of the bounds that are plain numbers. */
type Bound =
  | 'datagramBytes'
  | 'transactionBytes'
  | 'openTransactions'
  | 'nodesPerAnswer'
  | 'peersPerAnswer'
  | 'peersPerLookup'
  | 'candidates'
  | 'questionsPerLookup'
  | 'candidatesPerNetwork'
  | 'insecureQuestions'
  | 'nodesPerNetwork'
  | 'strangerPings'
  | 'strangersWaiting'
  | 'peersPerInfoHash'
  | 'placesPerParty'
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
  | 'questionsPerSecond'
  | 'questionsPerAddress'
  | 'floodWindowMs'
  | 'countedAddresses'

/** Bounds on what strangers can make a DHT node do or keep, each with its reason. */
export const limits: {
  readonly decode: { readonly depth: number; readonly tokens: number }
  readonly answerPeers: { readonly 4: number; readonly 6: number }
} & Readonly<Record<Bound, number>> = {
  /** Bytes of a datagram that is looked at: BEP 32 asks for 1024, items (BEP 44) make it somewhat more. */
  datagramBytes: 4096,
  /** Nesting and values in a message; items may nest, nobody needs more. */
  decode: { depth: 20, tokens: 2000 },
  /** Bytes of a transaction id that is echoed; ours have 4. */
  transactionBytes: 32,
  /** Questions that wait for answers at the same time. */
  openTransactions: 1024,
  /** Nodes taken from one answer; BEP 5 sends 8, some send 16. */
  nodesPerAnswer: 16,
  /** Peers taken from one answer; more do not fit a datagram that arrives whole. */
  peersPerAnswer: 200,
  /** Different peers that one look-up yields: no swarm needs more, and hostile nodes invent them without end. */
  peersPerLookup: 5000,
  /** Nodes that one look-up remembers, the closest ones. */
  candidates: 200,
  /** Questions that one look-up asks before it gives up on coming closer. */
  questionsPerLookup: 160,
  /** Candidates of one network (/24 or /48) in a look-up: who owns a network owns all its addresses. */
  candidatesPerNetwork: 3,
  /** Nodes that break BEP 42 which one look-up asks although they count for nothing. */
  insecureQuestions: 24,
  /** Nodes of one network (/24 or /48) in a bucket. */
  nodesPerNetwork: 2,
  /** Strangers that asked us something and are pinged at the same time. */
  strangerPings: 8,
  /** Strangers that wait to be pinged; more are forgotten. */
  strangersWaiting: 32,
  /** Peers kept for one info hash; BEP 33 filters saturate at 6000, an answer holds 32. */
  peersPerInfoHash: 500,
  /** Peers of one /64 of IPv6 kept for one info hash: a household or a rack, while one host alone can name 2^64 addresses. */
  placesPerParty: 4,
  /** Info hashes with peers; those announced longest ago give way. */
  infoHashes: 5000,
  /** Peers in all; about 150 bytes each. */
  peers: 50_000,
  /** Milliseconds that an announced peer is kept; clients announce again every 15 minutes or so. */
  peerMs: 30 * 60_000,
  /** Items (BEP 44), each of 1000 bytes at most. */
  items: 1000,
  /** Milliseconds that an item is kept (BEP 44). */
  itemMs: 2 * 3_600_000,
  /** Bytes of an item's bencoded value (BEP 44). */
  itemBytes: 1000,
  /** Bytes of a salt (BEP 44). */
  saltBytes: 64,
  /** Bytes of an answer that are filled with nodes and then peers (BEP 32); only an item may make it larger. */
  answerBytes: 1024,
  /** Nodes in an answer to `get` however large the item is; with them it has some 1300 bytes, and arrives whole. */
  nodesBesideItem: 4,
  /** Peers in an answer, if there is room for them. */
  answerPeers: { 4: 32, 6: 16 },
  /** Info hashes in an answer to sample_infohashes (BEP 51). */
  samples: 20,
  /** Questions answered a second, for all askers. */
  answersPerSecond: 400,
  /** Bytes of answers a second, but to this machine: 100 usual ones, while forged questions for items would have us send ten times more. */
  answerBytesPerSecond: 40_000,
  /** Bytes of answers to one address, or one /64 of IPv6, within `floodWindowMs`: what a forger can turn on one victim. */
  answerBytesPerAddress: 20_000,
  /** Questions that we send a second. */
  questionsPerSecond: 200,
  /** Questions of one address, or one /64 of IPv6, within `floodWindowMs`; who asks more is ignored until the window is over. */
  questionsPerAddress: 100,
  /** Milliseconds. */
  floodWindowMs: 10_000,
  /** Addresses whose questions are counted. */
  countedAddresses: 4096
}
