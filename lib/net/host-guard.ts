import type { LookupFunction } from 'node:net'
import { isIP } from '../util/address.ts'
import { asError, TorrentError } from '../util/errors.ts'
import type { IpScope } from '../util/ip-scope.ts'
import { redactUrl } from '../util/redact.ts'
import { findAddresses, type HostLookup } from './resolve-host.ts'
import { serverName } from './url-host.ts'

/** How far each scope reaches, as a number to compare. */
export const reach: Record<IpScope, number> = { loopback: 0, private: 1, global: 2 }

/**
 * Says why an address of this scope may not be asked for this URL, or undefined when it may; `hop` counts the redirects that led there.
 */
export type HostGuard = (scope: IpScope, hop: number) => string | undefined

/** The guard of URLs that the program or the command line gives: they lead anywhere. */
export const anywhere: HostGuard = () => undefined

/** The guard of URLs that lead to public hosts alone. */
export const publicOnly: HostGuard = (scope) =>
  scope === 'global' ? undefined : 'it leads to this machine or into a local network'

/** Why an address of this scope may not be asked, as the error to throw: the guard's reason, or a redirect that leads nearer than `leastReach`. */
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

/** The addresses that {@link socketLookup} may give. */
export interface SocketLookupOptions {
  /** The only address family. */
  readonly family?: 4 | 6 | undefined
  /** Returns why an address may not be connected to, or undefined when it may. */
  refuse?(address: string): Error | undefined
}

/**
 * Makes a `lookup` for sockets that leaves out what may not be connected to. The check is made on the very address that is connected to,
 * so that a name cannot change its mind in between.
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
