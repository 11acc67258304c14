import { randomFillSync } from 'node:crypto'
import { encode } from '../../lib/bencode/encode.ts'
import { parseTorrent } from '../../lib/metainfo/parse-torrent.ts'
import { pieceHashes } from '../support/piece-hashes.ts'
import type { Sample } from './bench.ts'

/** A file (name and length), a pad file (length), or a symbolic link (name). */
export type PaddedEntry = readonly [name: string, length: number] | number | string

/** Makes a torrent with pad files (BEP 47). Nothing of it is on disk. */
export function paddedSample(list: readonly PaddedEntry[], pieceLength: number): Sample {
  const parts: Uint8Array[] = []
  const files = list.map((entry) => {
    if (typeof entry === 'string') return { attr: 'l', length: 0, path: [entry], 'symlink path': ['a'] }
    if (typeof entry === 'number') {
      parts.push(new Uint8Array(entry))
      return { attr: 'p', length: entry, path: ['.pad', `${entry}`] }
    }
    const [name, length] = entry
    parts.push(randomFillSync(new Uint8Array(length)))
    return { length, path: [name] }
  })
  // Not a Buffer, whose slices are views.
  const data = new Uint8Array(Buffer.concat(parts))
  const info = { files, name: 'padded', 'piece length': pieceLength, pieces: pieceHashes(data, pieceLength) }
  const bytes = encode({ info })
  return { root: '', folder: '', bytes, data, metainfo: parseTorrent(bytes) }
}
