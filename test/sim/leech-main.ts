import { LeechSwarm, type NodePlan } from './leech-swarm.ts'

// Prints how close swarms of our clients come to the least possible time, in virtual time: `node
// dist/test/sim/leech-main.js`.
const megabyte = 1_000_000

function row(name: string, nodes: NodePlan[], pieceLength: number, mebibytes: number, latencyMs = 20): void {
  const pieceCount = (mebibytes << 20) / pieceLength
  const began = performance.now()
  const swarm = new LeechSwarm({ pieceLength, pieceCount, nodes, latencyMs })
  const doneMs = swarm.run(600_000)
  const seed = swarm.nodes[0]
  const length = pieceLength * pieceCount
  const boundMs = (length * 1000) / (seed?.plan.upload ?? 1)
  const fair = swarm.nodes.filter(({ plan }) => plan.seeds !== true && plan.freeRides !== true)
  const firstDone = Math.min(...fair.map(({ doneAt }) => doneAt))
  console.log(
    name.padEnd(34),
    `bound ${(boundMs / 1000).toFixed(1)} s  first ${(firstDone / 1000).toFixed(1)} s  all ${(doneMs / 1000).toFixed(1)} s`,
    `${(doneMs / boundMs).toFixed(2)}x  seed sent ${((seed?.sent ?? 0) / length).toFixed(2)}x`,
    `(${((performance.now() - began) / 1000).toFixed(1)} s)`
  )
}

const leechers = (count: number, upload: number): NodePlan[] =>
  Array.from({ length: count }, () => ({ upload }))
for (const pieceLength of [65536, 262144]) {
  for (const mebibytes of [32, 64]) {
    row(
      `20 peers, ${mebibytes} MiB, ${pieceLength >> 10} KiB`,
      [{ upload: 4 * megabyte, seeds: true }, ...leechers(20, 40 * megabyte)],
      pieceLength,
      mebibytes
    )
    row(
      `20 slow peers, ${mebibytes} MiB, ${pieceLength >> 10} KiB`,
      [{ upload: 4 * megabyte, seeds: true }, ...leechers(20, 6 * megabyte)],
      pieceLength,
      mebibytes
    )
  }
}
for (const [seed, peer] of [
  [4, 1],
  [1, 1],
  [0.5, 1]
] as const) {
  const nodes = [
    { upload: seed * megabyte, seeds: true },
    ...leechers(19, peer * megabyte),
    { upload: megabyte, freeRides: true }
  ]
  const swarm = new LeechSwarm({ pieceLength: 262144, pieceCount: 256, nodes, latencyMs: 20 })
  const fair = swarm.nodes.slice(1, 20)
  const rider = swarm.nodes[20]
  const shares: string[] = []
  while (swarm.loop.now < 300_000 && fair.every(({ doneAt }) => doneAt === Number.POSITIVE_INFINITY)) {
    swarm.loop.advance(10_000)
    const mean = fair.reduce((sum, { received }) => sum + received, 0) / fair.length
    shares.push(
      `${((rider?.received ?? 0) / mean).toFixed(2)} at ${((mean / (256 << 18)) * 100).toFixed(0)}%`
    )
  }
  console.log(
    `seed ${seed} peers ${peer} MB/s: a free rider has, every 10 s, of what a fair peer has: ${shares.join(', ')}`
  )
}
