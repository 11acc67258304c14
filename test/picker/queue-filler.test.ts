import assert from 'node:assert/strict'
import test from 'node:test'
import { FakeSwarm } from './fake-swarm.ts'
import { sentTo, swarmOf, upTo } from './scenes.ts'

test('pieces of a reader are requested before the background, and both fill the queue of a peer', () => {
  const swarm = swarmOf({ pieceCount: 32 })
  const id = swarm.add({ choking: true })
  swarm.window(1, 20, 2, true)
  swarm.peer(id).unchoke()
  swarm.finish()
  const isUrgent = swarm.requests.map(({ piece }) => piece === 20 || piece === 21)
  const first = isUrgent.indexOf(false)
  assert.ok(first >= 32, `${first}`)
  assert.ok(!isUrgent.slice(first).includes(true))
})

test('a peer that rejects is asked again after a pause', () => {
  const swarm = swarmOf({ pieceCount: 32 })
  const id = swarm.add({ rejects: 1 })
  swarm.loop.advance(30_000)
  const refused = swarm.requests.length
  // Each round of rejects ends with a pause.
  assert.ok(refused > 2 && refused < 300, `${refused}`)
  const times = new Set(sentTo(swarm, id).map(({ at }) => Math.floor(at / 1000)))
  assert.ok(times.size < 20, `in ${times.size} of 30 seconds`)
})

test('late requests are looked for often while a reader waits, and never while none is outstanding', () => {
  const wakes = (swarm: FakeSwarm): number => {
    const before = swarm.wakes
    swarm.loop.advance(10_000)
    return swarm.wakes - before
  }
  const calm = swarmOf({ pieceCount: 400 })
  calm.add({ bytesPerMs: 100 })
  const calmWakes = wakes(calm)
  const hungry = new FakeSwarm({ pieceCount: 400 })
  hungry.add({ bytesPerMs: 10 })
  hungry.window(1, 0, 400, true)
  const hungryWakes = wakes(hungry)
  assert.ok(calmWakes <= 20, `${calmWakes}`)
  assert.ok(hungryWakes > 5 * calmWakes + 50, `${hungryWakes} and ${calmWakes}`)
  const done = swarmOf({ pieceCount: 4 })
  done.add()
  done.finish()
  done.loop.advance(5000)
  assert.equal(wakes(done), 0)
  assert.equal(done.picker.wakeAt, Number.POSITIVE_INFINITY)
})

test('the request queue depth grows with the blocks received in a round trip', () => {
  const depths = [50, 500].map((bytesPerMs) => {
    const swarm = swarmOf({ pieceCount: 400 })
    const id = swarm.add({ bytesPerMs, latencyMs: 200, maxRequests: 1000 })
    swarm.loop.advance(6000)
    return swarm.links.get(id)?.outstanding.size ?? 0
  })
  const [slow = 0, fast = 0] = depths
  assert.ok(fast > 3 * slow, String(depths))
  // More than the bytes outstanding in a round trip.
  assert.ok(fast >= (500 * 200) / 16_384, String(depths))
})

test('a peer without room leaves blocks to the others', () => {
  const swarm = swarmOf({ pieceCount: 64 })
  const ids = upTo(4).map(() => swarm.add({ bytesPerMs: 200, maxRequests: 3 }))
  swarm.finish()
  for (const id of ids) assert.ok(sentTo(swarm, id).length > 100, `${sentTo(swarm, id).length}`)
})
