import assert from 'node:assert/strict'
import test from 'node:test'
import { FakeSwarm } from './fake-swarm.ts'
import { begun, mostRequesters, sentTo, swarmOf, upTo } from './scenes.ts'

/** Makes a swarm of peers with known rates, whose first piece has no requests. */
function trained(peers: readonly { bytesPerMs: number; latencyMs: number }[], blocksPerPiece: number) {
  const swarm = new FakeSwarm({ pieceCount: 64, blocksPerPiece })
  swarm.select(upTo(32, 32), 4)
  const ids = peers.map((options) => swarm.add(options))
  swarm.loop.advance(2000)
  swarm.select(upTo(32, 32), 0)
  swarm.loop.advance(5000)
  return { swarm, ids }
}

test('each block is requested from the peer that delivers it first', () => {
  const peers = [
    { bytesPerMs: 1000, latencyMs: 10 },
    { bytesPerMs: 50, latencyMs: 300 }
  ]
  for (const [blocks, isShared] of [
    [8, false],
    [256, true]
  ] as const) {
    const { swarm, ids } = trained(peers, blocks)
    const before = swarm.requests.length
    const { now } = swarm
    swarm.window(1, 0, 1, true)
    swarm.finish(20_000)
    const [byFast = [], bySlow = []] = ids.map((id) => sentTo(swarm, id, before))
    assert.equal(bySlow.length > 0, isShared, `${byFast.length} and ${bySlow.length} of ${blocks}`)
    assert.ok(byFast.length > 5 * bySlow.length)
    // Both end at about the same time.
    const alone = 10 + (blocks * 16_384) / 1000
    assert.ok(swarm.now - now < alone * 1.2 + 100, `${swarm.now - now} ms, ${alone} alone`)
  }
})

test('pieces are requested in the order in which the reader needs them', () => {
  const swarm = new FakeSwarm({ pieceCount: 16 })
  swarm.add({ maxRequests: 6 })
  swarm.window(1, 4, 6, true)
  swarm.finish()
  const pieces = swarm.requests.map(({ piece }) => piece)
  assert.deepEqual(
    pieces,
    pieces.toSorted((a, b) => a - b)
  )
  assert.deepEqual(begun(swarm.requests), upTo(6, 4))
})

test('the window of a waiting reader comes before that of one that does not need its piece yet', () => {
  const swarm = new FakeSwarm({ pieceCount: 64 })
  const id = swarm.add({ choking: true, maxRequests: 8 })
  // At this pace the second piece of the first reader is needed after minutes.
  swarm.window(1, 0, 8, true, 1)
  swarm.window(2, 40, 2, true, 1000)
  swarm.peer(id).unchoke()
  swarm.loop.advance(2000)
  const order = begun(swarm.requests)
  assert.ok(order.indexOf(40) < order.indexOf(1), String(order))
  assert.ok(order.indexOf(41) < order.indexOf(1), String(order))
})

test('a late block is requested from a second peer at the same time', () => {
  const swarm = swarmOf({ pieceCount: 200 })
  const ids = upTo(6).map((n) => swarm.add({ bytesPerMs: 200, latencyMs: 20 + n }))
  swarm.loop.advance(2000)
  // All but one fall silent.
  for (const id of ids.slice(1)) swarm.peer(id).silent = true
  const { now } = swarm
  swarm.window(1, 150, 2, true)
  let most = 0
  while (!swarm.completed.includes(150) && swarm.now < now + 10_000) {
    swarm.loop.advance(10)
    most = Math.max(most, mostRequesters(swarm))
  }
  assert.ok(swarm.now - now < 3000, `${swarm.now - now} ms`)
  assert.equal(most, 2)
})

test('a snubbed peer gets no request of a window that others serve', () => {
  const swarm = swarmOf({ pieceCount: 200 })
  const id = swarm.add({ bytesPerMs: 2000, latencyMs: 5 })
  swarm.add({ bytesPerMs: 100 })
  swarm.loop.advance(1000)
  swarm.peer(id).silent = true
  swarm.loop.advance(15_000)
  const before = swarm.requests.length
  swarm.window(1, 150, 4, true)
  swarm.loop.advance(3000)
  assert.ok(swarm.requests.slice(before).some(({ piece }) => piece >= 150 && piece < 154))
  assert.deepEqual(
    sentTo(swarm, id, before).filter(({ piece }) => piece >= 150 && piece < 154),
    []
  )
})

test('without memory for the next piece, the piece that a reader waits for continues', () => {
  const swarm = new FakeSwarm({ pieceCount: 16, memoryPieces: 1 })
  swarm.add()
  swarm.window(1, 2, 5, true)
  swarm.finish()
  assert.deepEqual(swarm.completed, upTo(5, 2))
})
