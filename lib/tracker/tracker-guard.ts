import { anywhere, type HostGuard, reach } from '../net/host-guard.ts'
import { isAddress, isLoopback } from '../util/address.ts'
import { type IpScope, ipScope } from '../util/ip-scope.ts'
import { decodePercent } from '../util/redact.ts'
import type { Trust } from '../util/trust.ts'

/** A path that is encoded more often than this is none of a tracker. */
const mostDecodings = 4

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

/**
 * Whether a tracker may name this peer, as near as the address from which it answered: the author of a torrent chooses its tracker, and
 * must not make us knock at our own services through it, nor at machines behind our router. A name may mean any address, and is checked
 * where it is resolved.
 */
export function mayName(tracker: IpScope, peer: string): boolean {
  if (isLoopback(peer)) return tracker === 'loopback'
  return !isAddress(peer) || reach[ipScope(peer)] >= reach[tracker]
}
