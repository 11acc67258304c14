import assert from 'node:assert/strict'
import test from 'node:test'
import { exactLooks, mostLooks, RarityOrder } from '../../lib/picker/rarity-order.ts'
import { fc } from '../support/fast-check.ts'

/** A small seeded generator, so that a failure repeats. */
function seeded(seed: number): () => number {
  let state = seed | 1
  return () => {
    state = Math.imul(state ^ (state >>> 15), state | 1)
    state ^= state + Math.imul(state ^ (state >>> 7), state | 61)
    return ((state ^ (state >>> 14)) >>> 0) / 4294967296
  }
}

/** An order with priorities of its own. */
class Order extends RarityOrder {
  readonly #priorities: Uint8Array

  constructor(pieceCount: number, random: () => number, together?: number) {
    const priorities = new Uint8Array(pieceCount)
    super({ pieceCount, priority: (piece) => priorities[piece] ?? 0 }, random, together)
    this.#priorities = priorities
  }

  /** Adds a piece, moves it, or removes it with priority 0. */
  put(piece: number, priority: number): void {
    this.#priorities[piece] = priority
    if (priority > 0) this.add(piece)
    else this.remove(piece)
  }

  /** Changes the priority of a piece without telling the order. */
  select(piece: number, priority: number): void {
    this.#priorities[piece] = priority
  }
}

function listOf(order: RarityOrder): number[] {
  return order.list()
}

/** Returns the best piece that some peer has. */
function bestOf(order: RarityOrder): number {
  return order.find(() => true, undefined)
}

function bytesOf(pieceCount: number, pieces: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(pieceCount / 8))
  for (const piece of pieces) bytes[piece >> 3] = (bytes[piece >> 3] ?? 0) | (0x80 >> (piece & 7))
  return bytes
}

test('rarer pieces of a higher priority come first, and pieces without peers come last', () => {
  const order = new Order(6, seeded(1))
  for (let piece = 0; piece < 5; piece++) order.put(piece, piece === 4 ? 7 : 4)
  order.addPeer(bytesOf(6, [0, 1, 2, 4]))
  order.addPeer(bytesOf(6, [0, 2]))
  order.addPeer(bytesOf(6, [0]))
  assert.deepEqual(listOf(order), [4, 1, 2, 0, 3])
  order.increment(3)
  order.remove(1)
  assert.deepEqual(listOf(order), [4, 3, 2, 0])
  order.put(0, 5)
  order.put(4, 0)
  assert.deepEqual(listOf(order), [0, 3, 2])
  assert.equal(order.has(4), false)
  assert.equal(order.availability(1), 1, 'counted although it is not contained')
})

test('an availability never falls below zero, and pieces that do not exist are ignored', () => {
  const order = new Order(3, seeded(2))
  order.put(0, 1)
  order.put(9, 1)
  order.decrement(0)
  order.decrement(9)
  order.increment(9)
  order.removePeer('all')
  order.addPeer(Uint8Array.of(0xff, 0xff))
  assert.deepEqual([...order.leechers], [1, 1, 1])
  assert.equal(order.availability(9), 0)
  assert.deepEqual(listOf(order), [0])
})

test('a piece that became common while it was not contained is sorted correctly', () => {
  const order = new Order(3, seeded(3))
  order.put(0, 4)
  order.put(1, 4)
  order.increment(0)
  bestOf(order)
  for (let n = 0; n < 100; n++) order.increment(2)
  order.put(2, 4)
  assert.deepEqual(listOf(order), [0, 2, 1])
  for (let n = 0; n < 100; n++) order.decrement(2)
  assert.equal(bestOf(order), 0)
})

test('equals are in an order that the random source decides', () => {
  const first = new Set<number>()
  for (let seed = 1; seed < 60; seed++) {
    const order = new Order(4, seeded(seed * 7919))
    for (let piece = 0; piece < 4; piece++) order.put(piece, 4)
    order.addPeer('all')
    first.add(bestOf(order))
  }
  assert.equal(first.size, 4)
})

test('a single move ends at a random position of its bucket too', () => {
  const places = new Set<number>()
  const order = new Order(8, seeded(5))
  for (let piece = 0; piece < 8; piece++) order.put(piece, 4)
  order.addPeer('all')
  for (let round = 0; round < 100; round++) {
    bestOf(order)
    order.increment(3)
    order.decrement(3)
    places.add(listOf(order).indexOf(3))
  }
  assert.equal(places.size, 8)
})

test('any sequence of changes leaves the pieces of the model, sorted', () => {
  const pieceCount = 21
  const piece = fc.nat(pieceCount - 1)
  const change = fc.oneof(
    fc.record({ kind: fc.constant('add' as const), piece, priority: fc.nat(7) }),
    fc.record({ kind: fc.constant('priority' as const), piece, priority: fc.nat(7) }),
    fc.record({ kind: fc.constant('remove' as const), piece }),
    fc.record({ kind: fc.constant('increment' as const), piece }),
    fc.record({ kind: fc.constant('decrement' as const), piece }),
    fc.record({ kind: fc.constant('join' as const), pieces: fc.uniqueArray(piece) }),
    fc.record({ kind: fc.constant('leave' as const), pieces: fc.uniqueArray(piece, { maxLength: 3 }) }),
    fc.record({ kind: fc.constant('seed' as const) }),
    fc.record({ kind: fc.constant('seed leaves' as const) }),
    fc.record({ kind: fc.constant('look' as const) })
  )
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 150, size: 'max' }),
      fc.integer({ min: 1 }),
      (changes, seed) => {
        const order = new Order(pieceCount, seeded(seed))
        const counts = new Array<number>(pieceCount).fill(0)
        let seeds = 0
        const priorities = new Map<number, number>()
        const count = (at: number, step: number): void => {
          counts[at] = Math.max(0, (counts[at] ?? 0) + step)
        }
        // With more than 16 peers, a sixteenth may have come or gone since the order was sorted.
        let peers = 0
        let lag = 0
        const joined = (step: number): void => {
          peers = Math.max(0, peers + step)
          lag = Math.max(lag, Math.floor(peers / 16))
        }
        // Priorities not yet passed to the order.
        const selected = new Map<number, number>()
        const check = (): void => {
          for (const [at, priority] of selected) {
            order.put(at, priority)
            if (priority === 0) priorities.delete(at)
            else priorities.set(at, priority)
          }
          selected.clear()
          const list = listOf(order)
          for (const [at, leechers] of counts.entries()) {
            assert.equal(order.availability(at), leechers + seeds)
            assert.equal(order.lacking.at(at), leechers + seeds === 0 ? 1 : 0)
          }
          assert.equal(order.size, priorities.size)
          assert.deepEqual([...list].sort(), [...priorities.keys()].sort())
          const keys = list.map((at) => {
            const available = (counts[at] ?? 0) + seeds
            return (7 - (priorities.get(at) ?? 0)) * 1e6 + (available === 0 ? 1e5 : available)
          })
          keys.forEach((key, index) => {
            assert.ok(key <= (keys[index + 1] ?? key) + 2 * lag, `${keys}`)
          })
        }
        for (const step of changes) {
          if (step.kind === 'add') {
            order.put(step.piece, step.priority)
            selected.delete(step.piece)
            if (step.priority === 0) priorities.delete(step.piece)
            else priorities.set(step.piece, step.priority)
          } else if (step.kind === 'priority') {
            if (!priorities.has(step.piece)) continue
            // The order is told later, as after a selection; anything may happen meanwhile.
            order.select(step.piece, step.priority)
            selected.set(step.piece, step.priority)
          } else if (step.kind === 'remove') {
            order.remove(step.piece)
            selected.delete(step.piece)
            priorities.delete(step.piece)
          } else if (step.kind === 'increment' || step.kind === 'decrement') {
            order[step.kind](step.piece)
            count(step.piece, step.kind === 'increment' ? 1 : -1)
          } else if (step.kind === 'join') {
            order.addPeer(bytesOf(pieceCount, step.pieces))
            for (const at of step.pieces) count(at, 1)
            joined(1)
          } else if (step.kind === 'leave') {
            order.removePeer(bytesOf(pieceCount, step.pieces))
            for (const at of step.pieces) count(at, -1)
            joined(-1)
          } else if (step.kind === 'seed') {
            order.addPeer('all')
            seeds++
          } else if (step.kind === 'seed leaves') {
            order.removePeer('all')
            seeds = Math.max(0, seeds - 1)
          } else {
            check()
          }
        }
        check()
        assert.deepEqual([...order.leechers], counts)
      }
    ),
    { numRuns: 300 }
  )
})

/**
 * Makes an order of `pieceCount` pieces, and the bitfields of 40 peers; `share` is the share of peers that
 * have a piece.
 */
function ordered(pieceCount: number, random: () => number, share: (piece: number) => number): Order {
  const order = new Order(pieceCount, random)
  for (let piece = 0; piece < pieceCount; piece++) order.put(piece, 4)
  for (let peer = 0; peer < 40; peer++) {
    const pieces = Array.from({ length: pieceCount }, (_, piece) => piece)
    order.addPeer(
      bytesOf(
        pieceCount,
        pieces.filter((piece) => random() < share(piece))
      )
    )
  }
  return order
}

test('a search finds the rarest piece that fits, or one with hardly any rarer beside it', () => {
  const input = fc.record({
    pieceCount: fc.integer({ min: 1, max: 3000 }),
    density: fc.constantFrom(0.001, 0.02, 0.1, 0.5, 1),
    rareDensity: fc.constantFrom(0, 0.001, 0.1, 1),
    taken: fc.constantFrom(0, 0.3, 0.9),
    seed: fc.integer({ min: 1 })
  })
  fc.assert(
    fc.property(input, ({ pieceCount, density, rareDensity, taken, seed }) => {
      const random = seeded(seed)
      // The first half is rare, and the searching peer may have less of it than of the rest.
      const isRare = (piece: number): boolean => piece < pieceCount / 2
      const order = ordered(pieceCount, random, (piece) => (isRare(piece) ? 0.1 : 0.5))
      for (let piece = 0; piece < pieceCount; piece++) if (random() < taken) order.remove(piece)
      const all = Array.from({ length: pieceCount }, (_, piece) => piece)
      const own = new Set(all.filter((piece) => random() < (isRare(piece) ? rareDensity : density)))
      order.addPeer(bytesOf(pieceCount, [...own]))
      // Sorts, so that the list is the one searched.
      const list = order.list()
      const has = (piece: number): boolean => own.has(piece)
      const steps = order.steps
      const found = order.find(has, bytesOf(pieceCount, [...own]))
      assert.ok(order.steps - steps <= mostLooks + 2 * exactLooks, `${order.steps - steps} looks`)
      const first = list.find(has)
      assert.equal(found < 0, first === undefined, 'an existing piece is found')
      if (first === undefined) return
      assert.ok(own.has(found) && order.has(found))
      const of = (piece: number): number => order.availability(piece)
      const known = list.filter((piece) => of(piece) > 0)
      if (known.indexOf(first) < exactLooks) {
        assert.equal(found, first)
        return
      }
      // The peer has few of the rarer pieces.
      const rarer = known.slice(0, known.indexOf(found))
      const missed = rarer.filter(has).length
      assert.ok(missed <= rarer.length * 0.25, `${missed} of ${rarer.length} were passed over`)
    }),
    { numRuns: 150 }
  )
})

test('a new peer of a large swarm is sorted for later, but a piece that no peer had moves at once', () => {
  const pieceCount = 400
  const random = seeded(9)
  const order = ordered(pieceCount, random, (piece) => (piece === 7 ? 0 : 0.5))
  order.list()
  const steps = order.steps
  const half = Array.from({ length: pieceCount / 2 }, (_, index) => index)
  order.addPeer(bytesOf(pieceCount, half))
  assert.equal(bestOf(order), 7)
  assert.ok(order.steps - steps < 20, `${order.steps - steps} looks`)
  order.removePeer(bytesOf(pieceCount, half))
  assert.notEqual(bestOf(order), 7)
  // The first is sorted at once, because there was a search; the others together, once they are enough.
  for (let peer = 0; peer < 4; peer++) order.addPeer(bytesOf(pieceCount, half.slice(8)))
  const counts = order.list().map((piece) => order.availability(piece))
  assert.deepEqual(
    counts.slice(0, -1),
    counts.slice(0, -1).sort((a, b) => a - b)
  )
})

test('a seed that comes and goes looks at no piece, and pieces that only seeds have come first', () => {
  const pieceCount = 1000
  const order = new Order(pieceCount, seeded(4))
  for (let piece = 0; piece < pieceCount; piece++) order.put(piece, 4)
  order.addPeer(bytesOf(pieceCount, [5, 6, 7]))
  assert.ok([5, 6, 7].includes(bestOf(order)))
  const { steps } = order
  for (let round = 0; round < 100; round++) {
    order.addPeer('all')
    assert.ok(![5, 6, 7].includes(bestOf(order)), 'no peer but the seed has it')
    order.removePeer('all')
    assert.ok([5, 6, 7].includes(bestOf(order)), 'no peer has the others')
  }
  assert.ok(order.steps - steps < 1000, `${order.steps - steps} looks`)
})

test('pieces of a large swarm are taken and given back in few steps', () => {
  const order = new Order(1000, seeded(10))
  for (let piece = 0; piece < 1000; piece++) order.put(piece, 4)
  // As many buckets as peers.
  for (let piece = 0; piece < 1000; piece++) {
    for (let peer = 0; peer < 1 + 5 * piece; peer += 1) order.increment(piece)
  }
  order.list()
  const steps = order.steps
  for (let round = 0; round < 100; round++) {
    const piece = bestOf(order)
    order.remove(piece)
    if (round % 2 === 0) order.put(piece, 4)
    order.increment(500 + round)
  }
  assert.ok(order.steps - steps < 1000, `${order.steps - steps} steps`)
  assert.equal(bestOf(order), 50)
})

test('for a peer without rare pieces the search does not look at all rare ones', () => {
  const pieceCount = 100_000
  const order = new Order(pieceCount, seeded(12))
  for (let piece = 0; piece < pieceCount; piece++) {
    order.put(piece, 4)
    order.increment(piece)
  }
  const common = Array.from({ length: 1000 }, (_, index) => 90_000 + 7 * index)
  for (let peer = 0; peer < 20; peer++) order.addPeer(bytesOf(pieceCount, common))
  const bits = bytesOf(pieceCount, common)
  const has = (piece: number): boolean => ((bits[piece >> 3] ?? 0) & (0x80 >> (piece & 7))) !== 0
  order.list()
  const steps = order.steps
  for (let count = 0; count < 1000; count++) {
    const found = order.find(has, bits)
    assert.ok(has(found) && order.has(found))
    order.remove(found)
  }
  assert.equal(order.find(has, bits), -1, 'and then it has nothing')
  assert.ok(order.steps - steps < 1001 * 600, `${order.steps - steps} steps`)
})

// Takes about a second. With a search or a sort for each change it would exceed the runner's time limit.
test('a large swarm of a large torrent is cheap', () => {
  const pieceCount = 100_000
  const random = seeded(11)
  const order = new Order(pieceCount, random)
  for (let piece = 0; piece < pieceCount; piece++) order.put(piece, 4)
  const bitfields = Array.from({ length: 8 }, () =>
    Uint8Array.from({ length: pieceCount / 8 }, () => Math.floor(random() * 256))
  )
  for (let peer = 0; peer < 1000; peer++) {
    order.addPeer(bitfields[peer % bitfields.length] ?? 'all')
    if (peer % 2 === 0) bestOf(order)
    for (let n = 0; n < 100; n++) order.increment(Math.floor(random() * pieceCount))
  }
  while (order.size > pieceCount / 2) order.remove(bestOf(order))
  assert.equal(order.size, pieceCount / 2)
})

test('equals are in groups of adjacent pieces, the groups in random order', () => {
  const order = new Order(64, seeded(3), 8)
  for (let piece = 0; piece < 64; piece++) order.put(piece, 4)
  order.addPeer('all')
  const list = order.list()
  const groups = Array.from({ length: 8 }, (_, at) => list.slice(at * 8, at * 8 + 8))
  for (const group of groups) {
    const first = group[0] ?? 0
    assert.equal(first % 8, 0)
    assert.deepEqual(
      group,
      group.map((_, at) => first + at)
    )
  }
  assert.notDeepEqual(
    list,
    Array.from({ length: 64 }, (_, piece) => piece)
  )
})

test('the only piece of a peer is found at any position and bit offset', () => {
  for (const pieceCount of [4096, 4099, 4104, 5000]) {
    let seed = 3
    const random = (): number => (seed = (seed * 48271) % 0x7fffffff) / 0x7fffffff
    const order = new Order(pieceCount, random)
    for (let piece = 0; piece < pieceCount; piece++) order.put(piece, 4)
    order.addPeer('all')
    for (let piece = 0; piece < pieceCount; piece += piece < pieceCount - 70 ? 37 : 1) {
      for (const offset of [0, 1]) {
        const bits = new Uint8Array(offset + Math.ceil(pieceCount / 8)).subarray(offset)
        bits[piece >> 3] = 0x80 >> (piece & 7)
        assert.equal(
          order.find((one) => one === piece, bits),
          piece
        )
      }
    }
  }
})
