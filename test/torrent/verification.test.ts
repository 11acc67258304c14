import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Layout } from '../../lib/metainfo/layout.ts'
import type { FileEntry } from '../../lib/metainfo/metainfo.ts'
import type { CheckOptions } from '../../lib/storage/checker.ts'
import { Ledger } from '../../lib/torrent/ledger.ts'
import { Verification } from '../../lib/torrent/verification.ts'
import { deferred } from '../../lib/util/concurrency.ts'

/** A stored, unproven piece 0, which the background and a reader hash at the same time; each result comes when the test says so. */
function race() {
  const file = { path: 'a', length: 16, offset: 0, pad: false } as FileEntry
  const ledger = new Ledger(new Layout(16, [file]))
  const background = deferred<boolean>()
  const reader = deferred<boolean>()
  const lost: number[] = []
  const store = (unproven: boolean): void => {
    ledger.setVerified(0, true)
    ledger.setStored(0, true)
    ledger.setUnproven(0, unproven)
  }
  const checker = {
    check: async (_pieces: unknown, { onResult }: CheckOptions = {}) => {
      onResult?.(0, await background.promise)
      return { pieces: 1, ok: 0 } as never
    },
    checkNow: () => reader.promise,
    close: async () => {}
  }
  const verification = new Verification(checker, ledger, {
    change: () => {},
    found: () => {},
    proven: () => {},
    lost: (piece) => {
      lost.push(piece)
      ledger.setVerified(piece, false)
    },
    warning: assert.fail
  })
  store(true)
  const proven = verification.prove([0])
  const asked = verification.proveNow(0)
  return { ledger, lost, background, reader, proven, asked, fetchAnew: () => store(false) }
}

test('a piece that the background found wrong and that was fetched anew is not lost to a late reader', async () => {
  const { ledger, lost, background, reader, proven, asked, fetchAnew } = race()
  background.resolve(false)
  await proven
  fetchAnew()
  reader.resolve(false)
  assert.equal(await asked, true, 'it is there now')
  assert.deepEqual(lost, [0])
  assert.equal(ledger.isStored(0), true)
})

test('a piece that a reader found wrong and that was fetched anew is not lost to the background', async () => {
  const { ledger, lost, background, reader, proven, asked, fetchAnew } = race()
  reader.resolve(false)
  assert.equal(await asked, false)
  fetchAnew()
  background.resolve(false)
  await proven
  assert.deepEqual(lost, [0])
  assert.equal(ledger.isStored(0), true)
})
