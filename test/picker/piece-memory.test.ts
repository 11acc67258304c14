import assert from 'node:assert/strict'
import { test } from 'node:test'
import { blockLength, Layout } from '../../lib/metainfo/layout.ts'
import { Picker } from '../../lib/picker/picker.ts'
import { PieceTable } from '../../lib/pieces/piece-table.ts'
import { sinkOf, sourceOf } from './picker-parts.ts'
import { selectPieces } from './select-pieces.ts'

const blocksPerPiece = 8

/** A picker with two pieces, memory for a limited number of requests, and one seed. */
class Scene {
  readonly requests: string[] = []
  readonly log: string[] = []
  /** Memory for the next grant. */
  grant: number
  readonly picker: Picker

  constructor(grant: number, select = [0]) {
    this.grant = grant
    const pieceLength = blocksPerPiece * blockLength
    const layout = new Layout(pieceLength, [{ length: 2 * pieceLength, offset: 0 } as never])
    this.picker = new Picker(
      new PieceTable(layout),
      sinkOf({
        reserve: () => this.grant,
        extend: (piece) => {
          if (this.grant > 0) this.log.push(`extend ${piece}`)
          return this.grant
        },
        giveBack: (piece, blocks) => void this.log.push(`back ${piece} ${blocks}`),
        stream: (piece) => {
          this.log.push(`stream ${piece}`)
          return true
        },
        abandon: (piece) => void this.log.push(`abandon ${piece}`),
        spill: (piece) => {
          this.log.push(`spill ${piece}`)
          return true
        }
      }),
      () => 0
    )
    selectPieces(this.picker, select, 1, 0)
    this.join(1, 0)
  }

  join(id: number, now: number): void {
    const request = (_: number, piece: number, block: number): unknown =>
      this.requests.push(`${piece}:${block}`)
    this.picker.addPeer(sourceOf(id, { request }), 10)
    this.picker.bitfield(id, 'all', now)
    this.picker.unchoked(id, now)
  }

  /** Answers the oldest request. */
  answer(now: number): void {
    const [piece = 0, block = 0] = (this.requests.shift() ?? '').split(':').map(Number)
    assert.equal(this.picker.received(1, piece, block, now), 'wanted')
    this.picker.refill(1, now)
  }
}

test('a streamed piece gets only as many requests as there is memory for', () => {
  const scene = new Scene(3)
  scene.grant = 0
  const asked = scene.requests.length
  assert.ok(asked > 0 && asked <= 3 * blocksPerPiece)
  for (let now = 1; scene.requests.length > 0; now++) scene.answer(now)
  const { received = 0 } = scene.picker.table.blocks.get(0) ?? {}
  assert.equal(received % 3, 0)
  assert.ok(received < blocksPerPiece)
  scene.picker.memory.grant(0, 2, 100)
  assert.equal(scene.requests.length, 2)
})

test('a piece without requests releases the memory for further ones', () => {
  const scene = new Scene(blocksPerPiece)
  scene.answer(1)
  scene.picker.memory.grant(0, 1, 2)
  scene.log.length = 0
  scene.picker.removePeer(1, 3)
  assert.deepEqual(scene.log, [`back 0 ${blocksPerPiece}`])
  scene.requests.length = 0
  scene.log.length = 0
  scene.join(2, 4)
  assert.ok(scene.requests.length > 0)
  assert.ok(scene.log.includes('extend 0'))
})

test('a block that was dropped for lack of memory is requested again', () => {
  const scene = new Scene(blocksPerPiece)
  const [first = ''] = scene.requests
  scene.answer(1)
  scene.picker.memory.dropped(0, Number(first.slice(2)))
  scene.picker.refill(1, 2)
  while (scene.requests.length > 0 && !scene.requests.includes(first)) scene.answer(3)
  assert.ok(scene.requests.includes(first))
})

test('a piece whose last block was dropped for lack of memory is not complete', () => {
  const scene = new Scene(blocksPerPiece)
  for (let now = 1; scene.picker.table.blocks.get(0)?.complete !== true; now++) scene.answer(now)
  scene.picker.memory.dropped(0, 5)
  assert.equal(scene.picker.table.blocks.get(0)?.complete, false)
})

test('unused memory of partial pieces is released first, then a piece in memory is streamed', () => {
  const scene = new Scene(blocksPerPiece)
  scene.answer(1)
  scene.picker.memory.grant(0, 4, 2)
  scene.log.length = 0
  assert.equal(scene.picker.memory.reclaim('under way'), true)
  assert.match(scene.log.join(), /^back 0 \d+$/)
  assert.equal(scene.picker.memory.reclaim('under way'), false)
  const other = new Scene(Number.POSITIVE_INFINITY)
  assert.equal(other.picker.memory.reclaim('under way'), true)
  assert.deepEqual(other.log, ['stream 0'])
  other.picker.memory.streamed(0)
  other.requests.length = 0
  other.grant = 0
  other.picker.refill(1, 3)
  assert.deepEqual(other.requests, [])
})

test('an evicted piece is spilled if it has blocks, and abandoned if not', () => {
  for (const came of [true, false]) {
    const scene = new Scene(Number.POSITIVE_INFINITY)
    if (came) scene.answer(1)
    scene.picker.removePeer(1, 2)
    const found = scene.picker.memory.reclaim('unserved')
    assert.equal(found, came)
    assert.deepEqual(scene.log, [came ? 'spill 0' : 'abandon 0'])
  }
})
