import assert from 'node:assert/strict'
import test from 'node:test'
import { blockLength, Layout } from '../../lib/metainfo/layout.ts'
import { Picker } from '../../lib/picker/picker.ts'
import { PieceTable } from '../../lib/pieces/piece-table.ts'
import { sinkOf, sourceOf } from './picker-parts.ts'

const blocks = 8
const layout = new Layout(blocks * blockLength, [
  {
    path: 'a',
    name: 'a',
    length: 4 * blocks * blockLength,
    offset: 0,
    pad: false,
    executable: false,
    hidden: false
  }
])

/** A picker with a reader at the first piece and equal seeds that answer at once. */
class Reader {
  readonly asked: Map<number, number> = new Map()
  readonly picker: Picker
  #now = 0

  constructor(peers = [1, 2, 3]) {
    const request = (peer: number, piece: number, block: number): void => {
      if (piece === 0) this.asked.set(block, peer)
    }
    this.picker = new Picker(new PieceTable(layout), sinkOf(), () => 0.5)
    for (const peer of peers) {
      this.picker.addPeer(sourceOf(peer, { request }), 20)
      this.picker.unchoked(peer, 0)
    }
    this.picker.setWindow(1, { pieces: { start: 0, end: 1 }, bytesPerMs: 1000, waiting: true }, true, 0)
    for (const peer of peers) this.picker.bitfield(peer, 'all', 0)
  }

  /** Delivers every block of the first piece from the peer asked. Returns the peer of each. */
  fetch(): Map<number, number> {
    const senders = new Map<number, number>()
    while (senders.size < blocks) {
      const [next] = [...this.asked].filter(([block]) => !senders.has(block))
      assert.ok(next !== undefined, 'a block is not requested from any peer')
      const [block, peer] = next
      this.#now += 10
      assert.equal(this.picker.received(peer, 0, block, this.#now), 'wanted')
      senders.set(block, peer)
      this.picker.refill(peer, this.#now)
    }
    return senders
  }

  fail(): void {
    this.asked.clear()
    this.picker.failed(0, [], this.#now)
  }
}

test('each block of a failed piece comes from another peer the next time', () => {
  const reader = new Reader()
  const before = reader.fetch()
  reader.fail()
  for (const [block, peer] of reader.fetch()) assert.notEqual(peer, before.get(block), `block ${block}`)
})

test('suspects still send pieces that a reader waits for, a discredited peer does not', () => {
  const reader = new Reader()
  reader.fetch()
  for (const peer of [1, 2, 3]) reader.picker.suspect(peer, true, peer === 2, 0)
  reader.fail()
  assert.deepEqual(new Set(reader.fetch().values()), new Set([1, 3]))
})

test('a block is requested from its earlier sender when there is no other peer', () => {
  const reader = new Reader([1])
  reader.fetch()
  reader.fail()
  assert.deepEqual(new Set(reader.fetch().values()), new Set([1]))
})

test('a piece that fails again and again is still fetched', () => {
  const reader = new Reader([1])
  for (let attempt = 0; attempt < 200; attempt++) {
    assert.equal(reader.fetch().size, blocks)
    reader.fail()
  }
})
