import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LeechSwarm, type NodePlan } from './leech-swarm.ts'

const megabyte = 1_000_000
const pieceLength = 131_072
const leechers = (count: number, upload: number): NodePlan[] =>
  Array.from({ length: count }, () => ({ upload }))

for (const [what, upload] of [
  ['with plenty to give', 40 * megabyte],
  ['that give hardly more than the seed', 6 * megabyte]
] as const) {
  test(`20 peers ${what} are done soon after the seed has sent everything once`, () => {
    const nodes = [{ upload: 4 * megabyte, seeds: true }, ...leechers(20, upload)]
    const swarm = new LeechSwarm({ pieceLength, pieceCount: 256, nodes, latencyMs: 20 })
    const length = 256 * pieceLength
    const boundMs = length / 4000
    const doneMs = swarm.run(60_000)
    assert.ok(doneMs < 1.15 * boundMs, `${doneMs} ms, at best ${boundMs}`)
    const sent = (swarm.nodes[0]?.sent ?? 0) / length
    assert.ok(sent < 1.15, `the seed sent ${sent.toFixed(2)} times the data`)
  })
}

test("where peers compete for each other's uploads, one that uploads nothing gets little", () => {
  const nodes = [
    { upload: 4 * megabyte, seeds: true },
    ...leechers(19, megabyte),
    { upload: megabyte, freeRides: true }
  ]
  const swarm = new LeechSwarm({ pieceLength: 262_144, pieceCount: 256, nodes, latencyMs: 20 })
  swarm.loop.advance(30_000)
  const fair = swarm.nodes.slice(1, 20).map(({ received }) => received)
  const mean = fair.reduce((sum, received) => sum + received, 0) / fair.length
  const share = (swarm.nodes[20]?.received ?? 0) / mean
  assert.ok(share < 0.35, `a free rider gets ${share.toFixed(2)} of what a fair peer gets`)
  assert.ok(Math.min(...fair) > 0.7 * mean, 'fair peers fare alike')
})
