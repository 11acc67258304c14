import type { DatagramPort } from '../net/datagram-port.ts'
import type { Gateway } from '../net/gateways.ts'
import type { HttpClient } from '../net/http-client.ts'
import type { MulticastOptions, MulticastPort } from '../net/multicast-port.ts'

/** The part of a client's network that port mapping uses. */
export interface NatNetwork {
  /** Sends requests to routers. */
  readonly http: Pick<HttpClient, 'ask'>
  /** Returns the routers of the private networks that we are in. */
  gateways(): Promise<readonly Gateway[]>
  /** Binds a UDP port of one local address. */
  separateUdpPort(host: string): Promise<DatagramPort>
  /** Joins a multicast group. */
  multicast(options: Omit<MulticastOptions, 'host'>): Promise<Pick<MulticastPort, 'close'> | undefined>
}
