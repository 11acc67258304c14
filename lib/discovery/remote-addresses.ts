import { type LocalInterface, localInterfaces, sharesNetwork } from '../net/local-interfaces.ts'
import { canonicalHost, hostBytes, isAddress, isLoopback, type PeerAddress } from '../util/address.ts'
import { scopeOf } from './address-scope.ts'

/**
 * Filters the addresses that a magnet link (`x.pe`) or torrent (`nodes`) names. Its author chooses address,
 * port and the info hash that is sent there, so addresses are restricted:
 * - public addresses are allowed
 * - loopback only if the client's `host` is loopback
 * - private and link-local addresses only in a network of one of our interfaces (of the interface with
 *   `host`, if set)
 * - host names never
 */
export function usableAddresses(
  peers: readonly PeerAddress[],
  host: string | undefined,
  interfaces: () => readonly LocalInterface[] = () => [
    ...localInterfaces(4, host),
    ...localInterfaces(6, host)
  ]
): PeerAddress[] {
  let here: readonly LocalInterface[] | undefined
  return peers.filter((peer) => {
    if (!isAddress(peer.host)) return false
    const scope = scopeOf(peer.host)
    if (scope === 'loopback') return host !== undefined && isLoopback(host)
    if (scope !== 'private') return scope === 'public'
    here ??= interfaces()
    const zone = peer.host.split('%')[1]
    if (zone === undefined) return !isLinkLocal6(peer.host) && sharesNetwork(peer.host, here)
    return sharesNetwork(
      peer.host,
      here.filter(({ name, multicastName }) => name === zone || multicastName === `::%${zone}`)
    )
  })
}

/** Returns whether an address is in fe80::/10, which needs a zone. */
function isLinkLocal6(host: string): boolean {
  const [a = 0, b = 0, ...more] = hostBytes(canonicalHost(host)) ?? []
  return more.length === 14 && a === 0xfe && (b & 0xc0) === 0x80
}
