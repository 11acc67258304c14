import type { Client, NatProtocol, NatStatus, Torrent } from '../index.ts'
import type { Status } from './status-line.ts'

const labels: Readonly<Record<string, string>> = {
  metadata: 'waiting for metadata',
  finished: 'seeded enough',
  idle: 'nothing selected',
  error: 'failed'
}

/** Returns the progress of a torrent's selected files. */
export function statusOf(torrent: Torrent, client: Client): Status {
  const { status, progress, peers } = torrent
  const size = client.dht?.size
  const totalBytes = torrent.files.reduce((sum, { length, selected }) => (selected ? sum + length : sum), 0)
  return {
    label: labels[status] ?? status,
    progress,
    doneBytes: Math.floor(progress * totalBytes),
    totalBytes,
    downloadSpeed: torrent.downloadSpeed,
    uploadSpeed: torrent.uploadSpeed,
    peers: peers.length,
    peerSources: countBySource(peers),
    nat: natWords(client.natStatus),
    dhtNodes: size === undefined ? undefined : size[4] + size[6],
    timeRemainingMs: torrent.timeRemaining
  }
}

const protocols: Readonly<Record<NatProtocol, string>> = { pcp: 'PCP', 'nat-pmp': 'NAT-PMP', upnp: 'UPnP' }

/** Returns whether peers in the internet can connect, in a few words; undefined while that is not known. */
function natWords({ state, protocol, externalPort }: NatStatus): string | undefined {
  if (state === 'mapped' && protocol !== undefined)
    return `port ${externalPort} open by ${protocols[protocol]}`
  if (state === 'double-nat') return 'port closed by a second router'
  return state === 'failed' ? 'port not mapped' : undefined
}

function countBySource(peers: Torrent['peers']): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const { source } of peers) counts[source] = (counts[source] ?? 0) + 1
  return counts
}
