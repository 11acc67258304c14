import { isIP, type LookupFunction } from 'node:net'
import { isAddress, isLoopback } from '../util/address.ts'
import { asError, TorrentError } from '../util/errors.ts'
import { type IpScope, ipScope } from '../util/ip-scope.ts'
import { decodePercent, redactUrl } from '../util/redact.ts'
import type { Trust } from '../util/trust.ts'
import { findAddresses, type HostLookup, systemHostLookup } from './resolve-host.ts'
import { trackerName } from './tracker-url.ts'

/** A path that is encoded more often than this is none of a tracker. */
const mostDecodings = 4

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

/**
 * The guard of an announce or scrape URL, without the parameters that we add. One that comes from a torrent, a magnet link or a tracker
 * reaches loopback and private hosts only where it looks like a tracker and nothing else: by itself and not by a redirect, without user,
 * password and query, and with a path that ends with `/announce` or `/scrape` however a server decodes it.
 */
export function trackerGuard(url: URL, trust: Trust = 'remote'): HostGuard {
  if (trust === 'program') return anywhere
  return (scope, hop) => {
    if (scope === 'global') return undefined
    if (hop > 0) return 'a redirect may not lead to this machine or into a local network'
    if (url.username === '' && url.password === '' && url.search === '' && hasTrackerPath(url))
      return undefined
    return (
      'on this machine and in local networks the tracker of a torrent or magnet link has a path that ends with /announce, and no user, ' +
      'password or query; one that the program names itself may have any'
    )
  }
}

/** UDP trackers (BEP 15) need no path. */
function hasTrackerPath({ protocol, pathname }: URL): boolean {
  if (protocol === 'udp:' && (pathname === '' || pathname === '/')) return true
  let path = pathname
  for (let round = 0; round < mostDecodings; round++) path = decodePercent(path)
  // No escapes, parameters (`;`) or backslashes: servers disagree on where such a path leads.
  if (!/^[\w/.~!$&'()*+,=:@-]*$/.test(path)) return false
  const elements = path.split('/')
  if (elements.length !== pathname.split('/').length || elements.some((one) => one === '.' || one === '..'))
    return false
  return /^(?:announce|scrape)$/.test(elements.at(-1) ?? '')
}

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
  return new TorrentError('ERR_TRACKER_URL', `${trackerName(url)} is refused: ${why}`, {
    details: { url: redactUrl(url) }
  })
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
