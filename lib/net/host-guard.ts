import type { LookupFunction } from 'node:net'
import { isIP } from '../util/address.ts'
import { asError, TorrentError } from '../util/errors.ts'
import { type IpScope, ipScope } from '../util/ip-scope.ts'
import { redactUrl } from '../util/redact.ts'
import { findAddresses, type HostLookup } from './resolve-host.ts'
import { serverName } from './url-host.ts'

/** Reach of each scope, for comparison. */
export const reach: Record<IpScope, number> = { loopback: 0, private: 1, global: 2 }

/**
 * Returns why an address of this scope may not be used for a URL, or undefined if it may; `hop` counts the
 * redirects so far.
 */
export type HostGuard = (scope: IpScope, hop: number) => string | undefined

/** Allows any address: the guard of URLs from the program or the command line. */
export const anywhere: HostGuard = () => undefined

/** Allows public addresses only. */
export const publicOnly: HostGuard = (scope) =>
  scope === 'global' ? undefined : 'it leads to this machine or into a local network'

/**
 * Returns the error that refuses an address of this scope, or undefined if it is allowed. Addresses are
 * refused by the guard, or because a redirect leads to a more local scope than `leastReach`.
 */
export function refusal(
  url: URL,
  scope: IpScope,
  hop: number,
  { guard, leastReach = 0 }: { readonly guard: HostGuard; readonly leastReach?: number }
): TorrentError | undefined {
  const why =
    reach[scope] < leastReach
      ? 'a redirect may not lead to a more local network than the host that redirects'
      : guard(scope, hop)
  if (why === undefined) return undefined
  return new TorrentError('ERR_TRACKER_URL', `${serverName(url)} is refused: ${why}`, {
    details: { url: redactUrl(url) }
  })
}

/** Names without a dot, and domains that are reserved for local networks. */
const localNames = /^[^.]*$|\.(?:local|internal|lan|home|corp|home\.arpa)$/

/**
 * Returns the scope of an address or, judged by its form alone, of a host name that a proxy
 * resolves.
 */
export function scopeOfName(host: string, scopeOf: (address: string) => IpScope = ipScope): IpScope {
  if (isIP(host) !== 0) return scopeOf(host)
  const name = host.toLowerCase().replace(/\.$/, '')
  if (name === 'localhost' || name.endsWith('.localhost')) return scopeOf('127.0.0.1')
  return localNames.test(name) ? 'private' : 'global'
}

/** Options of {@link socketLookup}. */
export interface SocketLookupOptions {
  /** The only address family to use; default both. */
  readonly family?: 4 | 6 | undefined
  /** Returns the error that refuses an address, or undefined if it is allowed. */
  refuse?(address: string): Error | undefined
}

/**
 * Returns a `lookup` for sockets that omits refused addresses. It checks the address that the socket connects
 * to, so that a second DNS answer cannot bypass the check.
 */
export function socketLookup(
  lookup: HostLookup,
  { family, refuse = () => undefined }: SocketLookupOptions = {}
): LookupFunction {
  return (host, { all }, callback) => {
    const found = (list: readonly string[]): void => {
      const wanted = list.filter(
        (address) => isIP(address) !== 0 && (family ?? isIP(address)) === isIP(address)
      )
      const allowed = wanted.filter((address) => refuse(address) === undefined)
      const [first] = allowed
      const [blocked] = wanted
      if (first === undefined) {
        const reason = blocked === undefined ? undefined : refuse(blocked)
        callback(reason ?? Object.assign(new Error(`'${host}' has no address`), { code: 'ENOTFOUND' }), '')
      } else if (all === true) {
        const entries = allowed.map((address) => ({ address, family: isIP(address) }))
        callback(null, entries)
      } else {
        callback(null, first, isIP(first))
      }
    }
    findAddresses(host, lookup).then(found, (error) => callback(asError(error), ''))
  }
}
