import { findAddresses } from '../net/resolve-host.ts'
import { isAddress, type PeerAddress, parseAddress } from '../util/address.ts'
import { TorrentError } from '../util/errors.ts'

/** Resolves a host name to its numeric addresses; rejects if there are none. */
export type DhtHostLookup = (host: string) => Promise<readonly string[]>

/** Well-known bootstrap nodes of the public network, as `host:port`. */
export const publicBootstrap: readonly string[] = [
  'router.bittorrent.com:6881',
  'dht.transmissionbt.com:6881',
  'dht.libtorrent.org:25401',
  'router.utorrent.com:6881'
]

/**
 * Resolves nodes written as `host:port` to numeric addresses. Calls `onWarning` once with ERR_DHT_BOOTSTRAP if there are nodes and none
 * can be resolved. Never rejects.
 */
export async function resolveNodes(
  nodes: readonly string[],
  lookup: DhtHostLookup,
  onWarning: (error: TorrentError) => void
): Promise<PeerAddress[]> {
  const faults: unknown[] = []
  const lists = await Promise.all(
    nodes.map(async (node) => {
      const { host, port } = parseAddress(node)
      if (isAddress(host)) return [{ host, port }]
      try {
        return (await findAddresses(host, lookup)).filter(isAddress).map((one) => ({ host: one, port }))
      } catch (cause) {
        faults.push(cause)
        return []
      }
    })
  )
  const found = lists.flat()
  if (found.length === 0 && nodes.length > 0) {
    const names = nodes.join(', ')
    const message = `no DHT bootstrap node could be resolved: ${names}`
    onWarning(new TorrentError('ERR_DHT_BOOTSTRAP', message, { cause: faults[0], details: { nodes } }))
  }
  return found
}
