import type { Client, Torrent } from '../index.ts'
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
    dhtNodes: size === undefined ? undefined : size[4] + size[6],
    timeRemainingMs: torrent.timeRemaining
  }
}

function countBySource(peers: Torrent['peers']): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const { source } of peers) counts[source] = (counts[source] ?? 0) + 1
  return counts
}
