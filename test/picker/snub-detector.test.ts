import assert from 'node:assert/strict'
import test from 'node:test'
import { swarmOf } from './scenes.ts'

test('a peer that owes a block for some seconds keeps its oldest request alone', () => {
  const swarm = swarmOf({ pieceCount: 64 })
  const id = swarm.add({ bytesPerMs: 500 })
  swarm.loop.advance(1000)
  swarm.peer(id).silent = true
  swarm.loop.advance(2500)
  assert.equal(swarm.cancels.length, 0, 'a break is no silence')
  const waiting = swarm.outstanding
  assert.ok(waiting > 2)
  swarm.loop.advance(5000)
  assert.equal(swarm.cancels.length, waiting - 1)
  assert.equal(swarm.outstanding, 1)
})

test('a slow link is given more time', () => {
  const swarm = swarmOf({ pieceCount: 64 })
  const id = swarm.add({ bytesPerMs: 4, latencyMs: 3000 })
  swarm.loop.advance(60_000)
  assert.ok(swarm.useful > 0)
  swarm.peer(id).silent = true
  swarm.loop.advance(15_000)
  assert.equal(swarm.picker.peer(id)?.snubbed, false)
  swarm.loop.advance(120_000)
  assert.equal(swarm.picker.peer(id)?.snubbed, true)
})

test('a silent peer gets ever fewer requests', () => {
  const swarm = swarmOf({ pieceCount: 64 })
  const id = swarm.add()
  swarm.loop.advance(500)
  swarm.peer(id).silent = true
  const counts = [60_000, 600_000, 600_000].map((ms) => {
    const before = swarm.requests.length
    swarm.loop.advance(ms)
    return swarm.requests.length - before
  })
  const [first = 0, , late = 0] = counts
  assert.ok(late > 0, `it is still asked: ${counts}`)
  assert.ok(late < 2 * first, `ten minutes cost little more than the first: ${counts}`)
})

test('other peers send the overdue blocks of a silent peer', () => {
  const swarm = swarmOf({ pieceCount: 16 })
  const id = swarm.add({ bytesPerMs: 500 })
  swarm.add({ bytesPerMs: 300 })
  swarm.loop.advance(300)
  swarm.peer(id).silent = true
  swarm.finish(30_000)
  assert.ok(swarm.waste < 0.05, `${swarm.waste}`)
})

test('a peer is snubbed sooner when others send its blocks again and again', () => {
  const swarm = swarmOf({ pieceCount: 400 })
  const id = swarm.add({ bytesPerMs: 2000, latencyMs: 10 })
  swarm.add({ bytesPerMs: 300, latencyMs: 40 })
  swarm.loop.advance(1000)
  swarm.peer(id).silent = true
  const { now } = swarm
  swarm.window(1, 300, 40, true)
  while ((swarm.links.get(id)?.outstanding.size ?? 0) > 1 && swarm.now < now + 10_000) swarm.loop.advance(10)
  assert.ok(swarm.now - now < 2500, `${swarm.now - now} ms`)
})
