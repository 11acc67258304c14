import { isIP, type LookupFunction } from 'node:net'
import { isAddress, isLoopback } from '../util/address.ts'
import { asError, TorrentError } from '../util/errors.ts'
import { type IpScope, ipScope } from '../util/ip-scope.ts'
import { findAddresses, type HostLookup, systemHostLookup } from './resolve-host.ts'
import { trackerName } from './tracker-url.ts'

/** How far each scope reaches, as a number to compare. */
export const reach: Record<IpScope, number> = { loopback: 0, private: 1, global: 2 }

/**
 * Why an address of this scope may not be asked for this URL, or undefined when it may: a redirect must not lead to a more
 * local network than `leastReach`, and on this machine the path must be a tracker's.
 */
export function refusal(url: URL, scope: IpScope, leastReach: number): TorrentError | undefined {
  const refuse = (why: string): TorrentError =>
    new TorrentError('ERR_TRACKER_URL', `${trackerName(url)} is refused: ${why}`, {
      details: { url: url.href }
    })
  if (reach[scope] < leastReach)
    return refuse('a tracker may not redirect to a more local network than its own')
  if (scope === 'loopback' && !/\/(announce|scrape)[^/]*$/.test(url.pathname)) {
    return refuse("on this machine the path of a tracker ends with '/announce'")
  }
  return undefined
}

/**
 * Whether a tracker may name this peer, as near as the address from which it answered: who makes a torrent chooses its tracker, and
 * must not make us knock at our own services through it, nor at machines behind our router. A name may mean any address, and is for
 * whoever resolves it.
 */
export function mayName(tracker: IpScope, peer: string): boolean {
  if (isLoopback(peer)) return tracker === 'loopback'
  return !isAddress(peer) || reach[ipScope(peer)] >= reach[tracker]
}

/**
 * A `lookup` for sockets that leaves out what `guard` refuses. The check is made on the very address that is connected to,
 * so that a name cannot change its mind in between.
 */
export function guardedLookup(
  guard: (address: string) => TorrentError | undefined,
  {
    lookup = systemHostLookup,
    family
  }: { readonly lookup?: HostLookup | undefined; readonly family?: 4 | 6 | undefined } = {}
): LookupFunction {
  return (host, { all }, callback) => {
    const found = (list: readonly string[]): void => {
      const wanted = list.filter(
        (address) => isIP(address) !== 0 && (family ?? isIP(address)) === isIP(address)
      )
      const allowed = wanted.filter((address) => guard(address) === undefined)
      const [first] = allowed
      const [blocked] = wanted
      if (first === undefined) {
        const reason = blocked === undefined ? undefined : guard(blocked)
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
