import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import test from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { blockLength, Layout } from '../../lib/metainfo/layout.ts'
import { PieceTable } from '../../lib/pieces/piece-table.ts'
import type { BlockDigests } from '../../lib/storage/block-digests.ts'
import { MemoryStorage } from '../../lib/storage/memory-storage.ts'
import { type Deferred, deferred } from '../../lib/util/concurrency.ts'
import { type MemoryAccount, MemoryBudget } from '../../lib/util/memory-budget.ts'
import { until } from '../support/until.ts'
import { PickedAssembly } from './picked-assembly.ts'

const blocks = 64
const pieceLength = blocks * blockLength
const length = 2 * pieceLength + 3 * blockLength + 100
const data = Uint8Array.from({ length }, (_, index) => (index * 31 + (index >> 9)) & 0xff)
const every = Array.from({ length: blocks }, (_, block) => block)

class Faulty extends MemoryStorage {
  failWrites = false
  failReads = false
  gate: Deferred<void> | undefined

  override async read(byteOffset: number, target: Uint8Array): Promise<number> {
    if (this.failReads) throw new Error('unreadable')
    return super.read(byteOffset, target)
  }

  override async write(byteOffset: number, chunks: readonly Uint8Array[]): Promise<void> {
    await this.gate?.promise
    if (this.failWrites) throw new Error('disk full')
    await super.write(byteOffset, chunks)
  }
}

/** An assembly whose budget is smaller than a piece, unless another limit is given. */
class Fixture {
  readonly layout = new Layout(pieceLength, [{ path: ['a'], length, offset: 0, pad: false } as never])
  readonly storage = new Faulty()
  readonly budget: MemoryBudget
  readonly account: MemoryAccount
  readonly table = new PieceTable(this.layout)
  readonly assembly: PickedAssembly
  readonly log: string[] = []
  digestOf: BlockDigests = () => undefined
  /** Number of requestable blocks by piece. */
  readonly allowed = new Map<number, number>()
  readonly dropped: number[] = []
  freed = 0

  private constructor(limit: number) {
    this.budget = new MemoryBudget(limit)
    this.account = this.budget.open({ reclaim: () => false, onFreed: () => void this.freed++ })
    const proofs = { sha1: (piece: number) => sha1(this.bytes(piece)) }
    this.assembly = new PickedAssembly(this.table, this.storage, this.account, proofs, {
      arrived: () => {},
      verified: (piece, digests) => {
        this.log.push(`verified ${piece}`)
        return Promise.resolve(digests()).then((digestOf) => {
          this.digestOf = digestOf
        })
      },
      failed: (piece, digestOf) => {
        this.log.push(`failed ${piece}`)
        this.digestOf = digestOf
      },
      written: (piece) => this.log.push(`written ${piece}`),
      abandoned: () => {},
      invalidated: () => {},
      lost: (piece) => this.log.push(`lost ${piece}`),
      error: (error, piece) => this.log.push(`error ${piece} ${error.message}`),
      granted: (piece, count) => this.allowed.set(piece, (this.allowed.get(piece) ?? 0) + count),
      dropped: (piece, block) => {
        this.dropped.push(block)
        this.allowed.set(piece, (this.allowed.get(piece) ?? 0) + 1)
      },
      streamed: (piece) => {
        this.log.push(`streamed ${piece}`)
        this.allowed.set(piece, 0)
      }
    })
  }

  static async open(limit = pieceLength): Promise<Fixture> {
    const fixture = new Fixture(limit)
    await fixture.storage.open(fixture.layout)
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

  begin(piece: number, urgent = false): void {
    const allowed = this.assembly.reserve(piece, urgent)
    assert.ok(allowed > 0)
    this.allowed.set(piece, allowed)
    this.#check()
  }

  /** Requests blocks from a peer. */
  ask(piece: number, list: readonly number[]): void {
    for (const block of list) this.table.blocks.get(piece)?.request(block, 1)
  }

  /** Delivers blocks as a picker requests them; some may have wrong bytes. */
  async fill(piece: number, list: readonly number[], bad: readonly number[] = []): Promise<void> {
    for (const block of list) {
      while ((this.allowed.get(piece) ?? 0) <= 0) {
        const more = this.assembly.extend(piece, false)
        if (more > 0) this.allowed.set(piece, more)
        else await nextTurn()
      }
      this.allowed.set(piece, (this.allowed.get(piece) ?? 0) - 1)
      const bytes = this.block(piece, block)
      if (bad.includes(block)) bytes[0] = (bytes[0] ?? 0) ^ 1
      this.assembly.fill(piece, block, bytes)
      this.#check()
    }
  }

  async inStorage(piece: number): Promise<Uint8Array> {
    const target = new Uint8Array(this.layout.pieceSize(piece))
    const got = await this.storage.read(this.layout.pieceOffset(piece), target)
    return target.subarray(0, got)
  }

  async close(): Promise<void> {
    await this.assembly.close()
    assert.equal(this.budget.used, 0)
  }

  #check(): void {
    assert.ok(this.budget.used <= this.budget.limit, `${this.budget.used} bytes are reserved`)
  }
}

function sha1(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha1').update(bytes).digest())
}

test('a piece larger than the budget is stored and verified within it', async () => {
  const fixture = await Fixture.open()
  for (const piece of [0, 1]) {
    fixture.begin(piece)
    await fixture.fill(piece, every)
    await fixture.assembly.idle()
  }
  assert.deepEqual(fixture.log, ['verified 0', 'written 0', 'verified 1', 'written 1'])
  assert.deepEqual(await fixture.inStorage(1), fixture.bytes(1))
  assert.deepEqual(fixture.digestOf(5), sha1(fixture.block(1, 5)))
  assert.equal(fixture.budget.used, 0)
  await fixture.close()
})

test('a wrong piece fails with its digests, and the next copy continues from its correct blocks', async () => {
  const fixture = await Fixture.open()
  fixture.begin(0)
  await fixture.fill(0, every, [7])
  await fixture.assembly.idle()
  assert.deepEqual(fixture.log, ['failed 0'])
  assert.deepEqual(fixture.digestOf(6), sha1(fixture.block(0, 6)))
  assert.notDeepEqual(fixture.digestOf(7), sha1(fixture.block(0, 7)))
  const right = every.filter((block) => block !== 7)
  assert.deepEqual(fixture.assembly.keep(0, right), right)
  fixture.begin(0)
  await fixture.fill(0, [7])
  await fixture.assembly.idle()
  assert.deepEqual(fixture.log, ['failed 0', 'verified 0', 'written 0'])
  assert.deepEqual(fixture.assembly.keep(0, right), [])
  await fixture.close()
})

test('correct blocks of a bad copy are kept while the next one arrives', async () => {
  const fixture = await Fixture.open()
  const { assembly } = fixture
  fixture.begin(0)
  await fixture.fill(0, every, [7])
  await assembly.idle()
  fixture.begin(0)
  await fixture.fill(0, [0, 7])
  await fixture.fill(0, [1], [1])
  assert.deepEqual(assembly.discard(0, [1]), [1])
  const target = assembly.claim(0, 2)
  const accepted: number[] = []
  assembly.salvage(0, every, (block) => void accepted.push(block))
  assert.deepEqual(
    accepted,
    every.slice(3).filter((block) => block !== 7),
    'not the replaced blocks'
  )
  target?.set(fixture.block(0, 2))
  assembly.fill(0, 2)
  await fixture.fill(0, [1])
  await assembly.idle()
  assert.deepEqual(fixture.log, ['failed 0', 'verified 0', 'written 0'])
  await fixture.close()
})

test('blocks of an earlier run are not read before the piece is hashed', async () => {
  const fixture = await Fixture.open()
  await fixture.storage.write(0, [data.subarray(0, 30 * blockLength)])
  fixture.table.blocks.setKept(0, every.slice(0, 30))
  fixture.begin(0)
  assert.deepEqual(await fixture.assembly.peek(5, 10), data.slice(5, 15))
  await fixture.fill(0, every.slice(30))
  await fixture.assembly.idle()
  assert.deepEqual(fixture.log, ['verified 0', 'written 0'])
  await fixture.close()
})

for (const right of [true, false]) {
  test(`a piece stored completely by an earlier run is ${right ? 'verified' : 'lost'}`, async () => {
    const fixture = await Fixture.open()
    if (right) await fixture.storage.write(0, [fixture.bytes(0)])
    fixture.table.blocks.setKept(0, every)
    fixture.begin(0)
    await nextTurn()
    await fixture.assembly.idle()
    assert.deepEqual(fixture.log, right ? ['verified 0', 'written 0'] : ['lost 0'])
    await fixture.close()
  })
}

test('save names the blocks in storage', async () => {
  const fixture = await Fixture.open()
  fixture.begin(0)
  await fixture.fill(0, [1, 2, 9])
  assert.deepEqual(await fixture.assembly.save(), new Map([[0, [1, 2, 9]]]))
  assert.deepEqual(
    (await fixture.inStorage(0)).subarray(blockLength, 3 * blockLength),
    data.slice(blockLength, 3 * blockLength)
  )
  await fixture.close()
})

for (const resumed of ['at once', 'later'] as const) {
  test(`an evicted piece releases all memory, and resumes ${resumed}`, async () => {
    const fixture = await Fixture.open()
    const { assembly, budget } = fixture
    fixture.begin(0)
    await fixture.fill(0, every.slice(0, 40))
    assert.equal(assembly.spill(0), true)
    if (resumed === 'later') {
      await assembly.idle()
      assert.equal(budget.used, 0)
    }
    fixture.begin(0)
    await fixture.fill(0, every.slice(40))
    await assembly.idle()
    assert.deepEqual(fixture.log, ['verified 0', 'written 0'])
    await fixture.close()
  })
}

test('a piece abandoned and begun again while its blocks are being written ends up right', async () => {
  const fixture = await Fixture.open(100 * pieceLength)
  const { assembly, storage } = fixture
  // Others want memory, so that the fair share is less than a piece.
  const others = Array.from({ length: 100 }, () =>
    fixture.budget.open({ reclaim: () => false, onFreed: () => {} })
  )
  for (const other of others) other.reserve(1)
  const gate = deferred<void>()
  storage.gate = gate
  fixture.begin(0)
  await fixture.fill(0, [0, 1], [0, 1])
  await nextTurn()
  storage.gate = undefined
  assembly.abandon(0)
  for (const other of others) other.release(1)
  fixture.begin(0)
  await fixture.fill(0, every.slice(0, 8))
  await nextTurn()
  gate.resolve()
  await fixture.fill(0, every.slice(8))
  await assembly.idle()
  assert.deepEqual(fixture.log, ['verified 0', 'written 0'])
  assert.deepEqual(await fixture.inStorage(0), fixture.bytes(0))
  await fixture.close()
})

test('a full disk is reported once with the piece, and memory is released', async () => {
  const fixture = await Fixture.open()
  fixture.storage.failWrites = true
  fixture.begin(0)
  await fixture.fill(0, [0, 1, 2])
  await fixture.assembly.idle()
  await nextTurn()
  assert.deepEqual(fixture.log, ['error 0 disk full'])
  assert.equal(fixture.budget.used, 0)
  fixture.storage.failWrites = false
  fixture.begin(0)
  await fixture.fill(0, every)
  await fixture.assembly.idle()
  assert.deepEqual(fixture.log.slice(1), ['verified 0', 'written 0'])
  await fixture.close()
})

test('a piece that cannot be read back is lost', async () => {
  const fixture = await Fixture.open()
  fixture.begin(0)
  fixture.storage.failReads = true
  await fixture.fill(0, every)
  await fixture.assembly.idle()
  assert.deepEqual(fixture.log, ['lost 0'])
  await fixture.close()
})

test('blocks no longer requested are accepted while there is memory', async () => {
  const fixture = await Fixture.open(4 * 65_536)
  const { assembly, storage } = fixture
  storage.gate = deferred()
  fixture.begin(0)
  for (const block of every) {
    fixture.allowed.set(0, (fixture.allowed.get(0) ?? 0) - 1)
    assembly.fill(0, block, fixture.block(0, block))
  }
  assert.ok(fixture.budget.used <= fixture.budget.limit)
  const dropped = fixture.dropped.splice(0)
  assert.ok(dropped.length > 0 && dropped.length < blocks, `${dropped.length} are dropped`)
  storage.gate.resolve()
  await fixture.fill(0, dropped)
  await assembly.idle()
  assert.deepEqual(fixture.dropped, [])
  assert.deepEqual(fixture.log, ['verified 0', 'written 0'])
  await fixture.close()
})

test('released memory belongs to no block', async () => {
  const fixture = await Fixture.open()
  const { assembly, budget } = fixture
  fixture.begin(0)
  const { used } = budget
  assembly.giveBack(0, fixture.allowed.get(0) ?? 0)
  assert.ok(budget.used < used)
  assert.ok(assembly.extend(0, false) > 0)
  assert.equal(budget.used, used)
  await fixture.close()
})

test('a piece in memory continues in storage with its blocks, also while it is written', async () => {
  const fixture = await Fixture.open(4 * pieceLength)
  const { assembly, budget, storage } = fixture
  fixture.begin(0)
  assert.equal(fixture.allowed.get(0), Number.POSITIVE_INFINITY)
  await fixture.fill(0, every.slice(0, 20))
  await fixture.fill(0, [20], [20])
  assert.equal(budget.used, pieceLength)
  storage.gate = deferred()
  fixture.ask(0, [40, 41, 42])
  assert.equal(assembly.stream(0), true)
  assert.equal(assembly.stream(0), false)
  await fixture.fill(0, [30, 31])
  assert.deepEqual(assembly.discard(0, [20]), [20])
  await fixture.fill(0, [20])
  assert.equal(budget.used, pieceLength)
  storage.gate.resolve()
  await assembly.idle()
  assert.deepEqual(fixture.log, ['streamed 0'])
  assert.ok(budget.used <= pieceLength / 4, `${budget.used} bytes`)
  // The three requested ones arrive in any case.
  for (const block of [40, 41, 42]) assembly.fill(0, block, fixture.block(0, block))
  await fixture.fill(
    0,
    every.filter((block) => block > 20 && ![30, 31, 40, 41, 42].includes(block))
  )
  await assembly.idle()
  assert.deepEqual(fixture.log, ['streamed 0', 'verified 0', 'written 0'])
  assert.deepEqual(await fixture.inStorage(0), fixture.bytes(0))
  await fixture.close()
})

test('a piece that completes while it is to be streamed stays in memory', async () => {
  const fixture = await Fixture.open(4 * pieceLength)
  fixture.begin(0)
  await fixture.fill(0, [0])
  fixture.storage.gate = deferred()
  assert.equal(fixture.assembly.stream(0), true)
  await fixture.fill(0, every)
  fixture.storage.gate.resolve()
  await fixture.assembly.idle()
  assert.deepEqual(fixture.log, ['verified 0', 'written 0'])
  await fixture.close()
})

test('a piece with most blocks requested stays in memory', async () => {
  const fixture = await Fixture.open(4 * pieceLength)
  fixture.begin(0)
  fixture.ask(0, every.slice(1, blocks - 3))
  fixture.assembly.stream(0)
  await fixture.assembly.idle()
  assert.deepEqual(fixture.log, [])
  assert.equal(fixture.budget.used, pieceLength)
  await fixture.close()
})

test('a piece abandoned while it is to be streamed begins again after its last write', async () => {
  const fixture = await Fixture.open(4 * pieceLength)
  const { assembly, storage } = fixture
  fixture.begin(0)
  await fixture.fill(0, [0], [0])
  storage.gate = deferred()
  assert.equal(assembly.stream(0), true)
  assembly.abandon(0)
  assert.equal(assembly.reserve(0, false), 0)
  await nextTurn()
  await nextTurn()
  const { freed } = fixture
  assert.equal(assembly.reserve(0, false), 0)
  storage.gate.resolve()
  await until('memory to be returned', () => fixture.freed !== freed)
  fixture.begin(0)
  await fixture.fill(0, every)
  await assembly.idle()
  assert.deepEqual(fixture.log, ['verified 0', 'written 0'])
  assert.deepEqual(await fixture.inStorage(0), fixture.bytes(0))
  await fixture.close()
})
