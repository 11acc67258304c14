import type { NatProtocol, NatTransport } from './router.ts'

/** Whether peers on the internet can reach the client through its router. Plain data. */
export interface NatStatus {
  /**
   * - `off`: the option `natTraversal` is off, or the client is on a loopback `host`.
   * - `searching`: routers are being asked.
   * - `mapped`: the router forwards a port to us.
   * - `double-nat`: so it does, but its own address is not public: it is behind another router, or that of the provider.
   * - `failed`: no router forwards a port; `reason` says why. It is tried again later, and when the network changes.
   */
  readonly state: 'off' | 'searching' | 'mapped' | 'double-nat' | 'failed'
  /** Protocol by which the port is mapped. */
  readonly protocol?: NatProtocol | undefined
  /** Address of the router in the local network. */
  readonly gateway?: string | undefined
  /** Address of the router on the internet, as far as it tells. */
  readonly externalAddress?: string | undefined
  /** Port of the router that it forwards. Trackers, DHT and peers hear of it while `mapped`. */
  readonly externalPort?: number | undefined
  /** Transport protocols that the router forwards. */
  readonly transports?: readonly NatTransport[] | undefined
  /** Sentence for people: why the port is not mapped, or of no use. */
  readonly reason?: string | undefined
}
