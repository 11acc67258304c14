import type { Torrent } from '../index.ts'
import { formatBytes, formatCount } from './format.ts'
import type { Output } from './output.ts'
import type { Session } from './session.ts'
import { statusOf } from './torrent-status.ts'

const ratioCheckMs = 500

/** Writes the torrent's name, size and number of files. From then on reports each completed file, and in JSON each verified piece. */
export function announceTorrent(torrent: Torrent, output: Output): void {
  const { name, infoHash, length, files, pieceCount } = torrent
  output.say(`${name}: ${formatBytes(length)} in ${formatCount(files.length, 'file')}`)
  output.event('torrent', { name, infoHash, length, pieceCount, files: files.map((file) => file.path) })
  if (output.json)
    torrent.on('verified', (piece) => output.event('verified', { piece, progress: torrent.progress }))
  torrent.on('file', (file) => {
    if (torrent.files.length > 1) output.say(`Complete: ${file.path}`)
    output.event('file', { index: torrent.files.indexOf(file), path: file.path, length: file.length })
  })
}

/** Seeds until Ctrl+C, or until `torrent.ratio` reaches `ratio`. */
export async function keepSeeding(
  torrent: Torrent,
  session: Session,
  output: Output,
  ratio?: number
): Promise<void> {
  output.say(`Seeding${ratio === undefined ? '' : ` up to a ratio of ${ratio}`}; press Ctrl+C to stop.`)
  output.startStatus(() => {
    const status = statusOf(torrent, session.client)
    return torrent.status === 'seeding'
      ? { ...status, label: `seeding (ratio ${torrent.ratio.toFixed(2)})` }
      : status
  })
  let timer: NodeJS.Timeout | undefined
  try {
    await session.until(
      new Promise<void>((resolve) => {
        // This timer keeps the process alive: seeding alone does so only while the client listens.
        timer = setInterval(() => {
          if (ratio !== undefined && torrent.ratio >= ratio) resolve()
        }, ratioCheckMs)
      })
    )
  } finally {
    clearInterval(timer)
    output.stopStatus()
  }
  output.say(`Seeded: ${formatBytes(torrent.uploaded)} uploaded, ratio ${torrent.ratio.toFixed(2)}`)
  output.event('seeded', { uploaded: torrent.uploaded, ratio: torrent.ratio })
}
