import assert from 'node:assert/strict'
import test from 'node:test'
import { blockLength, Layout } from '../../lib/metainfo/layout.ts'
import type { FileEntry } from '../../lib/metainfo/metainfo.ts'
import { fc } from '../support/fast-check.ts'

/** Returns a layout of files of these lengths; negative ones are pad files. */
function layoutOf(pieceLength: number, lengths: readonly number[]): Layout {
  let offset = 0
  const files = lengths.map((given) => {
    const file = { path: `${offset}`, length: Math.abs(given), offset, pad: given < 0 } as FileEntry
    offset += file.length
    return file
  })
  return new Layout(pieceLength, files)
}

const piece = 2 * blockLength

interface Row {
  readonly what: string
  readonly files: readonly number[]
  /** Bytes of each piece without padding, and bytes of each of its blocks. */
  readonly data: readonly number[]
  readonly blocks: readonly (readonly number[])[]
}

const table: readonly Row[] = [
  { what: 'no pad files', files: [piece + 5], data: [piece, 5], blocks: [[blockLength, blockLength], [5]] },
  {
    what: 'a pad file without bytes',
    files: [piece, -0, 5],
    data: [piece, 5],
    blocks: [[blockLength, blockLength], [5]]
  },
  {
    what: 'padding from the middle of the last block on',
    files: [piece - 100, -100, 5],
    data: [piece - 100, 5],
    blocks: [[blockLength, blockLength - 100], [5]]
  },
  {
    what: 'a last block of nothing but padding',
    files: [blockLength, -blockLength, 5],
    data: [blockLength, 5],
    blocks: [[blockLength], [5]]
  },
  { what: 'padding behind the last file', files: [100, 100 - piece], data: [100], blocks: [[100]] },
  {
    what: 'several pad files in a row, with an empty file between',
    files: [7, -1000, 0, 7 + 1000 - piece, 9],
    data: [7, 9],
    blocks: [[7], [9]]
  },
  {
    what: 'padding in front of data, which is requested with it',
    files: [10, -90, blockLength, 100 - blockLength, 5],
    data: [10 + blockLength, 5],
    blocks: [[blockLength, 100], [5]]
  },
  {
    what: 'a piece of nothing but padding, which is requested like data',
    files: [piece, -piece, 5],
    data: [piece, 0, 5],
    blocks: [[blockLength, blockLength], [blockLength, blockLength], [5]]
  },
  {
    what: 'a pad file over several pieces',
    files: [5, -2 * piece - 100, piece],
    data: [5, 0, piece - 105, 105],
    blocks: [[5], [blockLength, blockLength], [blockLength, blockLength], [105]]
  },
  { what: 'nothing but padding', files: [-100], data: [0], blocks: [[100]] }
]
for (const { what, files, data, blocks } of table) {
  test(`data and requests: ${what}`, () => {
    const layout = layoutOf(piece, files)
    const pieces = Array.from({ length: layout.pieceCount }, (_, index) => index)
    assert.deepEqual(
      pieces.map((index) => layout.dataSize(index)),
      data
    )
    assert.equal(
      layout.dataLength,
      data.reduce((sum, size) => sum + size, 0)
    )
    assert.deepEqual(
      pieces.map((index) =>
        Array.from({ length: layout.blockCount(index) }, (_, block) => layout.blockSize(index, block))
      ),
      blocks
    )
  })
}

test('pieces hold as much data as their files, and are requested up to its last byte', () => {
  const lengths = fc.array(fc.integer({ min: -300, max: 300 }), { minLength: 1, maxLength: 12 })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 200 }), lengths, (pieceLength, list) => {
      const layout = layoutOf(pieceLength, list)
      const isData = list.flatMap((length) => new Array<boolean>(Math.abs(length)).fill(length > 0))
      let sum = 0
      for (let index = 0; index < layout.pieceCount; index++) {
        const own = isData.slice(index * pieceLength, (index + 1) * pieceLength)
        const size = own.filter(Boolean).length
        assert.equal(layout.dataSize(index), size)
        assert.equal(layout.requestSize(index), size === 0 ? own.length : own.lastIndexOf(true) + 1)
        assert.equal(layout.pieceSize(index), own.length)
        sum += size
        assert.equal(layout.dataBytesOf({ start: 0, end: index + 1 }), sum)
      }
      assert.equal(layout.dataLength, sum)
      assert.equal(layout.length, isData.length)
    })
  )
})
