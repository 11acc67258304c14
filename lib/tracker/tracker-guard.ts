import { anywhere, type HostGuard, reach } from '../net/host-guard.ts'
import { isAddress, isLoopback } from '../util/address.ts'
import { type IpScope, ipScope } from '../util/ip-scope.ts'
import { decodePercent } from '../util/redact.ts'
import type { Trust } from '../util/trust.ts'

/** Rounds of percent-decoding; a tracker path is never encoded more often. */
const mostDecodings = 4

/**
 * Returns the guard of an announce or scrape URL (without the parameters that we add). With `trust:
 * 'remote'`, the URL reaches loopback and private hosts only if it looks like a tracker URL and nothing else:
 * not by a redirect, without user, password and query, and with a path that ends with `/announce` or
 * `/scrape` however a server decodes it.
 */
export function trackerGuard(url: URL, trust: Trust = 'remote'): HostGuard {
  if (trust === 'program') return anywhere
  return (scope, hop) => {
    if (scope === 'global') return undefined
    if (hop > 0) return 'a redirect may not lead to this machine or into a local network'
    if (url.username === '' && url.password === '' && url.search === '' && hasTrackerPath(url))
      return undefined
    return (
      'a torrent or magnet link may name a tracker on this machine or in a local network only with a path that ends with /announce, ' +
      'and without user, password and query; trackers that the program adds are not restricted'
    )
  }
}

/** Returns whether the path is that of a tracker; UDP trackers (BEP 15) need none. */
function hasTrackerPath({ protocol, pathname }: URL): boolean {
  if (protocol === 'udp:' && (pathname === '' || pathname === '/')) return true
  let path = pathname
  for (let round = 0; round < mostDecodings; round++) path = decodePercent(path)
  // Refuses escapes, parameters (`;`) and backslashes: servers disagree on where such a path leads.
  if (!/^[\w/.~!$&'()*+,=:@-]*$/.test(path)) return false
  const elements = path.split('/')
  if (elements.length !== pathname.split('/').length || elements.some((one) => one === '.' || one === '..'))
    return false
  return /^(?:announce|scrape)$/.test(elements.at(-1) ?? '')
}

/**
 * Returns whether a tracker may return this peer, given the scope of the address that answered. The author of
 * a torrent chooses its tracker, and must not make us connect to our own services or to machines behind our
 * router. Host names are allowed here and checked when they are resolved.
 */
export function mayName(tracker: IpScope, peer: string): boolean {
  if (isLoopback(peer)) return tracker === 'loopback'
  return !isAddress(peer) || reach[ipScope(peer)] >= reach[tracker]
}
