import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import test from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { blockLength, Layout } from '../../lib/metainfo/layout.ts'
import { MemoryStorage } from '../../lib/storage/memory-storage.ts'
import { StreamedPiece } from '../../lib/storage/streamed-piece.ts'
import { type Deferred, deferred } from '../../lib/util/concurrency.ts'

const count = 20
const length = (count - 1) * blockLength + 100
const data = Uint8Array.from({ length }, (_, index) => (index * 31 + (index >> 9)) & 0xff)

class Gated extends MemoryStorage {
  gate: Deferred<void> | undefined
  failWrites = false
  readonly writes: number[] = []
  reads = 0
  readable = Number.POSITIVE_INFINITY

  override async write(byteOffset: number, chunks: readonly Uint8Array[]): Promise<void> {
    this.writes.push(chunks.length)
    await this.gate?.promise
    if (this.failWrites) throw new Error('disk full')
    await super.write(byteOffset, chunks)
  }

  override async read(byteOffset: number, target: Uint8Array): Promise<number> {
    this.reads++
    return super.read(byteOffset, target.subarray(0, Math.max(0, this.readable - byteOffset)))
  }
}

class Fixture {
  readonly storage = new Gated()
  readonly piece: StreamedPiece
  freed = 0
  failures = 0

  private constructor(layout: Layout, present: readonly number[], ready?: Promise<void>) {
    this.piece = new StreamedPiece(layout, this.storage, 0, present, ready, {
      freed: (blocks) => {
        this.freed += blocks
      },
      failed: () => void this.failures++
    })
    this.piece.reserved = count
  }

  static async open(present: readonly number[] = [], ready?: Promise<void>): Promise<Fixture> {
    const layout = new Layout(count * blockLength, [{ path: ['a'], length, offset: 0, pad: false } as never])
    const fixture = new Fixture(layout, present, ready)
    await fixture.storage.open(layout)
    for (const block of present) await fixture.storage.write(block * blockLength, [blockOf(block)])
    return fixture
  }

  fill(blocks: Iterable<number>): void {
    for (const block of blocks) this.piece.fill(block, blockOf(block))
  }
}

function blockOf(block: number): Uint8Array {
  return data.slice(block * blockLength, (block + 1) * blockLength)
}

function sha1(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha1').update(bytes).digest())
}

const numbers = Array.from({ length: count }, (_, block) => block)
const orders = {
  'in order': numbers,
  backwards: numbers.toReversed(),
  'every other one first': [...numbers.filter((n) => n % 2 === 1), ...numbers.filter((n) => n % 2 === 0)]
}

for (const [order, blocks] of Object.entries(orders)) {
  for (const each of [false, true]) {
    test(`blocks that come ${order}${each ? ', each written before the next' : ''} have the right digest`, async () => {
      const { piece, storage } = await Fixture.open()
      for (const block of blocks) {
        piece.fill(block, blockOf(block))
        if (each) await piece.written()
      }
      assert.equal(piece.complete, true)
      assert.deepEqual(await piece.digest(), sha1(data))
      const digestOf = await piece.digests()
      for (const block of blocks) assert.deepEqual(digestOf(block), sha1(blockOf(block)))
      assert.equal(piece.unwritten, 0)
      const got = new Uint8Array(length)
      assert.equal(await storage.read(0, got), length)
      assert.deepEqual(got, data)
    })
  }
}

test('free memory is reported once for each block that was written or discarded', async () => {
  const fixture = await Fixture.open()
  const { piece, storage } = fixture
  storage.gate = deferred()
  fixture.fill([0, 1, 2])
  await nextTurn()
  fixture.fill([5, 6])
  assert.equal(piece.unwritten, 5)
  assert.ok(piece.discard(1) && piece.discard(6) && !piece.discard(6))
  assert.equal(fixture.freed, 1, 'a block being written still takes memory')
  assert.equal(piece.unwritten, 4)
  fixture.fill([1])
  storage.gate.resolve()
  await piece.written()
  assert.equal(fixture.freed, 6)
  assert.deepEqual(piece.present(), [0, 1, 2, 5])
})

test('a second copy of a block being written is written after it', async () => {
  const fixture = await Fixture.open()
  const { piece, storage } = fixture
  storage.gate = deferred()
  piece.fill(3, new Uint8Array(blockLength))
  await nextTurn()
  assert.ok(piece.discard(3))
  fixture.fill(numbers)
  storage.gate.resolve()
  assert.deepEqual(await piece.digest(), sha1(data))
})

test('a hashed block that is untrusted is received again', async () => {
  const fixture = await Fixture.open()
  const { piece } = fixture
  piece.fill(2, new Uint8Array(blockLength))
  fixture.fill(numbers.slice(0, 16))
  await piece.written()
  await piece.settled()
  assert.ok(piece.discard(2))
  assert.equal(piece.has(2), false)
  fixture.fill(numbers)
  assert.deepEqual(await piece.digest(), sha1(data))
})

test('a sender writes into memory of its own, and no more than is reserved', async () => {
  const { piece } = await Fixture.open()
  piece.reserved = 2
  const target = piece.claim(4)
  assert.equal(target?.length, blockLength)
  assert.equal(piece.claim(4), undefined)
  assert.ok(piece.isClaimed(4) && !piece.has(4))
  assert.equal(piece.claim(count - 1)?.length, 100)
  assert.equal(piece.claim(5), undefined)
  piece.unclaim(count - 1)
  target?.set(blockOf(4))
  piece.fill(4)
  assert.ok(piece.has(4))
  assert.ok(piece.claim(5))
})

test('readers get bytes at once, from memory and from storage', async () => {
  const fixture = await Fixture.open()
  const { piece, storage } = fixture
  storage.gate = deferred()
  fixture.fill([1, 2])
  assert.equal(await piece.peek(0, 100), undefined)
  assert.deepEqual(await piece.peek(blockLength + 5, 10), data.slice(blockLength + 5, blockLength + 15))
  await nextTurn()
  assert.deepEqual(await piece.peek(blockLength + 5, 10), data.slice(blockLength + 5, blockLength + 15))
  storage.gate.resolve()
  await piece.written()
  const from = 2 * blockLength - 3
  assert.deepEqual(await piece.peek(from, 3 * blockLength), data.slice(from, 3 * blockLength))
})

test('bytes of a block that was discarded during the read do not count', async () => {
  const fixture = await Fixture.open()
  const { piece } = fixture
  fixture.fill([0])
  await piece.written()
  const reading = piece.peek(0, 10)
  piece.discard(0)
  assert.equal(await reading, undefined)
})

test('blocks already in storage are hashed with the others, in order', async () => {
  const ready = deferred<void>()
  const fixture = await Fixture.open([0, 1, 2, 7], ready.promise)
  const { piece, storage } = fixture
  const { reads } = storage
  fixture.fill(numbers)
  await nextTurn()
  assert.equal(storage.writes.length, 4, 'the writes of the test')
  assert.equal(storage.reads, reads)
  ready.resolve()
  assert.deepEqual(await piece.digest(), sha1(data))
  assert.equal(fixture.freed, count - 4)
})

test('a storage failure ends the piece, and is reported once', async () => {
  const fixture = await Fixture.open()
  const { piece, storage } = fixture
  storage.failWrites = true
  fixture.fill([0])
  await piece.written()
  assert.equal(fixture.failures, 1)
  fixture.fill(numbers)
  assert.equal(await piece.digest(), undefined)
  assert.equal(fixture.failures, 1)
  assert.ok(piece.ended && piece.idle)
})

test('bytes that storage has lost leave no digest', async () => {
  const fixture = await Fixture.open()
  const { piece, storage } = fixture
  storage.readable = 3 * blockLength
  fixture.fill(numbers)
  assert.equal(await piece.digest(), undefined)
  assert.equal(fixture.failures, 0)
  assert.equal((await piece.digests())(0), undefined, 'no peer is blamed for it')
})

test('an ended piece writes nothing more', async () => {
  const fixture = await Fixture.open()
  const { piece, storage } = fixture
  storage.gate = deferred()
  fixture.fill([0])
  await nextTurn()
  fixture.fill([5])
  piece.end()
  assert.equal(piece.idle, false)
  storage.gate.resolve()
  await piece.settled()
  assert.deepEqual(storage.writes, [1])
})

test('padding is stored and hashed without being received', async () => {
  const padding = 20 * blockLength + 77
  const files = [
    { path: ['a'], length, offset: 0, pad: false },
    { path: ['pad'], length: padding, offset: length, pad: true }
  ]
  const layout = new Layout(length + padding, files as never)
  const storage = new Gated()
  // It treats padding as ordinary bytes.
  await storage.open(new Layout(length + padding, [{ ...files[0], length: length + padding }] as never))
  const piece = new StreamedPiece(layout, storage, 0, [], undefined, {
    freed: () => {},
    failed: () => assert.fail()
  })
  piece.reserved = count
  for (let block = 0; block < count; block++) {
    assert.equal(piece.complete, false)
    piece.fill(block, blockOf(block))
  }
  assert.equal(piece.complete, true)
  assert.equal(piece.claim(count), undefined)
  const bytes = Buffer.concat([data, new Uint8Array(padding)])
  assert.deepEqual(await piece.digest(), new Uint8Array(createHash('sha1').update(bytes).digest()))
  const stored = new Uint8Array(bytes.length)
  assert.equal(await storage.read(0, stored), bytes.length)
  assert.ok(bytes.equals(stored))
  // Peers sent the last block without padding.
  const digestOf = await piece.digests()
  assert.deepEqual(
    digestOf(count - 1),
    new Uint8Array(
      createHash('sha1')
        .update(blockOf(count - 1))
        .digest()
    )
  )
  assert.equal(digestOf(count), undefined)
  piece.end()
})

test('storage that fails to write padding fails the piece', async () => {
  const storage = new Gated()
  const files = [
    { path: ['a'], length, offset: 0, pad: false },
    { path: ['pad'], length: 5, offset: length, pad: true }
  ]
  let failures = 0
  const layout = new Layout(length + 5, files as never)
  await storage.open(layout)
  const piece = new StreamedPiece(layout, storage, 0, [], undefined, {
    freed: () => {},
    failed: () => void failures++
  })
  piece.reserved = count
  for (let block = 0; block < count; block++) piece.fill(block, blockOf(block))
  await piece.written()
  storage.failWrites = true
  assert.equal(await piece.digest(), undefined)
  assert.equal(failures, 1)
  assert.equal(piece.ended, true)
})
