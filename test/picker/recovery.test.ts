import assert from 'node:assert/strict'
import test from 'node:test'
import type { PeerPlan } from '../sim/swarm.ts'
import { SimSwarm } from '../sim/swarm.ts'

const mebi = 1 << 20

function run(peers: readonly PeerPlan[], pieceCount = 24): SimSwarm {
  const swarm = new SimSwarm({
    name: 'liars',
    pieceLength: mebi,
    pieceCount,
    peers,
    readers: [{ startsAtMs: 0, bytesPerMs: 1000, start: 0, seeks: [] }],
    limitMs: 600_000
  })
  swarm.run()
  return swarm
}

const honest: readonly PeerPlan[] = [
  { bytesPerMs: 1000, latencyMs: 40 },
  { bytesPerMs: 1000, latencyMs: 40 },
  { bytesPerMs: 500, latencyMs: 80 }
]

for (const [name, corrupts] of [
  ['always', 1],
  ['now and then', 0.1]
] as const) {
  test(`a peer that lies ${name} spoils pieces once, and only its own blocks are fetched again`, () => {
    const swarm = run([...honest, { bytesPerMs: 1000, latencyMs: 40, corrupts }])
    assert.equal(swarm.done, true)
    assert.equal(swarm.banned, 1)
    const pieces = swarm.failedAt.map(({ piece }) => piece)
    assert.ok(pieces.length > 0)
    assert.equal(new Set(pieces).size, pieces.length, 'no piece fails twice')
    const total = 24 * mebi
    // The liar's blocks of partial pieces, and those received before it was known; not all of them again.
    assert.ok(
      swarm.receivedBytes < total + pieces.length * mebi,
      `${swarm.receivedBytes - total} bytes too many`
    )
  })
}

test('two liars, also in collusion, are found, and no honest peer is banned', () => {
  const swarm = run([
    ...honest,
    { bytesPerMs: 1000, latencyMs: 40, corrupts: 1, version: 99 },
    { bytesPerMs: 1000, latencyMs: 40, corrupts: 1, version: 99 }
  ])
  assert.equal(swarm.done, true)
  assert.deepEqual([...swarm.bannedIds].sort(), [4, 5])
})

test('a liar beside a single honest peer is found in the end', () => {
  const swarm = run([
    { bytesPerMs: 1000, latencyMs: 40 },
    { bytesPerMs: 1000, latencyMs: 40, corrupts: 0.5 }
  ])
  assert.equal(swarm.done, true)
  assert.deepEqual([...swarm.bannedIds], [2])
})
