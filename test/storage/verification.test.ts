import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PieceTable } from '../../lib/pieces/piece-table.ts'
import type { Checker } from '../../lib/storage/checker.ts'
import { Verification } from '../../lib/storage/verification.ts'
import { type Deferred, deferred } from '../../lib/util/concurrency.ts'
import { turns } from '../support/turns.ts'
import { layoutOf } from './contract.ts'

/** A verification with verdicts from the test, and its events. */
function verificationOf(): {
  verification: Verification
  table: PieceTable
  told: string[]
  /** Gives the verdict on a piece that is checked in the background. */
  judge(piece: number, ok: boolean): void
  /** Verdicts on pieces that are checked at once. */
  now: Map<number, Deferred<boolean>>
} {
  const table = new PieceTable(layoutOf(1 << 15, [['film', 8 << 15]]))
  const told: string[] = []
  const now = new Map<number, Deferred<boolean>>()
  let judge: (piece: number, ok: boolean) => void = () => {}
  const checker = {
    check: (_: readonly number[], { onResult }: { onResult: typeof judge }) => {
      judge = onResult
      return new Promise<void>(() => {})
    },
    checkNow: (piece: number) => {
      const verdict = deferred<boolean>()
      now.set(piece, verdict)
      return verdict.promise
    },
    close: async () => {}
  } as unknown as Checker
  const verification = new Verification(checker, table, {
    unchecked: (pieces) => {
      for (const piece of pieces) table.setUnchecked(piece)
    },
    missing: (piece) => {
      table.setMissing(piece)
      told.push(`${piece} missing`)
    },
    found: (piece) => {
      table.setFound({ start: piece, end: piece + 1 })
      told.push(`${piece} found`)
    },
    failed: () => false,
    isHeld: () => false,
    proven: (piece) => told.push(`${piece} proven`),
    lost: (piece) => told.push(`${piece} lost`),
    warning: assert.ifError
  })
  return { verification, table, told, now, judge: (piece, ok) => judge(piece, ok) }
}

test('a piece checked for a stream is not reported again by the background check', async () => {
  for (const ok of [true, false]) {
    const { verification, told, now, judge } = verificationOf()
    await verification.mark([0, 1, 2])
    void verification.check([0, 1, 2])
    verification.setWindow(1, { pieces: { start: 1, end: 2 }, bytesPerMs: 1, waiting: true })
    now.get(1)?.resolve(ok)
    await turns()
    assert.deepEqual(told, [`1 ${ok ? 'found' : 'missing'}`])
    judge(1, ok)
    judge(2, true)
    assert.deepEqual(told.slice(1), ['2 found'])
  }
})

test('after the end no verdict counts', async () => {
  const { verification, table, told, now, judge } = verificationOf()
  await verification.mark([0])
  void verification.check([0])
  table.setFound({ start: 3, end: 4 })
  table.setUnproven(3)
  const proof = verification.proveNow(3)
  await verification.close()
  judge(0, true)
  now.get(3)?.resolve(false)
  assert.equal(await proof, false)
  assert.deepEqual(told, [])
})

test('a verdict counts only for a piece that is still stored', async () => {
  for (const [isStored, ok, expected] of [
    [true, true, ['3 proven']],
    [true, false, ['3 lost']],
    [false, false, []]
  ] as const) {
    const { verification, table, told, now } = verificationOf()
    table.setFound({ start: 3, end: 4 })
    table.setUnproven(3)
    const proof = verification.proveNow(3)
    if (!isStored) table.setMissing(3)
    now.get(3)?.resolve(ok)
    await proof
    assert.deepEqual(told, expected)
  }
})
