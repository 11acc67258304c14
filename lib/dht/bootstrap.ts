import { findAddresses } from '../net/resolve-host.ts'
import { isAddress, type PeerAddress, parseAddress } from '../util/address.ts'
import { TorrentError } from '../util/errors.ts'

/** Finds the numeric addresses of a host name; rejects when there are none. */
export type DhtHostLookup = (host: string) => Promise<readonly string[]>

/** Well-known nodes of the public network that know others. */
export const publicBootstrap: readonly string[] = [
  'router.bittorrent.com:6881',
  'dht.transmissionbt.com:6881',
  'dht.libtorrent.org:25401',
  'router.utorrent.com:6881'
]

/**
 * Numeric addresses of nodes written as `host:port`; when there are some and none can be found, `onWarning` hears it once. Never
 * rejects.
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
    const message = `no node of the DHT to start from can be found: ${names}`
    onWarning(new TorrentError('ERR_DHT_BOOTSTRAP', message, { cause: faults[0], details: { nodes } }))
  }
  return found
}
