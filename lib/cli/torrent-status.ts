import type { Client, NatProtocol, NatStatus, PeerInfo, Torrent } from '../index.ts'
import type { Status } from './status-line.ts'

const labels: Readonly<Record<string, string>> = {
  metadata: 'waiting for metadata',
  finished: 'seeded enough',
  idle: 'nothing selected',
  error: 'failed'
}

const transportNames: Readonly<Record<PeerInfo['transport'], string>> = { tcp: 'TCP', utp: 'uTP' }

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
    peerSources: countBy(peers, ({ source }) => source),
    peerTransports: countBy(peers, ({ transport }) => transportNames[transport]),
    encryptedPeers: peers.filter(({ encryption }) => encryption !== 'none').length,
    nat: natWords(client.natStatus),
    dhtNodes: size === undefined ? undefined : size[4] + size[6],
    timeRemainingMs: torrent.timeRemaining
  }
}

const protocols: Readonly<Record<NatProtocol, string>> = { pcp: 'PCP', 'nat-pmp': 'NAT-PMP', upnp: 'UPnP' }

/** Returns whether peers on the internet can connect, in a few words; undefined while that is not known. */
function natWords({ state, protocol, externalPort }: NatStatus): string | undefined {
  if (state === 'mapped' && protocol !== undefined)
    return `port ${externalPort} open by ${protocols[protocol]}`
  if (state === 'double-nat') return 'port closed by a second router'
  return state === 'failed' ? 'port not mapped' : undefined
}

function countBy(
  peers: Torrent['peers'],
  keyOf: (peer: PeerInfo) => string
): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const peer of peers) counts[keyOf(peer)] = (counts[keyOf(peer)] ?? 0) + 1
  return counts
}
