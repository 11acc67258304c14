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
  const resolve = async ({ host, port }: PeerAddress): Promise<PeerAddress[]> =>
    (await findAddresses(host, lookup)).filter(isAddress).map((one) => ({ host: one, port }))
  return toAddresses(nodes, resolve, (cause) => {
    const names = nodes.join(', ')
    const message = `no DHT bootstrap node could be resolved: ${names}`
    onWarning(new TorrentError('ERR_DHT_BOOTSTRAP', message, { cause, details: { nodes } }))
  })
}

/**
 * Finds the addresses of nodes through a proxy that resolves their names; `locate` returns the address that answers for a name. Calls `onWarning` as
 * `resolveNodes` does. Never rejects.
 */
export async function locateNodes(
  nodes: readonly string[],
  locate: (node: PeerAddress) => Promise<PeerAddress | undefined>,
  onWarning: (error: TorrentError) => void
): Promise<PeerAddress[]> {
  const find = async (node: PeerAddress): Promise<PeerAddress[]> => {
    const found = await locate(node)
    return found === undefined ? [] : [found]
  }
  return toAddresses(nodes, find, (cause) => {
    const message = `no DHT bootstrap node has answered through the proxy: ${nodes.join(', ')}`
    onWarning(new TorrentError('ERR_DHT_BOOTSTRAP', message, { cause, details: { nodes } }))
  })
}

/** Replaces the nodes with host names by those that `resolve` returns. Calls `onNone` if there are nodes and none is left. */
async function toAddresses(
  nodes: readonly string[],
  resolve: (node: PeerAddress) => Promise<PeerAddress[]>,
  onNone: (cause: unknown) => void
): Promise<PeerAddress[]> {
  const faults: unknown[] = []
  const lists = await Promise.all(
    nodes.map(async (text) => {
      const node = parseAddress(text)
      if (isAddress(node.host)) return [node]
      try {
        return await resolve(node)
      } catch (cause) {
        faults.push(cause)
        return []
      }
    })
  )
  const found = lists.flat()
  if (found.length === 0 && nodes.length > 0) onNone(faults[0])
  return found
}
