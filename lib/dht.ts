export { type DhtHostLookup, publicBootstrap } from './dht/bootstrap.ts'
export { DHT } from './dht/dht.ts'
export type {
  DhtAnnounceOptions,
  DhtLookupOptions,
  DhtOptions,
  DhtState,
  MutableName,
  PerFamily,
  PutRequest
} from './dht/dht-options.ts'
export { immutableTarget, mutableTarget } from './dht/item.ts'
export type { DhtItem, PutResult } from './dht/item-access.ts'
export type { DatagramClaim, DatagramPort } from './net/datagram-port.ts'
export type { PeerAddress } from './util/address.ts'
export type { Timers } from './util/timers.ts'
