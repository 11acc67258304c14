import { lookup as systemLookup } from 'node:dns/promises'
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

/** The operating system's resolver. */
export const systemDhtLookup: DhtHostLookup = async (host) => {
  const found = await systemLookup(host, { all: true, verbatim: true })
  return found.map(({ address }) => address)
}

/** Numeric addresses of nodes written as `host:port`; those that cannot be found are told to `onWarning`. Never rejects. */
export async function resolveNodes(
  nodes: readonly string[],
  lookup: DhtHostLookup,
  onWarning: (error: TorrentError) => void
): Promise<PeerAddress[]> {
  const lists = await Promise.all(
    nodes.map(async (node) => {
      const { host, port } = parseAddress(node)
      if (isAddress(host)) return [{ host, port }]
      try {
        return (await lookup(host)).filter(isAddress).map((one) => ({ host: one, port }))
      } catch (cause) {
        onWarning(
          new TorrentError('ERR_DHT_BOOTSTRAP', `'${node}' cannot be found`, { cause, details: { node } })
        )
        return []
      }
    })
  )
  return lists.flat()
}
