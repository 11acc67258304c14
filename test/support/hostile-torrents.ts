import { encode } from '../../lib/bencode/encode.ts'
import type { Metainfo } from '../../lib/metainfo/metainfo.ts'
import { parseTorrent } from '../../lib/metainfo/parse-torrent.ts'
import { type HostileFile, type HostileLayout, hostileLayouts, type Targets } from './hostile-table.ts'
import { pieceHashes } from './piece-hashes.ts'

/** A torrent that tries to reach files that are not its own. */
export interface HostileTorrent {
  readonly layout: HostileLayout
  /** For messages. */
  readonly title: string
  /** A .torrent. */
  readonly bytes: Uint8Array
  readonly metainfo: Metainfo
  readonly data: Uint8Array
}

const pieceLength = 16384
function isPad({ path, attr }: HostileFile): boolean {
  return attr === 'p' || String(path.at(-1)).startsWith('_____padding_file_')
}

const usualLength = 700
/** Long enough for several pieces, so that the process is killed in mid-download. */
const greatLength = 40_000

/** Returns torrents of all layouts. `secrets` holds the contents of the files that some of them copy. */
export function hostileTorrents(targets: Targets, secrets: ReadonlyMap<string, string>): HostileTorrent[] {
  return hostileLayouts(targets).map((layout, index) => {
    const secret = layout.secret === undefined ? undefined : secrets.get(layout.secret)
    const length = secret?.length ?? (index % 7 === 0 ? greatLength : usualLength)
    const lengths = layout.files?.map((file) => file.length ?? length) ?? [length]
    const data = new Uint8Array(lengths.reduce((sum, one) => sum + one, 0))
    const text = Buffer.from(secret ?? `hostile torrent ${index}\n`)
    for (let at = 0; at < data.length; at += text.length) data.set(text.subarray(0, data.length - at), at)
    let offset = 0
    for (const [n, file] of (layout.files ?? []).entries()) {
      const start = offset
      offset += lengths[n] ?? 0
      // Padding is zeros and is never requested.
      if (isPad(file)) data.fill(0, start, offset)
    }
    const bytes = encode({
      info: {
        name: layout.name,
        'name.utf-8': layout.nameUtf8,
        'piece length': pieceLength,
        pieces: pieceHashes(data, pieceLength),
        // Keeps info hashes of otherwise equal torrents different.
        source: `${index}`,
        length: layout.files === undefined ? length : undefined,
        files: layout.files?.map((file, n) => ({
          path: file.path,
          'path.utf-8': file.pathUtf8,
          attr: file.attr,
          'symlink path': file.symlink,
          length: lengths[n]
        }))
      }
    })
    const title = `${index} ${JSON.stringify([layout.name, layout.files?.map(({ path }) => path)])}`
    return { layout, title, bytes, metainfo: parseTorrent(bytes), data }
  })
}
