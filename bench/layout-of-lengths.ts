import { Layout } from '../lib/metainfo/layout.ts'

/** Returns the layout of files of these lengths, named by numbers, in a folder named by their count. */
export function layoutOfLengths(pieceLength: number, lengths: readonly number[]): Layout {
  let offset = 0
  const files = lengths.map((length, n) => {
    const name = `file ${n}`
    const file = { path: `${lengths.length}/${name}`, name, length, offset, pad: false }
    offset += length
    return { ...file, executable: false, hidden: false }
  })
  return new Layout(pieceLength, files)
}
