import type { Agent } from 'node:http'
import type { Timers } from '../util/timers.ts'
import type { HostLookup } from './resolve-host.ts'

/** @internal How HTTP servers are reached: the options that requests and trackers share. */
export interface HttpOptions {
  /** Longest time of an HTTP request, redirects included; default 30,000. */
  readonly timeoutMs?: number | undefined
  /** Longest silence of an HTTP server; default 15,000. */
  readonly idleTimeoutMs?: number | undefined
  /** The only address family to use; default that of the local address, or both. */
  readonly family?: 4 | 6 | undefined
  /** The local address that HTTP connections leave from; default that of the network. */
  readonly localAddress?: string | undefined
  /** Trusted certificates (PEM) instead of the built-in ones. */
  readonly ca?: string | readonly string[] | undefined
  /** The agent of HTTP connections, such as a proxy's; default is a connection of its own for each request. */
  readonly agent?: ((url: URL) => Agent) | undefined
  /** Resolves host names; default is the resolver of the network. */
  readonly lookup?: HostLookup | undefined
  /** The clock and timers, for tests. */
  readonly timers?: Timers | undefined
}
