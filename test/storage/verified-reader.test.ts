import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Assembly } from '../../lib/storage/assembly.ts'
import { MemoryStorage } from '../../lib/storage/memory-storage.ts'
import { type ReaderMediator, VerifiedReader } from '../../lib/storage/verified-reader.ts'
import { type Deferred, deferred } from '../../lib/util/concurrency.ts'
import { turns } from '../support/turns.ts'
import { layoutOf, pattern } from './contract.ts'

const pieceLength = 1 << 15
const pieceCount = 4

/** A reader over storage of a pattern, with the offsets that it read and the pieces that it asked to check. */
async function readerOf(questions: Partial<ReaderMediator> = {}): Promise<{
  reader: VerifiedReader
  reads: number[]
  proofs: Map<number, Deferred<boolean>>
  read(byteOffset: number, length?: number): Promise<Uint8Array>
}> {
  const layout = layoutOf(pieceLength, [['film', pieceCount * pieceLength]])
  const storage = new MemoryStorage()
  await storage.open(layout)
  await storage.write(0, [pattern(0, pieceCount * pieceLength)])
  const reads: number[] = []
  const inner = storage.read.bind(storage)
  storage.read = (byteOffset, ...rest) => {
    reads.push(byteOffset)
    return inner(byteOffset, ...rest)
  }
  const proofs = new Map<number, Deferred<boolean>>()
  const assembly = {
    whole: { read: () => undefined, holds: () => false },
    peek: () => undefined
  } as unknown as Assembly
  const reader = new VerifiedReader(layout, storage, assembly, {
    has: () => true,
    prove: (piece) => {
      const proof = proofs.get(piece) ?? deferred<boolean>()
      proofs.set(piece, proof)
      return proof.promise
    },
    missing: async () => true,
    ...questions
  })
  const { signal } = new AbortController()
  const read = async (at: number, length = 1000): Promise<Uint8Array> =>
    new Uint8Array(await reader.read(at, length, signal))
  return { reader, reads, proofs, read }
}

test('storage is not read before the piece is verified', async () => {
  const { read, reads, proofs } = await readerOf()
  const reading = read(pieceLength + 10)
  await turns()
  assert.deepEqual([reads, [...proofs.keys()]], [[], [1]])
  proofs.get(1)?.resolve(true)
  assert.deepEqual(await reading, pattern(pieceLength + 10, 1000))
})

test('a piece that turns out to be lost is waited for', async () => {
  const lost = new Set<number>()
  let isProven = false
  const { reader, read, reads } = await readerOf({
    has: (piece) => !lost.has(piece),
    prove: (piece) => {
      if (isProven) return true
      lost.add(piece)
      return Promise.resolve(false)
    }
  })
  const reading = read(0)
  await turns()
  assert.deepEqual(reads, [])
  lost.clear()
  isProven = true
  reader.verified(0)
  assert.deepEqual(await reading, pattern(0, 1000))
})

test('a read continues into the next piece only as far as pieces are verified', async () => {
  const { read } = await readerOf({ prove: (piece) => (piece < 2 ? true : Promise.resolve(true)) })
  assert.equal((await read(100, 10 * pieceLength)).length, 2 * pieceLength - 100)
})

test('a missing piece is no part of a read, and is waited for', async () => {
  const there = new Set([0])
  const { reader, read, reads } = await readerOf({ has: (piece) => there.has(piece), prove: () => true })
  assert.equal((await read(100, 10 * pieceLength)).length, pieceLength - 100)
  const reading = read(pieceLength)
  await turns()
  assert.deepEqual(reads, [100])
  there.add(1)
  reader.verified(1)
  assert.deepEqual(await reading, pattern(pieceLength, 1000))
})

test('a failure ends waiting reads, and later ones until the torrent recovers', async () => {
  const failure = new Error('the disk is gone')
  const { reader, read } = await readerOf({ has: () => false })
  const reading = read(0)
  reader.fail(failure)
  await assert.rejects(reading, failure)
  await assert.rejects(read(0), failure)
  reader.recover()
  const again = read(0)
  reader.fail(failure)
  await assert.rejects(again, failure)
})
