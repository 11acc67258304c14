import assert from 'node:assert/strict'
import test from 'node:test'
import { Layout } from '../../lib/metainfo/layout.ts'
import type { FileEntry } from '../../lib/metainfo/metainfo.ts'
import { fc } from '../support/fast-check.ts'

function filesOf(...lengths: number[]): FileEntry[] {
  let offset = 0
  return lengths.map((length, n) => {
    const entry = {
      path: `f${n}`,
      name: `f${n}`,
      length,
      offset,
      pad: false,
      executable: false,
      hidden: false
    }
    offset += length
    return entry
  })
}

test('a single file that ends inside a block', () => {
  const layout = new Layout(65536, filesOf(150000))
  assert.equal(layout.length, 150000)
  assert.equal(layout.pieceCount, 3)
  assert.equal(layout.blocksPerPiece, 4)
  assert.deepEqual(
    [0, 1, 2].map((n) => layout.pieceSize(n)),
    [65536, 65536, 18928]
  )
  assert.deepEqual(
    [0, 1, 2].map((n) => layout.blockCount(n)),
    [4, 4, 2]
  )
  assert.equal(layout.blockSize(1, 3), 16384)
  assert.equal(layout.blockSize(2, 1), 2544)
  assert.deepEqual(layout.pieceRange(2), { start: 131072, end: 150000 })
  assert.equal(layout.pieceAt(65535), 0)
  assert.equal(layout.pieceAt(65536), 1)
})

test('pieces shorter than a block', () => {
  const layout = new Layout(10000, filesOf(25000))
  assert.equal(layout.blocksPerPiece, 1)
  assert.equal(layout.blockSize(0, 0), 10000)
  assert.equal(layout.blockSize(2, 0), 5000)
})

test('pieces of a range and of files', () => {
  const layout = new Layout(100, filesOf(100, 0, 50, 100, 0))
  assert.deepEqual(layout.piecesOf({ start: 0, end: 100 }), { start: 0, end: 1 })
  assert.deepEqual(layout.piecesOf({ start: 99, end: 101 }), { start: 0, end: 2 })
  assert.deepEqual(layout.piecesOf({ start: 5, end: 5 }), { start: 0, end: 0 })
  const ranges = [0, 1, 2, 3, 4, 5].map((n) => layout.filePieces(n))
  assert.deepEqual(
    ranges.map(({ start, end }) => [start, end]),
    [
      [0, 1],
      [0, 0],
      [1, 2],
      [1, 3],
      [0, 0],
      [0, 0]
    ]
  )
})

test('spans skip empty files', () => {
  const layout = new Layout(100, filesOf(0, 100, 0, 0, 50, 0))
  assert.deepEqual(
    [...layout.spans({ start: 90, end: 150 })],
    [
      { fileIndex: 1, fileOffset: 90, length: 10 },
      { fileIndex: 4, fileOffset: 0, length: 50 }
    ]
  )
  assert.deepEqual([...layout.spans({ start: 100, end: 101 })], [{ fileIndex: 4, fileOffset: 0, length: 1 }])
  assert.deepEqual([...layout.spans({ start: 100, end: 100 })], [])
})

test('a layout without bytes has no pieces', () => {
  for (const layout of [new Layout(100, []), new Layout(100, filesOf(0, 0))]) {
    assert.equal(layout.pieceCount, 0)
    assert.deepEqual([...layout.spans({ start: 0, end: 10 })], [])
  }
})

test('offsets beyond 32 bits stay exact', () => {
  const layout = new Layout(2 ** 24, filesOf(2 ** 40 + 5))
  assert.equal(layout.pieceCount, 65537)
  assert.equal(layout.pieceSize(65536), 5)
  assert.equal(layout.pieceAt(2 ** 40), 65536)
})

test('pieces, blocks and spans each cover every byte once', () => {
  const lengths = fc.array(fc.integer({ min: 0, max: 60000 }), { minLength: 1, maxLength: 12 })
  fc.assert(
    fc.property(lengths, fc.integer({ min: 1, max: 50000 }), (sizes, pieceLength) => {
      const layout = new Layout(pieceLength, filesOf(...sizes))
      let at = 0
      const perFile = sizes.map(() => 0)
      for (let piece = 0; piece < layout.pieceCount; piece++) {
        assert.equal(layout.pieceOffset(piece), at)
        let blocks = 0
        for (let block = 0; block < layout.blockCount(piece); block++)
          blocks += layout.blockSize(piece, block)
        assert.equal(blocks, layout.pieceSize(piece))
        let spans = 0
        for (const { fileIndex, fileOffset, length } of layout.spans(layout.pieceRange(piece))) {
          assert.equal(fileOffset, perFile[fileIndex])
          perFile[fileIndex] = fileOffset + length
          spans += length
        }
        assert.equal(spans, blocks)
        at += blocks
      }
      assert.equal(at, layout.length)
      assert.deepEqual(perFile, sizes)
    })
  )
})
