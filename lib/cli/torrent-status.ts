import type { Torrent } from '../index.ts'
import type { Status } from './status-line.ts'

const labels: Readonly<Record<string, string>> = {
  metadata: 'waiting for metadata',
  queued: 'waiting for its turn',
  finished: 'seeded enough',
  error: 'failed'
}

/** How far a torrent is, of what is selected. */
export function statusOf(torrent: Torrent): Status {
  const { status, progress } = torrent
  const totalBytes = torrent.files.reduce((sum, { length, selected }) => (selected ? sum + length : sum), 0)
  return {
    label: labels[status] ?? status,
    progress,
    doneBytes: Math.floor(progress * totalBytes),
    totalBytes,
    downloadSpeed: torrent.downloadSpeed,
    uploadSpeed: torrent.uploadSpeed,
    peers: torrent.peers.length,
    timeRemainingMs: torrent.timeRemaining
  }
}
