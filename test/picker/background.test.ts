import assert from 'node:assert/strict'
import test from 'node:test'
import { begun, sentTo, swarmOf, upTo } from './scenes.ts'

test('a peer completes its partial piece before it begins another', () => {
  const swarm = swarmOf({ pieceCount: 8 })
  swarm.add({ maxRequests: 5 })
  swarm.finish()
  const pieces = swarm.requests.map(({ piece }) => piece)
  assert.equal(pieces.length, 8 * 16)
  // As many changes of piece as there are further pieces.
  assert.equal(pieces.filter((piece, n) => n > 0 && piece !== pieces[n - 1]).length, 7)
})

test('a partial piece of another peer is completed before a new one is begun', () => {
  const swarm = swarmOf({ pieceCount: 32 })
  const slow = swarm.add({ bytesPerMs: 5, maxRequests: 2 })
  swarm.loop.advance(100)
  const [piece] = begun(sentTo(swarm, slow))
  const fast = swarm.add({ bytesPerMs: 1000 })
  swarm.loop.advance(30)
  assert.equal(begun(sentTo(swarm, fast))[0], piece)
})

test('a seed begins with pieces that only seeds have, also where others have begun some', () => {
  const swarm = swarmOf({ pieceCount: 32 })
  for (let count = 0; count < 2; count++) swarm.add({ pieces: upTo(8), choking: true })
  const leecher = swarm.add({ pieces: upTo(8), bytesPerMs: 5, maxRequests: 2 })
  swarm.loop.advance(100)
  assert.ok((begun(sentTo(swarm, leecher))[0] ?? 8) < 8)
  const seed = swarm.add()
  swarm.loop.advance(30)
  const pieces = begun(sentTo(swarm, seed))
  assert.ok(pieces.length > 0)
  assert.ok((pieces[0] ?? 0) >= 8, String(pieces))
})

test('the rarest pieces of a peer are requested first', () => {
  const swarm = swarmOf({ pieceCount: 32 })
  for (let count = 0; count < 3; count++)
    swarm.add({ pieces: upTo(32).filter((piece) => piece !== 5), choking: true })
  const id = swarm.add({ pieces: upTo(10) })
  swarm.loop.advance(30)
  assert.equal(begun(sentTo(swarm, id))[0], 5)
})

test('a choking peer gets requests for its allowed-fast pieces, in order of priority', () => {
  const swarm = swarmOf({ pieceCount: 32 })
  swarm.select([9], 7)
  const id = swarm.add({ choking: true, allowedFast: [3, 9, 20] })
  swarm.loop.advance(60_000)
  const pieces = begun(sentTo(swarm, id))
  // The first allowed-fast piece was requested at once.
  assert.deepEqual(pieces, [3, 9, 20])
  assert.deepEqual(
    swarm.completed.toSorted((a, b) => a - b),
    [3, 9, 20]
  )
})

test('a suggested piece comes first, unless others have a higher priority', () => {
  for (const isOutdone of [false, true]) {
    const swarm = swarmOf({ pieceCount: 32 })
    if (isOutdone) swarm.select([7], 6)
    const id = swarm.add({ choking: true })
    swarm.picker.suggested(id, 12)
    swarm.peer(id).unchoke()
    swarm.loop.advance(100)
    assert.equal(begun(sentTo(swarm, id))[0], isOutdone ? 7 : 12)
  }
})

test('a suspect begins pieces of its own and leaves those of others alone', () => {
  const swarm = swarmOf({ pieceCount: 32 })
  const others = [
    swarm.add({ bytesPerMs: 20, maxRequests: 4 }),
    swarm.add({ bytesPerMs: 20, maxRequests: 4 })
  ]
  swarm.loop.advance(200)
  const suspect = swarm.add({ bytesPerMs: 20, maxRequests: 4 })
  const before = swarm.requests.length
  swarm.suspect(suspect, true)
  swarm.loop.advance(40_000)
  const own = begun(sentTo(swarm, suspect, before))
  assert.ok(own.length > 0)
  const theirs = new Set(begun(others.flatMap((id) => sentTo(swarm, id))))
  assert.deepEqual(
    own.filter((piece) => theirs.has(piece)),
    []
  )
})

test('pieces of a window are not requested for the background', () => {
  const swarm = swarmOf({ pieceCount: 32 })
  // The peers of the window have no other pieces; the background peer has all.
  const id = swarm.add({ bytesPerMs: 1, latencyMs: 4000, maxRequests: 3 })
  const fast = swarm.add({ bytesPerMs: 2000, latencyMs: 5, pieces: upTo(4) })
  swarm.window(1, 0, 4, true)
  swarm.loop.advance(50)
  assert.ok(sentTo(swarm, fast).length > 0)
  for (const { piece } of sentTo(swarm, id).slice(3)) assert.ok(piece >= 4, String(piece))
})
