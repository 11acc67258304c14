import assert from 'node:assert/strict'
import test from 'node:test'
import { fc } from '../support/fast-check.ts'
import { FakeSwarm, type FakeSwarmOptions } from './fake-swarm.ts'

const even = (pieceCount: number): number[] => Array.from({ length: pieceCount / 2 }, (_, index) => 2 * index)
const upTo = (count: number, from = 0): number[] => Array.from({ length: count }, (_, index) => from + index)

/** Makes a swarm in which everything is selected. */
function swarmOf(options: FakeSwarmOptions = {}): FakeSwarm {
  const swarm = new FakeSwarm(options)
  swarm.selectAll()
  return swarm
}

test('one seed: every block is requested once', () => {
  const swarm = swarmOf({ shorter: 20_000 })
  swarm.add()
  swarm.finish()
  assert.equal(swarm.completed.length, 32)
  assert.equal(swarm.requests.length, swarm.useful)
  assert.equal(swarm.duplicates, 0)
  assert.equal(swarm.outstanding, 0)
  assert.equal(swarm.reserved.size, 0)
})

test('the request queue fills a long fat link', () => {
  const swarm = swarmOf({ pieceCount: 400 })
  swarm.add({ bytesPerMs: 10_000, latencyMs: 200, maxRequests: 1000 })
  swarm.finish()
  const idealMs = swarm.layout.length / 10_000
  assert.ok(swarm.now < idealMs * 1.35 + 2500, `${swarm.now} of ${idealMs} ms`)
})

test('the same seed gives the same run', () => {
  const run = (seed: number): unknown => {
    const swarm = swarmOf({ seed })
    for (let count = 0; count < 5; count++) swarm.add({ bytesPerMs: 100 * (count + 1), rejects: 0.02 })
    swarm.finish()
    return swarm.requests
  }
  assert.deepEqual(run(7), run(7))
  assert.notDeepEqual(run(7), run(8))
})

test('in ordinary mixed swarms duplicates stay below 5 %', () => {
  for (const seed of upTo(6, 1)) {
    const swarm = swarmOf({ seed, pieceCount: 64 })
    const { random } = swarm
    for (let count = 0; count < 12; count++) {
      const pieces = upTo(64).filter(() => random() < 0.6)
      swarm.add({
        bytesPerMs: 20 + 1500 * random() ** 3,
        latencyMs: 10 + 200 * random(),
        pieces: count === 0 ? 'all' : pieces,
        fast: random() < 0.7
      })
    }
    swarm.finish()
    assert.ok(swarm.waste <= 0.05, `seed ${seed}: ${swarm.waste}`)
  }
})

test('the rarest pieces come first', () => {
  const swarm = swarmOf({ pieceCount: 40 })
  const rare = [3, 17, 31]
  const others = upTo(40).filter((piece) => !rare.includes(piece))
  for (let count = 0; count < 3; count++) swarm.add({ pieces: others, choking: true })
  swarm.add()
  swarm.finish()
  assert.deepEqual(
    swarm.completed.slice(0, 3).sort((a, b) => a - b),
    rare
  )
})

test('a higher priority comes before rarity', () => {
  const swarm = swarmOf({ pieceCount: 40 })
  swarm.select([20, 21], 7)
  swarm.add({ pieces: upTo(40), choking: true })
  swarm.add()
  swarm.finish()
  assert.deepEqual(
    swarm.completed.slice(0, 2).sort((a, b) => a - b),
    [20, 21]
  )
})

test('a window: the cursor piece comes first and over several peers', () => {
  const swarm = swarmOf({ pieceCount: 64 })
  for (let count = 0; count < 4; count++) swarm.add({ bytesPerMs: 200 })
  swarm.loop.advance(3000)
  const before = swarm.completed.length
  // No block of it was requested.
  const cursor = upTo(56).findIndex(
    (piece) => !swarm.picker.table.isVerified(piece) && swarm.picker.table.blocks.get(piece) === undefined
  )
  assert.ok(cursor >= 0)
  swarm.window(1, cursor, 8, true)
  const at = swarm.now
  assert.ok(swarm.loop.run(() => swarm.picker.table.isVerified(cursor), at + 5000))
  assert.ok(swarm.now - at < 1500, `${swarm.now - at} ms`)
  assert.ok(swarm.askedFor(cursor).size >= 3)
  const since = swarm.completed.slice(before)
  // The pieces begun by each of the four peers may end first.
  assert.ok(since.indexOf(cursor) <= 4, String(since))
  swarm.window(1, cursor + 1, 7)
  assert.ok(
    swarm.loop.run(
      () => upTo(7, cursor + 1).every((piece) => swarm.picker.table.isVerified(piece)),
      at + 20_000
    )
  )
  swarm.window(1, 0, 0)
  swarm.finish()
  assert.ok(swarm.waste <= 0.05, String(swarm.waste))
})

test('a window of unselected pieces is fetched, and nothing else', () => {
  const swarm = new FakeSwarm()
  swarm.add()
  swarm.loop.advance(1000)
  assert.equal(swarm.requests.length, 0)
  swarm.window(1, 4, 3, true)
  swarm.finish()
  assert.deepEqual(swarm.completed, [4, 5, 6])
  swarm.window(1, 0, 0)
  swarm.loop.advance(5000)
  assert.equal(swarm.picker.missing, 0)
  assert.equal(swarm.picker.wakeAt === Number.POSITIVE_INFINITY || swarm.wakes < 400, true)
})

test('a silent peer does not stall a window', () => {
  const swarm = new FakeSwarm({ pieceCount: 64 })
  swarm.add({ silent: true, latencyMs: 5 })
  swarm.add({ bytesPerMs: 500, latencyMs: 50 })
  swarm.window(1, 0, 64, true)
  assert.ok(swarm.loop.run(() => swarm.picker.table.isVerified(0), 5000))
  assert.ok(swarm.now < 2500, `${swarm.now} ms`)
  swarm.finish(60_000)
})

test('a peer that falls silent is snubbed, and asked again later', () => {
  const swarm = swarmOf({ pieceCount: 200 })
  const id = swarm.add({ bytesPerMs: 400, ignoresCancels: true })
  swarm.add({ bytesPerMs: 100 })
  swarm.loop.advance(3000)
  swarm.peer(id).silent = true
  swarm.loop.advance(30_000)
  assert.equal(swarm.picker.peer(id)?.snubbed, true)
  swarm.peer(id).speak()
  swarm.loop.advance(2000)
  assert.equal(swarm.picker.peer(id)?.snubbed, false)
  const before = swarm.requests.filter(({ peer }) => peer === id).length
  swarm.loop.advance(5000)
  assert.ok(swarm.requests.filter(({ peer }) => peer === id).length > before + 20)
  swarm.finish()
})

test('a sole peer that drops requests silently is asked again', () => {
  for (const window of [false, true]) {
    const swarm = new FakeSwarm({ pieceCount: 8 })
    const id = swarm.add({ fast: false })
    if (window) swarm.window(1, 0, 8, true)
    else swarm.selectAll()
    swarm.loop.advance(100)
    // Its requests are lost: it forgets its queue and sends nothing.
    const peer = swarm.peer(id)
    peer.silent = true
    for (const { piece, block } of swarm.requests) peer.cancel(piece, block)
    swarm.loop.advance(300)
    peer.speak()
    swarm.finish(120_000)
  }
})

test('a snubbed peer that chokes and unchokes is the only one with a piece of a window', () => {
  const swarm = new FakeSwarm({ pieceCount: 8 })
  const id = swarm.add({ fast: false, silent: true })
  swarm.window(1, 0, 4, true)
  swarm.loop.advance(6000)
  assert.equal(swarm.picker.peer(id)?.snubbed, true)
  swarm.peer(id).choke()
  swarm.loop.advance(100)
  assert.equal(swarm.outstanding, 0)
  swarm.peer(id).speak()
  swarm.peer(id).unchoke()
  swarm.finish(20_000)
})

test('a very slow peer alone sends no block twice', () => {
  const swarm = swarmOf({ pieceCount: 2, blocksPerPiece: 4 })
  swarm.add({ bytesPerMs: 1 })
  swarm.finish(3_600_000)
  assert.ok(swarm.duplicates <= 3, String(swarm.duplicates))
})

test('a film plays and seeks while some peers are silent, and the background continues', () => {
  for (const seed of [1, 2, 3]) {
    const swarm = swarmOf({ seed, pieceCount: 200 })
    for (let count = 0; count < 10; count++) {
      swarm.add({
        bytesPerMs: 40 + 320 * swarm.random(),
        latencyMs: 25 + 110 * swarm.random(),
        silent: count < 3
      })
    }
    swarm.loop.advance(2000)
    const bytesPerMs = 800
    let stalledMs = 0
    for (const [from, to] of [
      [20, 40],
      [120, 150]
    ] as const) {
      swarm.window(1, from, 32, true, bytesPerMs)
      const at = swarm.now
      for (let cursor = from; cursor < to; cursor++) {
        const asked = swarm.now
        assert.ok(swarm.loop.run(() => swarm.picker.table.isVerified(cursor), asked + 20_000))
        if (cursor > from) stalledMs += swarm.now - asked
        else assert.ok(swarm.now - at < 1500, `starts after ${swarm.now - at} ms`)
        swarm.window(1, cursor + 1, 32, false, bytesPerMs)
        swarm.loop.advance(swarm.layout.pieceLength / bytesPerMs)
      }
    }
    assert.ok(stalledMs < 500, `stalled for ${stalledMs} ms`)
    swarm.window(1, 0, 0)
    swarm.finish()
    assert.ok(swarm.waste < 0.05)
  }
})

test('a seek cancels requests that delay it', () => {
  const swarm = new FakeSwarm({ pieceCount: 100 })
  swarm.add({ bytesPerMs: 100, latencyMs: 30 })
  swarm.window(1, 0, 20, true)
  swarm.loop.advance(600)
  swarm.window(1, 80, 10, true)
  assert.ok(swarm.cancels.length > 0)
  const at = swarm.now
  const next = swarm.requests.filter((request) => request.at >= at)
  assert.ok(next.length > 0 && next.every(({ piece }) => piece >= 80 && piece < 90))
  assert.ok(swarm.loop.run(() => swarm.picker.table.isVerified(80), at + 6000))
  assert.ok(swarm.completed.filter((piece) => piece < 20).length <= 1)
})

test('a seek in a selected torrent delays background requests, which continue afterwards', () => {
  const swarm = swarmOf({ pieceCount: 100 })
  for (let count = 0; count < 3; count++) swarm.add({ bytesPerMs: 150, latencyMs: 30 })
  swarm.loop.advance(4000)
  const at = swarm.now
  swarm.window(1, 60, 4, true)
  assert.ok(
    swarm.loop.run(() => [60, 61, 62, 63].every((piece) => swarm.picker.table.isVerified(piece)), at + 6000)
  )
  swarm.window(1, 0, 0)
  swarm.finish()
})

test('a closed window leaves no selected piece unrequested', () => {
  const swarm = swarmOf({ pieceCount: 16 })
  const id = swarm.add({ pieces: upTo(8), choking: true })
  swarm.window(1, 0, 16, true)
  swarm.add({ pieces: upTo(8, 8) })
  swarm.loop.run(() => swarm.completed.length === 8, 20_000)
  // The peer has no request outside the window, and the window closes.
  swarm.peer(id).unchoke()
  swarm.window(1, 0, 4)
  swarm.loop.advance(1)
  swarm.window(1, 0, 0)
  swarm.finish(20_000)
})

test('a stream that waits without peers costs no timer', () => {
  const swarm = new FakeSwarm()
  swarm.window(1, 0, 10, true)
  swarm.loop.advance(10_000)
  assert.ok(swarm.wakes <= 1)
  assert.equal(swarm.picker.wakeAt, Number.POSITIVE_INFINITY)
  swarm.add()
  swarm.finish()
})

test('end game: the last blocks of a slow peer are requested from others too', () => {
  const swarm = swarmOf({ pieceCount: 16 })
  swarm.add({ bytesPerMs: 3, latencyMs: 20 })
  for (let count = 0; count < 3; count++) swarm.add({ bytesPerMs: 400, latencyMs: 20 })
  swarm.finish()
  assert.ok(swarm.now < 8000, `${swarm.now} ms`)
  assert.ok(swarm.waste < 0.1)
})

test('end game: late requests are looked for soon once a peer is idle', () => {
  const swarm = swarmOf({ pieceCount: 4 })
  swarm.add({ bytesPerMs: 10 })
  const fast = swarm.add({ bytesPerMs: 2000 })
  assert.ok(swarm.loop.run(() => swarm.picker.peer(fast)?.starved === true, 60_000))
  assert.ok(swarm.picker.missing > 0)
  assert.ok(swarm.picker.wakeAt <= swarm.now + 200, `${swarm.picker.wakeAt - swarm.now} ms later`)
  swarm.finish()
})

test('only allowed-fast pieces are requested from a choking peer', () => {
  const swarm = swarmOf()
  swarm.add({ choking: true, allowedFast: [3, 4, 5] })
  swarm.loop.advance(10_000)
  assert.deepEqual(
    [...swarm.completed].sort((a, b) => a - b),
    [3, 4, 5]
  )
  swarm.window(1, 0, 8, true)
  swarm.loop.advance(10_000)
  assert.equal(swarm.completed.length, 3)
})

test('a rejected allowed-fast piece is not requested again and again', () => {
  const swarm = swarmOf()
  swarm.add({ choking: true, allowedFast: [3], rejects: 1 })
  swarm.loop.advance(60_000)
  assert.ok(swarm.requests.length <= 16, String(swarm.requests.length))
})

test('a peer that rejects everything is left alone, and one that stops rejecting is used again', () => {
  const swarm = swarmOf({ pieceCount: 200 })
  const id = swarm.add({ rejects: 1, latencyMs: 0.2 })
  swarm.loop.advance(60_000)
  assert.ok(swarm.requests.length < 2000, String(swarm.requests.length))
  const peer = swarm.peer(id)
  Object.assign(peer, { options: { ...peer.options, rejects: 0 } })
  swarm.finish(300_000)
})

test('a window continues where one of two peers rejects everything', () => {
  const swarm = new FakeSwarm()
  swarm.add({ rejects: 1, latencyMs: 1 })
  swarm.add({ latencyMs: 80 })
  swarm.window(1, 0, 16, true)
  swarm.finish(10_000)
})

test('choke and unchoke at any time', () => {
  for (const fast of [true, false]) {
    const swarm = swarmOf({ pieceCount: 64 })
    const ids = upTo(4).map(() => swarm.add({ fast, bytesPerMs: 200 }))
    for (let round = 0; round < 20; round++) {
      swarm.loop.advance(50 + 400 * swarm.random())
      const peer = swarm.peer(ids[round % 4] ?? 1)
      if (peer.choking) peer.unchoke()
      else peer.choke()
    }
    for (const id of ids) if (swarm.peer(id).choking) swarm.peer(id).unchoke()
    swarm.finish()
    assert.ok(swarm.waste < 0.05, String(swarm.waste))
  }
})

test('after all peers have left nothing is outstanding and empty pieces are abandoned', () => {
  const swarm = swarmOf()
  const ids = upTo(5).map(() => swarm.add({ silent: true }))
  swarm.loop.advance(1000)
  assert.ok(swarm.reserved.size > 0)
  for (const id of ids) swarm.remove(id)
  assert.equal(swarm.outstanding, 0)
  assert.equal(swarm.reserved.size, 0)
  swarm.loop.advance(10_000)
  assert.equal(swarm.picker.wakeAt, Number.POSITIVE_INFINITY)
  swarm.add()
  swarm.finish()
})

test('partial pieces of peers that left are completed by others', () => {
  const swarm = swarmOf()
  const id = swarm.add()
  swarm.loop.advance(300)
  swarm.remove(id)
  const useful = swarm.useful
  swarm.add()
  swarm.finish()
  assert.equal(swarm.useful, 32 * 16)
  assert.ok(useful > 0)
})

test('memory that is refused and then granted', () => {
  const swarm = swarmOf({ memoryPieces: 0 })
  swarm.add()
  swarm.window(1, 3, 4, true)
  swarm.loop.advance(5000)
  assert.equal(swarm.requests.length, 0)
  swarm.setMemory(2)
  swarm.finish()
})

for (const spills of [false, true]) {
  test(`little memory: pieces that no peer can complete make room for others (spills: ${spills})`, () => {
    const swarm = swarmOf({ memoryPieces: 3, pieceCount: 16, spills })
    const ids = upTo(3).map((index) => swarm.add({ pieces: [index], bytesPerMs: 50 }))
    swarm.loop.advance(1200)
    for (const id of ids) swarm.remove(id)
    assert.equal(swarm.reserved.size, 3)
    const useful = swarm.useful
    assert.ok(useful > 0)
    swarm.add({ pieces: upTo(13, 3) })
    swarm.loop.run(() => swarm.completed.length === 13, 60_000)
    assert.equal(swarm.completed.length, 13)
    swarm.add()
    swarm.finish()
    if (spills) assert.equal(swarm.useful, 16 * 16)
  })

  test(`little memory: a reader's piece evicts idle ones (spills: ${spills})`, () => {
    const swarm = swarmOf({ memoryPieces: 3, pieceCount: 16, spills })
    const ids = upTo(3).map((index) => swarm.add({ pieces: [index, 15], bytesPerMs: 50 }))
    swarm.loop.advance(800)
    swarm.remove(ids[0] ?? 0)
    swarm.window(1, 15, 1, true)
    assert.ok(swarm.loop.run(() => swarm.picker.table.isVerified(15), 30_000))
  })
}

test('little memory and a window whose later pieces hold all of it', () => {
  const swarm = new FakeSwarm({ memoryPieces: 1, pieceCount: 16 })
  const id = swarm.add({ pieces: upTo(8, 8), bytesPerMs: 40 })
  swarm.window(1, 0, 16, true)
  swarm.loop.advance(500)
  assert.equal(swarm.reserved.size, 1)
  assert.ok(swarm.useful > 0)
  swarm.remove(id)
  swarm.add()
  swarm.finish()
})

test('requests of deselected pieces are cancelled and their memory is released', () => {
  const swarm = swarmOf()
  swarm.add({ bytesPerMs: 100 })
  swarm.loop.advance(1000)
  assert.ok(swarm.reserved.size > 0)
  swarm.selectAll(0)
  assert.equal(swarm.outstanding, 0)
  assert.equal(swarm.reserved.size, 0)
  assert.equal(swarm.picker.missing, 0)
  swarm.loop.advance(100)
  assert.equal(swarm.links.get(1)?.interested, false)
  swarm.select([5, 6], 1)
  swarm.finish()
  assert.ok([5, 6].every((piece) => swarm.picker.table.isVerified(piece)))
})

test('select and deselect at any time', () => {
  const swarm = swarmOf({ pieceCount: 64 })
  for (let count = 0; count < 4; count++) swarm.add({ bytesPerMs: 200, fast: count % 2 === 0 })
  for (let round = 0; round < 30; round++) {
    swarm.loop.advance(200 * swarm.random())
    const start = Math.floor(60 * swarm.random())
    swarm.select(upTo(4, start), Math.floor(3 * swarm.random()))
  }
  swarm.finish()
  swarm.selectAll()
  swarm.finish()
  assert.equal(new Set(swarm.completed).size, 64)
})

test('a seek back and forth keeps received blocks', () => {
  const swarm = new FakeSwarm({ pieceCount: 64 })
  swarm.add({ bytesPerMs: 300 })
  for (let round = 0; round < 12; round++) {
    swarm.window(1, round % 2 === 0 ? 0 : 40, 4, true)
    swarm.loop.advance(250)
  }
  assert.ok(swarm.waste < 0.35, String(swarm.waste))
  assert.ok(swarm.reserved.size <= 40)
  swarm.finish()
})

test('pieces that fail are fetched again', () => {
  const swarm = swarmOf({ pieceCount: 12, hashMs: 20 })
  swarm.add({ corrupts: 0.05 })
  swarm.add({ bytesPerMs: 300 })
  swarm.finish()
  assert.ok(swarm.failures > 0)
})

test('a lost piece is fetched again', () => {
  const swarm = swarmOf({ pieceCount: 4 })
  swarm.add()
  swarm.finish()
  swarm.lost(2)
  assert.equal(swarm.picker.missing, 1)
  swarm.finish()
  assert.deepEqual(swarm.completed.slice(4), [2])
})

test('a partial piece that is lost releases its memory', () => {
  const swarm = swarmOf({ pieceCount: 4 })
  swarm.add({ bytesPerMs: 50 })
  swarm.loop.advance(500)
  const [piece] = swarm.reserved
  swarm.lost(piece ?? 0)
  swarm.finish()
  assert.equal(swarm.reserved.size, 0)
})

test('suspects fetch whole pieces alone', () => {
  const swarm = swarmOf({ pieceCount: 32 })
  const ids = upTo(4).map(() => swarm.add({ bytesPerMs: 200 }))
  for (const id of ids.slice(2)) swarm.suspect(id, true)
  swarm.finish()
  const shared = upTo(32).filter((piece) => {
    const asked = swarm.askedFor(piece)
    return asked.size > 1 && ids.slice(2).some((id) => asked.has(id))
  })
  // Only the last pieces, which the end game shares.
  assert.ok(shared.length <= 4, String(shared))
})

test('where only suspects are left they complete the partial pieces of others', () => {
  for (const window of [false, true]) {
    const swarm = swarmOf({ pieceCount: 16 })
    const ids = upTo(3).map(() => swarm.add({ bytesPerMs: 200 }))
    if (window) swarm.window(1, 0, 16, true)
    swarm.loop.advance(700)
    for (const id of ids) swarm.suspect(id, true)
    swarm.finish()
  }
})

test('the window of a stream is not left to a suspect where others serve it', () => {
  const swarm = new FakeSwarm({ pieceCount: 16 })
  swarm.suspect(swarm.add({ bytesPerMs: 5, latencyMs: 1 }), true)
  swarm.window(1, 0, 4, true)
  swarm.loop.advance(300)
  swarm.add({ bytesPerMs: 500 })
  assert.ok(swarm.loop.run(() => swarm.picker.table.isVerified(0), 8000))
  assert.ok(swarm.now < 3000, `${swarm.now}`)
})

test('a suspect that chokes leaves its piece to others', () => {
  const swarm = swarmOf({ pieceCount: 4 })
  const id = swarm.add({ bytesPerMs: 20 })
  swarm.suspect(id, true)
  swarm.loop.advance(1000)
  swarm.peer(id).choke()
  swarm.add()
  swarm.finish(30_000)
})

test('kept blocks are not fetched again', () => {
  const swarm = swarmOf({ pieceCount: 4 })
  swarm.stored(1, [0, 1, 2, 9])
  swarm.stored(2, upTo(16))
  swarm.add()
  swarm.window(1, 1, 2, true)
  swarm.finish()
  assert.equal(swarm.requests.length, 16 + 12 + 0 + 16)
  const background = swarmOf({ pieceCount: 4 })
  background.stored(0, upTo(15))
  background.stored(2, upTo(16))
  background.stored(3, upTo(16))
  background.add()
  background.finish()
  assert.equal(background.requests.length, 16 + 1)
})

test('pieces to be checked are not fetched before the verdict', () => {
  const swarm = new FakeSwarm({ pieceCount: 16 })
  swarm.selectAll()
  swarm.add({ bytesPerMs: 100 })
  swarm.window(1, 0, 8, true)
  swarm.loop.advance(500)
  swarm.unchecked(upTo(16))
  assert.equal(swarm.outstanding, 0)
  assert.equal(swarm.reserved.size, 0)
  assert.equal(swarm.picker.missing, 0)
  const before = swarm.requests.length
  swarm.loop.advance(2000)
  assert.equal(swarm.requests.length, before)
  swarm.had(even(16))
  for (const piece of upTo(16)) if (piece % 2 === 1) swarm.lost(piece)
  swarm.finish()
  assert.ok(swarm.requests.slice(before).every(({ piece }) => piece % 2 === 1))
})

test('unchecked pieces leave the peers to other pieces', () => {
  const swarm = swarmOf({ pieceCount: 16 })
  swarm.add({ pieces: upTo(16), bytesPerMs: 30 })
  swarm.loop.advance(200)
  const busy = new Set(swarm.requests.map(({ piece }) => piece))
  swarm.unchecked([...busy])
  assert.ok(swarm.outstanding > 0)
})

test('paused and resumed', () => {
  const swarm = swarmOf()
  swarm.add()
  swarm.loop.advance(200)
  swarm.change((now) => swarm.picker.setActive(false, now))
  swarm.change((now) => swarm.picker.setActive(false, now))
  assert.equal(swarm.outstanding, 0)
  assert.equal(swarm.picker.wakeAt, Number.POSITIVE_INFINITY)
  const before = swarm.requests.length
  swarm.window(1, 0, 4, true)
  swarm.add()
  swarm.loop.advance(5000)
  assert.equal(swarm.requests.length, before)
  swarm.change((now) => swarm.picker.setActive(true, now))
  swarm.finish()
})

test('new pieces of peers are requested from them; a suggested one first', () => {
  const swarm = swarmOf({ pieceCount: 20 })
  const id = swarm.add({ pieces: [] })
  swarm.loop.advance(100)
  assert.equal(swarm.links.get(id)?.interested, false)
  for (let piece = 0; piece < 20; piece++) {
    swarm.peer(id).gain(piece)
    swarm.loop.advance(300)
  }
  swarm.finish()
  const other = swarmOf({ pieceCount: 20 })
  const all = other.add({ pieces: upTo(20), choking: true })
  for (const piece of [99, 13]) other.picker.suggested(all, piece)
  other.peer(all).unchoke()
  other.loop.advance(200)
  assert.equal(other.requests[0]?.piece, 13)
})

test('a later bitfield replaces the first; pieces are counted once', () => {
  const swarm = swarmOf({ pieceCount: 16 })
  const id = swarm.add({ choking: true })
  assert.equal(swarm.picker.availability(3), 1)
  swarm.change((now) => swarm.picker.bitfield(id, new Uint8Array([0b0001_0000, 0]), now))
  assert.equal(swarm.picker.availability(3), 1)
  assert.equal(swarm.picker.availability(4), 0)
  swarm.change((now) => swarm.picker.bitfield(id, new Uint8Array([0xff, 0xff]), now))
  assert.equal(swarm.picker.peer(id)?.seed, true)
  swarm.change((now) => swarm.picker.bitfield(id, 'none', now))
  assert.equal(swarm.picker.availability(3), 0)
  assert.equal(swarm.links.get(id)?.interested, false)
  swarm.remove(id)
  assert.equal(swarm.picker.availability(3), 0)
})

test('calls about disconnected peers, and unrequested blocks, do nothing', () => {
  const swarm = new FakeSwarm()
  const { picker } = swarm
  picker.removePeer(9, 0)
  picker.bitfield(9, 'all', 0)
  picker.have(9, 1, 0)
  picker.setMaxRequests(9, 4)
  picker.choked(9, true, 0)
  picker.unchoked(9, 0)
  picker.allowedFast(9, 1, 0)
  picker.suggested(9, 1)
  picker.suspect(9, true, false, 0)
  picker.refill(9, 0)
  picker.rejected(9, 1, 1, 0)
  assert.equal(picker.expects(9, 1, 1), false)
  assert.equal(picker.received(9, 1, 1, 0), 'unrequested')
  const id = swarm.add({ choking: true })
  picker.setMaxRequests(id, Number.NaN)
  assert.equal(picker.received(id, 1, 1, 0), 'unrequested')
  assert.equal(picker.expects(id, 1, 1), false)
  picker.rejected(id, 1, 1, 0)
  for (let piece = 0; piece < 100_000; piece++) picker.allowedFast(id, piece, 0)
  assert.ok((picker.peer(id)?.allowedFast.size ?? 0) <= 256)
})

test('a block that arrives after its cancel still counts', () => {
  const swarm = swarmOf({ pieceCount: 8 })
  const id = swarm.add({ bytesPerMs: 50, ignoresCancels: true })
  swarm.loop.advance(900)
  const [partial] = swarm.picker.table.blocks.values()
  const piece = partial?.piece ?? 0
  assert.ok(swarm.useful > 0)
  const { block } = swarm.requests.at(-1) ?? { block: 0 }
  assert.equal(swarm.picker.expects(id, piece, block), true)
  swarm.change((now) => swarm.picker.setActive(false, now))
  swarm.change((now) => swarm.picker.setActive(true, now))
  assert.equal(swarm.picker.expects(id, piece, block), true)
  swarm.finish()
  assert.equal(swarm.unrequested, 0)
})

test('a late block is not requested from a peer whose queue the same plan has filled', () => {
  const swarm = swarmOf({ pieceCount: 24, blocksPerPiece: 4, memoryPieces: 6, shorter: 5000, hashMs: 3 })
  swarm.add({ bytesPerMs: 10, latencyMs: 300, fast: false, maxRequests: 1 })
  swarm.add({ bytesPerMs: 10, latencyMs: 1, choking: true, maxRequests: 1, allowedFast: [1, 2] })
  swarm.add({ bytesPerMs: 1000, latencyMs: 300, fast: false, maxRequests: 1 })
  swarm.loop.advance(1732)
  swarm.window(0, 0, 6, true)
  swarm.add({ latencyMs: 20 })
  swarm.finish()
})

test('an overdue block is not requested again from its peer when that delivers another', () => {
  const swarm = new FakeSwarm({
    seed: 2,
    pieceCount: 24,
    blocksPerPiece: 4,
    memoryPieces: 6,
    spills: true,
    shorter: 5000,
    hashMs: 3
  })
  const slow = { bytesPerMs: 10, latencyMs: 1, pieces: even(24) }
  const first = swarm.add({ bytesPerMs: 100, latencyMs: 1, fast: false, rejects: 0.1 })
  const second = swarm.add({ ...slow, maxRequests: 1, rejects: 1 })
  swarm.add({ ...slow, fast: false, maxRequests: 5 })
  swarm.suspect(first, true)
  swarm.select([9, 10], 1)
  swarm.loop.advance(1074)
  swarm.peer(first).unchoke()
  swarm.window(0, 4, 6, true)
  swarm.loop.advance(1709)
  swarm.peer(second).choke()
  swarm.loop.advance(1097)
  swarm.suspect(first, false)
  swarm.loop.advance(690)
  swarm.select([0, 1], 1)
  swarm.add({ latencyMs: 20 })
  swarm.finish()
})

test('everything wanted arrives, whatever peers do, when one of them is honest', () => {
  const peer = fc.record({
    bytesPerMs: fc.constantFrom(10, 100, 1000),
    latencyMs: fc.constantFrom(1, 40, 300),
    half: fc.boolean(),
    choking: fc.boolean(),
    fast: fc.boolean(),
    maxRequests: fc.constantFrom(1, 5, 250),
    silent: fc.boolean(),
    rejects: fc.constantFrom(0, 0.1, 1),
    corrupts: fc.constantFrom(0, 0, 0.01),
    ignoresCancels: fc.boolean()
  })
  const step = fc.record({
    afterMs: fc.integer({ min: 0, max: 2000 }),
    what: fc.constantFrom(
      'choke',
      'unchoke',
      'leave',
      'window',
      'seek',
      'close',
      'select',
      'deselect',
      'suspect',
      'trust',
      'lose',
      'silence',
      'memory'
    ),
    who: fc.nat(9),
    piece: fc.nat(23)
  })
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000_000 }),
      fc.array(peer, { maxLength: 6 }),
      fc.array(step, { maxLength: 25 }),
      fc.boolean(),
      fc.boolean(),
      (seed, peers, steps, spills, selected) => {
        const swarm = new FakeSwarm({
          seed,
          pieceCount: 24,
          blocksPerPiece: 4,
          memoryPieces: 6,
          spills,
          shorter: 5000,
          hashMs: 3
        })
        if (selected) swarm.selectAll()
        const ids = peers.map(({ half, ...rest }) =>
          swarm.add({
            ...rest,
            pieces: half ? even(24) : 'all',
            allowedFast: rest.choking && rest.fast ? [1, 2] : []
          })
        )
        for (const { afterMs, what, who, piece } of steps) {
          swarm.loop.advance(afterMs)
          const id = ids[who % Math.max(1, ids.length)]
          const link = id === undefined ? undefined : swarm.links.get(id)
          if (what === 'window') swarm.window(who % 3, piece, 6)
          else if (what === 'seek') swarm.window(who % 3, piece, 6, true)
          else if (what === 'close') swarm.window(who % 3, 0, 0)
          else if (what === 'select') swarm.select([piece, (piece + 1) % 24], 1 + (who % 7))
          else if (what === 'deselect') swarm.select([piece, (piece + 1) % 24], 0)
          else if (what === 'lose') swarm.picker.table.isVerified(piece) && swarm.lost(piece)
          else if (what === 'memory') swarm.setMemory(who % 5)
          else if (id === undefined || link === undefined) continue
          else if (what === 'choke') link.peer.choke()
          else if (what === 'unchoke') link.peer.unchoke()
          else if (what === 'leave') swarm.remove(id)
          else if (what === 'silence') link.peer.silent = !link.peer.silent
          else swarm.suspect(id, what === 'suspect')
        }
        swarm.setMemory(4)
        swarm.add({ latencyMs: 20 })
        swarm.finish(900_000)
        const wakesBefore = swarm.wakes
        for (const id of [...swarm.links.keys()]) swarm.remove(id)
        assert.equal(swarm.outstanding, 0)
        swarm.loop.advance(60_000)
        assert.ok(swarm.wakes - wakesBefore <= 2)
      }
    ),
    { numRuns: 250 }
  )
})

test('memory far below the possible outstanding blocks still keeps all peers busy', () => {
  const pieceCount = 400
  const blocksPerPiece = 64
  const swarm = swarmOf({ memoryPieces: 36, pieceCount, blocksPerPiece })
  const peers = 50
  const bytesPerMs = 4000
  for (let n = 0; n < peers; n++) swarm.add({ bytesPerMs, latencyMs: 2 })
  swarm.finish()
  const atBestMs = (pieceCount * blocksPerPiece * 16384) / (peers * bytesPerMs)
  assert.equal(swarm.completed.length, pieceCount)
  assert.ok(swarm.now < 1.6 * atBestMs, `${swarm.now} ms instead of ${atBestMs}`)
})
