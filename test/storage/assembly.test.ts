import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import test from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { blockLength, Layout } from '../../lib/metainfo/layout.ts'
import { PieceTable } from '../../lib/pieces/piece-table.ts'
import type { BlockDigests } from '../../lib/storage/block-digests.ts'
import { MemoryStorage } from '../../lib/storage/memory-storage.ts'
import type { Storage } from '../../lib/storage/storage.ts'
import { type Deferred, deferred } from '../../lib/util/concurrency.ts'
import { type MemoryAccount, MemoryBudget } from '../../lib/util/memory-budget.ts'
import { PickedAssembly } from './picked-assembly.ts'

const pieceLength = 4 * blockLength
/** Number of requestable blocks of a piece held in memory: no limit. */
const all = Number.POSITIVE_INFINITY
const length = 3 * pieceLength + blockLength + 100
const data = Uint8Array.from({ length }, (_, index) => (index * 31 + (index >> 9)) & 0xff)

class Faulty extends MemoryStorage {
  failWrites = false
  failReads = false
  gate: Deferred<void> | undefined
  writes = 0

  override async read(byteOffset: number, target: Uint8Array): Promise<number> {
    await this.gate?.promise
    if (this.failReads) throw new Error('unreadable')
    return super.read(byteOffset, target)
  }

  override async write(byteOffset: number, chunks: readonly Uint8Array[]): Promise<void> {
    this.writes++
    await this.gate?.promise
    if (this.failWrites) throw new Error('disk full')
    await super.write(byteOffset, chunks)
  }
}

function accountOf(budget: MemoryBudget, onFreed: () => void = () => {}): MemoryAccount {
  return budget.open({ reclaim: () => false, onFreed })
}

/** Events of streamed pieces, which pieces held in memory do not need. */
const noStreaming = { granted: () => {}, dropped: () => assert.fail(), streamed: () => {} }

class Fixture {
  readonly layout: Layout
  readonly storage = new Faulty()
  readonly budget: MemoryBudget
  readonly table: PieceTable
  readonly assembly: PickedAssembly
  readonly log: string[] = []
  /** Counts of received blocks. */
  readonly arrived: number[] = []
  onVerified: (piece: number, digests: () => BlockDigests | Promise<BlockDigests>) => void = () => {}

  constructor(layout: Layout, limit: number) {
    this.layout = layout
    this.budget = new MemoryBudget(limit)
    this.table = new PieceTable(layout)
    const proofs = { sha1: (piece: number) => sha1(this.bytes(piece)) }
    const account = accountOf(this.budget)
    this.assembly = new PickedAssembly(this.table, this.storage satisfies Storage, account, proofs, {
      arrived: (piece) => void this.arrived.push(piece),
      verified: (piece, digests) => {
        this.log.push(`verified ${piece}`)
        const bytes = this.assembly.whole.read(this.layout.pieceOffset(piece), pieceLength)
        if (bytes !== undefined) assert.deepEqual(new Uint8Array(bytes), this.bytes(piece))
        this.onVerified(piece, digests)
        return undefined
      },
      failed: (piece) => this.log.push(`failed ${piece}`),
      written: (piece) => this.log.push(`written ${piece}`),
      ...noStreaming,
      abandoned: () => {},
      invalidated: (piece) => this.log.push(`discarded ${piece}`),
      lost: (piece) => this.log.push(`lost ${piece}`),
      error: (error, piece) => this.log.push(`error ${piece} ${error.message}`)
    })
  }

  static async open(limit = 100 * pieceLength): Promise<Fixture> {
    const layout = new Layout(pieceLength, [{ path: ['a'], length, offset: 0, pad: false } as never])
    const fixture = new Fixture(layout, limit)
    await fixture.storage.open(layout)
    return fixture
  }

  bytes(piece: number): Uint8Array {
    const { start, end } = this.layout.pieceRange(piece)
    return data.slice(start, end)
  }

  block(piece: number, block: number): Uint8Array {
    const start = this.layout.pieceOffset(piece) + block * blockLength
    return data.slice(start, start + this.layout.blockSize(piece, block))
  }

  fill(piece: number, blocks: readonly number[]): void {
    for (const block of blocks) this.assembly.fill(piece, block, this.block(piece, block))
  }

  async inStorage(piece: number): Promise<Uint8Array> {
    const target = new Uint8Array(this.layout.pieceSize(piece))
    const got = await this.storage.read(this.layout.pieceOffset(piece), target)
    return target.subarray(0, got)
  }
}

function sha1(bytes: Uint8Array): Uint8Array {
  return createHash('sha1').update(bytes).digest()
}

test('blocks in any order become a piece in storage, and memory is released', async () => {
  const fixture = await Fixture.open()
  const { assembly, budget } = fixture
  for (const [piece, order] of [
    [0, [0, 1, 2, 3]],
    [1, [3, 2, 1, 0]],
    [3, [1, 0]]
  ] as const) {
    assert.equal(assembly.reserve(piece, false), all)
    assert.equal(assembly.reserve(piece, true), all)
    assert.equal(budget.used, pieceLength)
    fixture.fill(piece, order)
    assert.equal(assembly.whole.holds(piece), true)
    const offset = fixture.layout.pieceOffset(piece) + 5
    assert.deepEqual(assembly.whole.read(offset, 10), Buffer.from(data.subarray(offset, offset + 10)))
    await assembly.idle()
    assert.equal(assembly.whole.holds(piece), false)
    assert.equal(assembly.whole.read(offset, 10), undefined)
    assert.equal(budget.used, 0)
    assert.deepEqual(await fixture.inStorage(piece), fixture.bytes(piece))
  }
  assert.deepEqual(fixture.log.slice(0, 2), ['verified 0', 'written 0'])
})

for (const failWrites of [false, true]) {
  test(`adjacent complete pieces are written together${failWrites ? ', and fail one by one' : ''}`, async () => {
    const fixture = await Fixture.open()
    const { assembly, storage, log } = fixture
    storage.failWrites = failWrites
    for (const piece of [1, 0, 3, 2]) {
      assembly.reserve(piece, true)
      fixture.fill(piece, piece === 3 ? [0, 1] : [0, 1, 2, 3])
    }
    await assembly.idle()
    assert.equal(storage.writes, 1)
    const told = [0, 1, 2, 3].map((piece) => (failWrites ? `error ${piece} disk full` : `written ${piece}`))
    assert.deepEqual(log.slice(4), told)
    assert.equal(fixture.budget.used, 0)
    const expected = failWrites ? new Uint8Array(0) : fixture.bytes(2)
    assert.deepEqual(await fixture.inStorage(2), expected)
  })
}

test('bytes for a reader are not memory of the pool', async () => {
  const fixture = await Fixture.open()
  fixture.assembly.reserve(0, false)
  fixture.fill(0, [0, 1, 2, 3])
  const read = fixture.assembly.whole.read(7, 100)
  assert.equal(read?.buffer.byteLength, 100)
  await fixture.assembly.idle()
  fixture.assembly.reserve(1, false)
  fixture.fill(1, [0, 1, 2, 3])
  assert.deepEqual(read, Buffer.from(data.subarray(7, 107)))
  await fixture.assembly.close()
})

test('a wrong piece fails, and can be begun again', async () => {
  const fixture = await Fixture.open()
  const { assembly } = fixture
  assembly.reserve(2, false)
  fixture.fill(2, [0, 1, 2])
  assembly.fill(2, 3, new Uint8Array(blockLength))
  assert.deepEqual(fixture.log, ['failed 2'])
  assembly.reserve(2, false)
  fixture.fill(2, [0, 1, 2, 3])
  await assembly.idle()
  assert.equal(fixture.log.at(-1), 'written 2')
  assert.equal(fixture.budget.used, 0)
})

/** Fills piece 2 with correct blocks and a wrong last one. */
function failPiece(fixture: Fixture): void {
  fixture.assembly.reserve(2, true)
  fixture.fill(2, [0, 1, 2])
  fixture.assembly.fill(2, 3, new Uint8Array(blockLength))
  assert.equal(fixture.log.at(-1), 'failed 2')
}

test('the next copy of a bad piece begins with the correct blocks', async () => {
  const fixture = await Fixture.open()
  failPiece(fixture)
  assert.deepEqual(fixture.assembly.keep(2, [0, 1, 2]), [0, 1, 2])
  const before = fixture.arrived.length
  assert.equal(fixture.assembly.reserve(2, true), all)
  assert.deepEqual(fixture.arrived.slice(before), [2], 'a reader that waits for blocks checks again')
  fixture.fill(2, [3])
  await fixture.assembly.idle()
  assert.ok(fixture.log.includes('verified 2'))
  assert.equal(fixture.budget.used, 0)
})

test('correct blocks of a bad piece are kept while the next copy arrives', async () => {
  const fixture = await Fixture.open()
  failPiece(fixture)
  fixture.assembly.reserve(2, true)
  fixture.fill(2, [3])
  const accepted: number[] = []
  fixture.assembly.salvage(2, [0, 1, 2], (block) => accepted.push(block))
  assert.deepEqual(accepted, [0, 1, 2])
  assert.deepEqual(fixture.arrived.slice(-3), [2, 2, 2])
  await fixture.assembly.idle()
  assert.ok(fixture.log.includes('verified 2'))
  assert.equal(fixture.budget.used, 0)
})

test('a block that a sender is writing is not replaced by a copy', async () => {
  const fixture = await Fixture.open()
  failPiece(fixture)
  fixture.assembly.reserve(2, true)
  fixture.assembly.claim(2, 1)
  const accepted: number[] = []
  fixture.assembly.salvage(2, [0, 1], (block) => accepted.push(block))
  assert.deepEqual(accepted, [0])
})

test('the memory of bad copies is reclaimable, and the loss of kept blocks is reported', async () => {
  const fixture = await Fixture.open(pieceLength)
  failPiece(fixture)
  fixture.assembly.keep(2, [0, 1, 2])
  assert.deepEqual(fixture.table.blocks.kept(2), [0, 1, 2])
  assert.deepEqual([...(await fixture.assembly.save())], [], 'they are in memory alone')
  assert.equal(fixture.assembly.reserve(1, true), all)
  assert.deepEqual(fixture.log, ['failed 2'])
  assert.deepEqual(fixture.table.blocks.kept(2), [])
  assert.deepEqual(fixture.assembly.keep(2, [0]), [], 'no copy is left')
  await fixture.assembly.close()
  assert.equal(fixture.budget.used, 0)
})

test('untrusted blocks arrive a second time, also when they were hashed', async () => {
  const fixture = await Fixture.open()
  fixture.assembly.reserve(0, true)
  fixture.assembly.fill(0, 0, new Uint8Array(blockLength))
  fixture.fill(0, [1])
  assert.deepEqual(fixture.assembly.discard(0, [0, 2]), [0])
  assert.deepEqual(fixture.assembly.discard(3, [0]), [])
  fixture.fill(0, [0, 2, 3])
  await fixture.assembly.idle()
  assert.ok(fixture.log.includes('verified 0'))
})

test('while storage is behind only readers begin further pieces, and the others when it has caught up', async () => {
  const count = 400
  const size = count * pieceLength
  const layout = new Layout(pieceLength, [{ path: ['a'], length: size, offset: 0, pad: false } as never])
  const storage = new Faulty()
  await storage.open(layout)
  storage.gate = deferred()
  const budget = new MemoryBudget(64 << 20)
  const block = new Uint8Array(blockLength)
  const digest = sha1(new Uint8Array(pieceLength))
  const told = deferred<void>()
  const proofs = { sha1: () => digest }
  const assembly = new PickedAssembly(
    new PieceTable(layout),
    storage,
    accountOf(budget, told.resolve),
    proofs,
    {
      arrived: () => {},
      verified: () => undefined,
      failed: () => assert.fail(),
      written: () => {},
      ...noStreaming,
      abandoned: () => {},
      invalidated: () => {},
      lost: () => {},
      error: (error) => assert.fail(error)
    }
  )
  let begun = 0
  for (; assembly.reserve(begun, false) > 0; begun++) {
    for (let at = 0; at < 4; at++) assembly.fill(begun, at, block)
  }
  assert.ok(budget.used <= 16 << 20, `${budget.used} bytes wait`)
  assert.equal(assembly.reserve(begun, true), all, 'a reader')
  storage.gate.resolve()
  await Promise.all([assembly.idle(), told.promise])
  assert.equal(assembly.reserve(begun + 1, false), all)
  await assembly.close()
  assert.equal(budget.used, 0)
})

test('a full disk is reported with the piece, and memory is released', async () => {
  const fixture = await Fixture.open()
  fixture.storage.failWrites = true
  fixture.assembly.reserve(0, false)
  fixture.fill(0, [0, 1, 2, 3])
  await fixture.assembly.idle()
  assert.deepEqual(fixture.log, ['verified 0', 'error 0 disk full'])
  assert.equal(fixture.assembly.whole.holds(0), false)
  assert.equal(fixture.budget.used, 0)
})

test('the budget refuses, and an abandoned piece makes room', async () => {
  const fixture = await Fixture.open(2 * pieceLength)
  const { assembly } = fixture
  assert.equal(assembly.reserve(0, true), all)
  assert.equal(assembly.reserve(1, false), 0)
  assert.equal(assembly.reserve(1, true), all)
  assert.equal(assembly.reserve(2, true), 0)
  assembly.abandon(0)
  assembly.abandon(0)
  assert.equal(fixture.budget.used, pieceLength)
  assert.equal(assembly.reserve(2, true), all)
  await assembly.close()
  assert.equal(fixture.budget.used, 0)
})

test('one sender writes a block at a time', async () => {
  const fixture = await Fixture.open()
  const { assembly } = fixture
  assert.equal(assembly.claim(0, 0), undefined)
  assembly.reserve(0, false)
  const target = assembly.claim(0, 1)
  assert.equal(target?.length, blockLength)
  assert.equal(assembly.claim(0, 1), undefined)
  assembly.unclaim(0, 1)
  const again = assembly.claim(0, 1)
  again?.set(fixture.block(0, 1))
  assembly.fill(0, 1)
  assert.equal(assembly.claim(0, 1), undefined)
  assembly.unclaim(0, 1)
  assert.equal(assembly.claim(0, 9), undefined)
  fixture.fill(0, [0, 2, 9, 3])
  await assembly.idle()
  assert.deepEqual(await fixture.inStorage(0), fixture.bytes(0))
  assembly.fill(0, 1, fixture.block(0, 1))
  assembly.unclaim(0, 1)
})

test('a piece abandoned while a sender writes does not touch the next one', async () => {
  const fixture = await Fixture.open()
  const { assembly } = fixture
  assembly.reserve(0, false)
  const target = assembly.claim(0, 0)
  assembly.abandon(0)
  assembly.reserve(1, false)
  fixture.fill(1, [0, 1, 2])
  target?.fill(0xee)
  fixture.fill(1, [3])
  await assembly.idle()
  assert.deepEqual(await fixture.inStorage(1), fixture.bytes(1))
})

test('kept blocks are read back and verified', async () => {
  const fixture = await Fixture.open()
  const { assembly, storage } = fixture
  await storage.write(fixture.layout.pieceOffset(1), [
    data.subarray(pieceLength, pieceLength + 2 * blockLength)
  ])
  fixture.table.blocks.setKept(1, [0, 1])
  assert.deepEqual([...(await assembly.save())], [[1, [0, 1]]])
  assembly.reserve(1, false)
  fixture.fill(1, [2, 3])
  await assembly.idle()
  assert.deepEqual(fixture.log.slice(0, 2), ['verified 1', 'written 1'])
  assert.deepEqual(fixture.arrived, [1, 1, 1], 'all but the last block, with which the piece is complete')
  assert.equal(fixture.budget.used, 0)
  assert.deepEqual([...(await assembly.save())], [])
})

for (const fault of ['unreadable', 'missing']) {
  test(`kept blocks that are ${fault} are lost`, async () => {
    const fixture = await Fixture.open()
    fixture.storage.failReads = fault === 'unreadable'
    fixture.table.blocks.setKept(0, [0, 1])
    fixture.assembly.reserve(0, false)
    await fixture.assembly.idle()
    assert.deepEqual(fixture.log, ['lost 0'])
    assert.equal(fixture.budget.used, 0)
  })
}

test('a piece abandoned while it is read back is left alone', async () => {
  const fixture = await Fixture.open()
  const { assembly, storage } = fixture
  await storage.write(0, [data.subarray(0, pieceLength)])
  storage.gate = deferred()
  fixture.table.blocks.setKept(0, [0, 1, 2])
  assembly.reserve(0, false)
  assembly.abandon(0)
  storage.gate.resolve()
  await assembly.idle()
  assert.deepEqual(fixture.log, [])
  assert.equal(fixture.budget.used, 0)
})

test('save writes the blocks of incomplete pieces', async () => {
  const fixture = await Fixture.open()
  const { assembly } = fixture
  for (const piece of [0, 1, 2]) assembly.reserve(piece, false)
  fixture.fill(0, [0, 1, 3])
  fixture.fill(1, [2])
  assembly.claim(1, 3)
  const saved = await assembly.save()
  assert.deepEqual(
    [...saved],
    [
      [0, [0, 1, 3]],
      [1, [2]]
    ]
  )
  assert.equal(fixture.storage.writes, 3)
  const target = new Uint8Array(blockLength)
  await fixture.storage.read(3 * blockLength, target)
  assert.deepEqual(target, fixture.block(0, 3))
  await assembly.close()
  assert.equal(fixture.budget.used, 0)
})

test('a piece that completes while it is saved does not lend its memory to another', async () => {
  const fixture = await Fixture.open()
  const { assembly, storage } = fixture
  assembly.reserve(0, false)
  fixture.fill(0, [0, 1])
  const gate = deferred<void>()
  storage.gate = gate
  const saving = assembly.save()
  await nextTurn()
  storage.gate = undefined
  fixture.fill(0, [2, 3])
  await assembly.idle()
  assembly.reserve(1, false)
  fixture.fill(1, [0, 1, 2])
  gate.resolve()
  await saving
  assert.deepEqual(await fixture.inStorage(0), fixture.bytes(0))
  await assembly.close()
})

test('a spilled piece releases its memory and resumes with its blocks', async () => {
  const fixture = await Fixture.open()
  const { assembly, budget } = fixture
  assert.equal(assembly.spill(0), false)
  assembly.reserve(0, false)
  assert.equal(assembly.spill(0), false)
  fixture.fill(0, [0, 2])
  assert.equal(assembly.spill(0), true)
  assert.equal(budget.used, pieceLength)
  await assembly.idle()
  assert.equal(budget.used, 0)
  assembly.reserve(0, false)
  fixture.fill(0, [1])
  // Again while the first blocks are read back, and at once resumed.
  assert.equal(assembly.spill(0), true)
  assembly.reserve(0, false)
  assert.deepEqual(
    [...(await assembly.save())].map(([, blocks]) => blocks),
    [[0, 1, 2]]
  )
  fixture.fill(0, [3])
  await assembly.idle()
  assert.ok(fixture.log.includes('verified 0'), String(fixture.log))
  assert.deepEqual(await fixture.inStorage(0), fixture.bytes(0))
  assert.equal(budget.used, 0)
})

test('a failed spill is reported, and the piece begins anew', async () => {
  const fixture = await Fixture.open()
  const { assembly } = fixture
  fixture.storage.failWrites = true
  assembly.reserve(0, false)
  fixture.fill(0, [0, 2])
  assembly.spill(0)
  await assembly.idle()
  assert.deepEqual(fixture.log, ['error 0 disk full'])
  assert.deepEqual([...(await assembly.save())], [])
  assert.equal(fixture.budget.used, 0)
})

test('close lets pending work finish, accepts nothing more, and releases all memory', async () => {
  const fixture = await Fixture.open()
  const { assembly, storage } = fixture
  for (const piece of [0, 1, 2]) assembly.reserve(piece, false)
  fixture.fill(0, [0, 1])
  storage.gate = deferred()
  fixture.fill(1, [0, 1, 2, 3])
  const closing = assembly.close()
  assert.equal(assembly.reserve(3, true), 0)
  assert.equal(assembly.spill(0), false)
  storage.gate.resolve()
  await closing
  await assembly.close()
  assert.equal(fixture.budget.used, 0)
  assert.deepEqual(await fixture.inStorage(1), fixture.bytes(1))
  assembly.fill(0, 2, fixture.block(0, 2))
})

test('large pieces are hashed in slices', async () => {
  const large = 24 << 20
  const layout = new Layout(large, [{ path: ['a'], length: large, offset: 0, pad: false } as never])
  const content = new Uint8Array(large).fill(7)
  const expected = sha1(content)
  const storage = new MemoryStorage()
  await storage.open(layout)
  const budget = new MemoryBudget(2 * large)
  const log: string[] = []
  const proofs = { sha1: () => expected }
  const assembly = new PickedAssembly(new PieceTable(layout), storage, accountOf(budget), proofs, {
    arrived: () => {},
    verified: () => void log.push('verified'),
    failed: () => log.push('failed'),
    written: () => log.push('written'),
    ...noStreaming,
    abandoned: () => {},
    invalidated: () => {},
    lost: () => {},
    error: () => {}
  })
  assembly.reserve(0, false)
  for (let block = large / blockLength - 1; block >= 0; block--) {
    assembly.fill(0, block, content.subarray(0, blockLength))
  }
  assert.deepEqual(log, [])
  await assembly.idle()
  assert.deepEqual(log, ['verified', 'written'])
  assert.equal(budget.used, 0)
})

test('the last block of a wrong padded piece is judged by the bytes that peers send', async () => {
  const own = blockLength + 100
  const files = [
    { path: ['a'], length: own, offset: 0, pad: false },
    { path: ['pad'], length: pieceLength - own, offset: own, pad: true }
  ]
  const layout = new Layout(pieceLength, files as never)
  const storage = new MemoryStorage()
  await storage.open(layout)
  let digestOf: BlockDigests | undefined
  const proofs = { sha1: () => sha1(new Uint8Array()) }
  const account = accountOf(new MemoryBudget(4 * pieceLength))
  const assembly = new PickedAssembly(new PieceTable(layout), storage, account, proofs, {
    arrived: () => {},
    verified: () => assert.fail(),
    failed: (_piece, digests) => (digestOf = digests),
    written: () => assert.fail(),
    ...noStreaming,
    abandoned: () => {},
    invalidated: () => {},
    lost: () => {},
    error: () => {}
  })
  assembly.reserve(0, false)
  assembly.fill(0, 0, data.subarray(0, blockLength))
  assembly.fill(0, 1, data.subarray(blockLength, own))
  assert.deepEqual(new Uint8Array(digestOf?.(1) ?? []), new Uint8Array(sha1(data.subarray(blockLength, own))))
  assert.equal(digestOf?.(2), undefined)
  await assembly.close()
})
