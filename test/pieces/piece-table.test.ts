import assert from 'node:assert/strict'
import test from 'node:test'
import { Layout } from '../../lib/metainfo/layout.ts'
import type { FileEntry } from '../../lib/metainfo/metainfo.ts'
import { PieceTable } from '../../lib/pieces/piece-table.ts'
import { hasBit } from '../../lib/util/bits.ts'
import { fc } from '../support/fast-check.ts'

const pieceCount = 20
const pieceLength = 100
// Some files are within a piece, some span many; one is empty, and the last piece is short.
const lengths = [30, 70, 0, 555, 45, 1, 299, 950]

function tableOf(): PieceTable {
  let offset = 0
  const files = lengths.map((length, index) => {
    const file = { path: `${index}`, length, offset, pad: false } as FileEntry
    offset += length
    return file
  })
  return new PieceTable(new Layout(pieceLength, files))
}

/** Returns everything that a table reports. Asserts that its bits and cells agree with the states. */
function told(table: PieceTable): unknown {
  const { counts } = table
  const pieces = Array.from({ length: pieceCount }, (_, piece) => piece)
  const served = pieces.filter((piece) => table.isStored(piece) && !table.isUnproven(piece))
  const ofBits = (bits: Uint8Array): number[] => pieces.filter((piece) => hasBit(bits, piece))
  assert.deepEqual(ofBits(table.servedBits()), served)
  assert.deepEqual(
    ofBits(table.storedBits()),
    pieces.filter((piece) => table.isStored(piece))
  )
  assert.equal(counts.servesNothing, served.length === 0)
  // With so few pieces each is a cell.
  for (const piece of pieces) {
    assert.equal(counts.verifiedCells.at(piece), table.isVerified(piece) ? 1 : 0)
    assert.equal(counts.uncheckedCells.at(piece), table.isUnchecked(piece) ? 1 : 0)
  }
  return {
    lengths: [counts.verifiedLength, counts.left],
    selected: [counts.selectedLength, counts.selectedVerified, counts.selectedLeft, counts.selectedProgress],
    counts: [counts.uncheckedCount, counts.unprovenCount],
    complete: [counts.selectedComplete, counts.complete, counts.storesNothing],
    pieces: pieces.map((piece) => [stateOf(table, piece), table.priority(piece), table.isMissing(piece)]),
    files: lengths.map((_, file) => [counts.fileBytes(file), counts.isFileStored(file)])
  }
}

type State = 'missing' | 'unchecked' | 'verified' | 'stored' | 'unproven'

function stateOf(table: PieceTable, piece: number): State {
  if (table.isUnproven(piece)) return 'unproven'
  if (table.isStored(piece)) return 'stored'
  if (table.isVerified(piece)) return 'verified'
  return table.isUnchecked(piece) ? 'unchecked' : 'missing'
}

const all: readonly State[] = ['missing', 'unchecked', 'verified', 'stored', 'unproven']
/** The transitions, each with its source states and its target state. */
const transitions = {
  setVerified: { from: ['missing', 'unchecked'], to: 'verified' },
  setFound: { from: ['missing', 'unchecked', 'verified'], to: 'stored' },
  setStored: { from: ['verified'], to: 'stored' },
  setUnproven: { from: ['stored'], to: 'unproven' },
  setProven: { from: ['unproven'], to: 'stored' },
  setUnchecked: { from: all, to: 'unchecked' },
  setMissing: { from: all, to: 'missing' }
} as const satisfies Record<string, { from: readonly State[]; to: State }>
type Transition = keyof typeof transitions
const names = Object.keys(transitions) as Transition[]

function move(table: PieceTable, name: Transition, piece: number): void {
  if (name === 'setVerified' || name === 'setFound') table[name]({ start: piece, end: piece + 1 })
  else table[name](piece)
}

/** Calls that bring a missing piece into a state. */
const wayTo: Record<State, readonly Transition[]> = {
  missing: [],
  unchecked: ['setUnchecked'],
  verified: ['setVerified'],
  stored: ['setVerified', 'setStored'],
  unproven: ['setFound', 'setUnproven']
}

for (const name of names) {
  for (const state of all) {
    const { from, to } = transitions[name]
    const after = (from as readonly State[]).includes(state) ? to : state
    test(`${name} makes a piece that is ${state} ${after}`, () => {
      const table = tableOf()
      for (const step of wayTo[state]) move(table, step, 3)
      assert.equal(stateOf(table, 3), state)
      move(table, name, 3)
      assert.equal(stateOf(table, 3), after)
      assert.equal(stateOf(table, 2), 'missing')
    })
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
  const table = new PieceTable(new Layout(pieceLength, files))
  const { counts } = table
  assert.equal(counts.left, 180)
  table.setPriorities(0, Uint8Array.of(4, 4, 0, 4))
  assert.equal(counts.selectedLength, 180)
  table.setVerified({ start: 0, end: 1 })
  assert.deepEqual([counts.verifiedLength, counts.left, counts.selectedLeft], [50, 130, 130])
  table.setFound({ start: 1, end: 4 })
  assert.deepEqual([counts.verifiedLength, counts.left, counts.selectedProgress], [180, 0, 1])
  table.setMissing(3)
  assert.deepEqual([counts.verifiedLength, counts.left, counts.selectedVerified], [150, 30, 150])
  table.setPriorities(3, Uint8Array.of(0))
  assert.deepEqual([counts.selectedLength, counts.selectedProgress], [150, 1])
})

const piece = fc.nat({ max: pieceCount - 1 })
const priorities = fc.uint8Array({ minLength: pieceCount, maxLength: pieceCount, max: 7 })
const steps = fc.array(fc.tuple(fc.constantFrom(...names), piece), { maxLength: 60 })

test('counters, bits and cells depend on the states alone, not on the sequence of changes', () => {
  fc.assert(
    fc.property(steps, priorities, priorities, (way, before, after) => {
      const table = tableOf()
      told(table)
      table.setPriorities(0, before)
      for (const [name, at] of way) move(table, name, at)
      const changed = table.setPriorities(0, after)
      assert.deepEqual(
        changed,
        [...after.keys()].filter((at) => before[at] !== after[at])
      )
      // The same states by the shortest sequence. Counters that were created at the first call are created at
      // the end here.
      const straight = tableOf()
      straight.setPriorities(0, after)
      for (let at = 0; at < pieceCount; at++)
        for (const name of wayTo[stateOf(table, at)]) move(straight, name, at)
      assert.deepEqual(told(table), told(straight))
      for (let at = 0; at < pieceCount; at++) move(table, 'setMissing', at)
      const empty = tableOf()
      empty.setPriorities(0, after)
      assert.deepEqual(told(table), told(empty))
    })
  )
})

test('many pieces found at once count like pieces verified and stored one by one', () => {
  fc.assert(
    fc.property(steps, priorities, piece, piece, (way, wanted, one, other) => {
      const [start, end] = [Math.min(one, other), Math.max(one, other) + 1]
      const prepared = [tableOf(), tableOf()] as const
      for (const table of prepared) {
        table.setPriorities(0, wanted)
        for (const [name, at] of way) move(table, name, at)
      }
      const [together, single] = prepared
      together.setFound({ start, end })
      for (let at = start; at < end; at++) {
        move(single, 'setVerified', at)
        move(single, 'setStored', at)
      }
      assert.deepEqual(told(together), told(single))
    })
  )
})
