/** Protocol by which a router forwards a port. */
export type NatProtocol = 'pcp' | 'nat-pmp' | 'upnp'

/** Transport protocol of a forwarded port. */
export type NatTransport = 'tcp' | 'udp'

/** A port that a router should forward to us. */
export interface MappingRequest {
  readonly transport: NatTransport
  /** Our port. */
  readonly port: number
  /** Port of the router to ask for. */
  readonly externalPort: number
}

/** A port that a router forwards to us. */
export interface Mapping {
  readonly externalPort: number
  /** Milliseconds until the router drops it; `Infinity` if it never does. */
  readonly lifetimeMs: number
}

/** The reason why a router does not forward a port. */
export interface Refusal {
  /** A sentence without its subject, the router. */
  readonly refused: string
}

/** A router that may forward ports, by one protocol. */
export interface Router {
  readonly protocol: NatProtocol
  /** Address of the router in the local network. */
  readonly host: string
  /** Our address in that network. */
  readonly local: string
  /** Address of the router on the internet; undefined before a mapping, and if it has none. */
  readonly externalAddress: string | undefined
  /** Maps a port, or renews its mapping. Never rejects; if the signal aborts, resolves to a refusal and removes what may be mapped. */
  map(request: MappingRequest, signal: AbortSignal): Promise<Mapping | Refusal>
  /** Removes a port mapping. Never rejects; resolves when the router has answered, or after few tries. */
  unmap(request: MappingRequest, signal: AbortSignal): Promise<void>
  /** Releases what it uses; mapped ports stay. */
  close(): void
}

/** Returns whether a router has refused. */
export function isRefusal(answer: Mapping | Refusal): answer is Refusal {
  return 'refused' in answer
}
