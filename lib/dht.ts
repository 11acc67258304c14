export { type DhtHostLookup, publicBootstrap } from './dht/bootstrap.ts'
export { DHT, type DhtItem, type PutResult } from './dht/dht.ts'
export type {
  DhtAnnounceOptions,
  DhtLookupOptions,
  DhtOptions,
  DhtState,
  MutableName,
  PutRequest
} from './dht/dht-options.ts'
export { immutableTarget, mutableTarget } from './dht/item.ts'
export type { PeerAddress } from './util/address.ts'
export type { DatagramClaim, DatagramPort } from './util/datagram-port.ts'
export type { Timers } from './util/timers.ts'
