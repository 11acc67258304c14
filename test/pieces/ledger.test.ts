import assert from 'node:assert/strict'
import test from 'node:test'
import { Layout } from '../../lib/metainfo/layout.ts'
import type { FileEntry } from '../../lib/metainfo/metainfo.ts'
import { Ledger } from '../../lib/pieces/ledger.ts'
import { hasBit } from '../../lib/util/bits.ts'
import { fc } from '../support/fast-check.ts'

const pieceCount = 20
const pieceLength = 100
// Some lie within a piece, some over many; one is empty, and the last piece is short.
const lengths = [30, 70, 0, 555, 45, 1, 299, 950]

function ledgerOf(): Ledger {
  let offset = 0
  const files = lengths.map((length, index) => {
    const file = { path: `${index}`, length, offset, pad: false } as FileEntry
    offset += length
    return file
  })
  return new Ledger(new Layout(pieceLength, files))
}

/** The pieces that may be given to peers. */
function assertServed(ledger: Ledger, pieces: readonly number[]): readonly number[] {
  const served = pieces.filter((piece) => ledger.isStored(piece) && !ledger.isUnproven(piece))
  assert.deepEqual(
    pieces.filter((piece) => hasBit(ledger.servedBits(), piece)),
    served
  )
  assert.equal(ledger.servesNothing, served.length === 0)
  return served
}

/** All that a ledger tells. */
function told(ledger: Ledger): unknown {
  const pieces = Array.from({ length: pieceCount }, (_, piece) => piece)
  return {
    lengths: [ledger.verifiedLength, ledger.left, ledger.selectedVerified, ledger.selectedLeft],
    counts: [ledger.uncheckedCount, ledger.unprovenCount, ledger.selectedComplete, ledger.complete],
    pieces: pieces.map((piece) => [
      ledger.isVerified(piece),
      ledger.isStored(piece),
      ledger.isUnchecked(piece),
      ledger.isUnproven(piece),
      ledger.priority(piece)
    ]),
    // Bits that are kept up say the same as the states.
    served: assertServed(ledger, pieces),
    // With so few pieces each is a cell.
    cells: pieces.map((piece) => [ledger.verifiedCells.at(piece), ledger.uncheckedCells.at(piece)]),
    files: lengths.map((_, file) => [ledger.fileBytes(file), ledger.isFileStored(file)])
  }
}

test('padding counts nowhere', () => {
  // Half of the first piece, a piece inside, and the end of the last.
  const list = [50, -50, 100, -100, 30, -70]
  let offset = 0
  const files = list.map((given) => {
    const file = { path: `${offset}`, length: Math.abs(given), offset, pad: given < 0 } as FileEntry
    offset += file.length
    return file
  })
  const ledger = new Ledger(new Layout(pieceLength, files))
  assert.equal(ledger.left, 180)
  ledger.setPriorities(0, Uint8Array.of(4, 4, 0, 4))
  assert.equal(ledger.selectedLength, 180)
  ledger.setVerified(0, true)
  assert.deepEqual([ledger.verifiedLength, ledger.left, ledger.selectedLeft], [50, 130, 130])
  ledger.setFound({ start: 1, end: 4 })
  assert.deepEqual([ledger.verifiedLength, ledger.left, ledger.selectedProgress], [180, 0, 1])
  ledger.setVerified(3, false)
  assert.deepEqual([ledger.verifiedLength, ledger.left, ledger.selectedVerified], [150, 30, 150])
  ledger.setPriorities(3, Uint8Array.of(0))
  assert.deepEqual([ledger.selectedLength, ledger.selectedProgress], [150, 1])
})

const piece = fc.nat({ max: pieceCount - 1 })

test('many pieces that are found count as if each were verified and stored by itself', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: pieceCount, maxLength: pieceCount, max: 7 }),
      fc.array(piece),
      fc.array(piece),
      fc.array(piece),
      piece,
      piece,
      (priorities, unchecked, verified, stored, one, other) => {
        const start = Math.min(one, other)
        const end = Math.max(one, other) + 1
        const prepared = [ledgerOf(), ledgerOf()] as const
        for (const ledger of prepared) {
          assert.equal(
            ledger.verifiedCells.at(0) + ledger.uncheckedCells.at(0),
            0,
            'cells are counted from now on'
          )
          assert.ok(ledger.servesNothing && ledger.servedBits().every((byte) => byte === 0))
          ledger.setPriorities(0, priorities)
          for (const piece of unchecked) ledger.setUnchecked(piece, true)
          for (const piece of [...verified, ...stored]) ledger.setVerified(piece, true)
          for (const piece of stored) ledger.setStored(piece, true)
        }
        const [together, single] = prepared
        together.setFound({ start, end })
        for (let piece = start; piece < end; piece++) {
          single.setVerified(piece, true)
          single.setStored(piece, true)
        }
        assert.deepEqual(told(together), told(single))
        for (let piece = 0; piece < pieceCount; piece++) {
          assert.equal(together.verifiedCells.at(piece), together.isVerified(piece) ? 1 : 0)
          assert.equal(together.uncheckedCells.at(piece), together.isUnchecked(piece) ? 1 : 0)
        }
        for (const piece of verified) if (single.isStored(piece)) single.setUnproven(piece, true)
        told(single)
        for (const piece of verified) single.setUnproven(piece, false)
        told(single)
        for (const piece of [...verified, ...stored]) single.setVerified(piece, false)
        told(single)
        const again = Array.from({ length: pieceCount }, (_, piece) => single.verifiedCells.at(piece))
        assert.deepEqual(
          again,
          again.map((_, piece) => (single.isVerified(piece) ? 1 : 0))
        )
      }
    )
  )
})
