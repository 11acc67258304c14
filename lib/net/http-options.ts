import type { Agent } from 'node:http'
import type { Timers } from '../util/timers.ts'
import type { HostLookup } from './resolve-host.ts'

/** @internal HTTP options that requests and trackers share. */
export interface HttpOptions {
  /** Maximum milliseconds of an HTTP request, including redirects; default 30,000. */
  readonly timeoutMs?: number | undefined
  /** Maximum milliseconds without data from an HTTP server; default 15,000. */
  readonly idleTimeoutMs?: number | undefined
  /** The only address family to use; default that of the local address, or both. */
  readonly family?: 4 | 6 | undefined
  /** Local address for HTTP connections; default that of the network. */
  readonly localAddress?: string | undefined
  /** Trusted CA certificates (PEM) instead of the built-in ones. */
  readonly ca?: string | readonly string[] | undefined
  /** Returns the agent for a URL, such as a proxy agent; default a new connection for each request. */
  readonly agent?: ((url: URL) => Agent) | undefined
  /** Resolves host names; default the network's resolver. */
  readonly lookup?: HostLookup | undefined
  /** Clock and timers; for tests. */
  readonly timers?: Timers | undefined
}
