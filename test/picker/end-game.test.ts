import assert from 'node:assert/strict'
import test from 'node:test'
import { mostRequesters, sentTo, swarmOf, upTo } from './scenes.ts'

test('the last blocks of a slow peer are requested from a faster one, and cancelled once received', () => {
  const swarm = swarmOf({ pieceCount: 4 })
  const slow = swarm.add({ bytesPerMs: 2, maxRequests: 8 })
  swarm.loop.advance(100)
  const owed = sentTo(swarm, slow)
  assert.ok(owed.length > 2)
  const fast = swarm.add({ bytesPerMs: 1000 })
  swarm.finish(20_000)
  const twice = sentTo(swarm, fast).filter((one) =>
    owed.some(({ piece, block }) => piece === one.piece && block === one.block)
  )
  assert.ok(twice.length > 0)
  const back = swarm.cancels.filter(({ peer }) => peer === slow)
  assert.ok(back.length >= twice.length - 1, `${back.length} of ${twice.length}`)
})

test('a block that its peer delivers about as soon is not requested twice', () => {
  const swarm = swarmOf({ pieceCount: 32 })
  for (const _ of upTo(4)) swarm.add({ bytesPerMs: 300 })
  swarm.finish()
  assert.ok(swarm.requests.length <= 32 * 16 + 8, `${swarm.requests.length} requests`)
})

test('a block is requested from two peers at most', () => {
  const swarm = swarmOf({ pieceCount: 2 })
  swarm.add({ bytesPerMs: 1 })
  swarm.loop.advance(50)
  for (const _ of upTo(5)) swarm.add({ bytesPerMs: 100 })
  let most = 0
  while (swarm.picker.missing > 0 && swarm.now < 60_000) {
    swarm.loop.advance(10)
    most = Math.max(most, mostRequesters(swarm))
  }
  assert.equal(swarm.picker.missing, 0)
  assert.equal(most, 2)
})

test('an idle peer gets requests for a few blocks of others at a time', () => {
  const swarm = swarmOf({ pieceCount: 3, blocksPerPiece: 2 })
  swarm.add({ bytesPerMs: 1 })
  swarm.loop.advance(100)
  assert.equal(swarm.outstanding, 6)
  const idle = swarm.add({ bytesPerMs: 10 })
  let most = 0
  for (let step = 0; step < 100; step++) {
    swarm.loop.advance(20)
    most = Math.max(most, swarm.links.get(idle)?.outstanding.size ?? 0)
  }
  assert.ok(most > 0 && most <= 4, `${most}`)
})

test('a suspect gets no end game requests', () => {
  const swarm = swarmOf({ pieceCount: 4 })
  swarm.add({ bytesPerMs: 5, maxRequests: 100 })
  swarm.loop.advance(100)
  const asked = new Set(swarm.requests.map(({ piece, block }) => `${piece} ${block}`))
  const suspect = swarm.add({ bytesPerMs: 1000, choking: true })
  swarm.suspect(suspect, true)
  swarm.peer(suspect).unchoke()
  swarm.loop.advance(3000)
  assert.deepEqual(
    sentTo(swarm, suspect).filter(({ piece, block }) => asked.has(`${piece} ${block}`)),
    []
  )
})
