import { parseTorrent } from '../../lib/metainfo/parse-torrent.ts'
import { largeTorrents } from '../support/large-torrents.ts'

// Parses a torrent of each kind in a process whose heap the test has bounded, and names each parsed one.
const bytes = Number(process.argv[2])
for (const [kind, make] of Object.entries(largeTorrents)) {
  const torrent = make(bytes)
  const { files } = parseTorrent(torrent)
  console.log(
    `${kind}: ${files.length} files, ${(process.resourceUsage().maxRSS * 1024) / torrent.length} bytes`
  )
}
