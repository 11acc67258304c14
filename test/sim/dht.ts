import { peersOf } from '../../lib/dht/peer-filter.ts'
import { walk, write } from '../../lib/dht/walk.ts'
import { seededRandom } from '../dht/sim-network.ts'
import { Population } from './dht-population.ts'
import { DhtWorld, type Malice } from './dht-world.ts'

/** One way in which a network may be. */
export interface DhtScenario {
  readonly name: string
  /** Share of the nodes that die between announce and look-up, 0 to 1. */
  readonly dead: number
  /** Share of the nodes that lie. */
  readonly hostile: number
  readonly malice: Malice
}

/** What came of a scenario. */
export interface DhtOutcome {
  readonly name: string
  /** Share of the look-ups that found the announced peer. */
  readonly success: number
  readonly meanHops: number
  readonly mostHops: number
  /** Questions of a look-up, on average. */
  readonly questions: number
  /** Virtual milliseconds until a look-up found the peer, median and 95th percentile. */
  readonly medianMs: number
  readonly lateMs: number
  /** Nodes that took an announce, on average. */
  readonly announcedTo: number
  /** Nodes in a table, on average. */
  readonly tableSize: number
  /** Nodes that were made. */
  readonly made: number
}

/** The scenarios of `npm run sim -- dht`. */
export const dhtScenarios: readonly DhtScenario[] = [
  { name: 'calm', dead: 0, hostile: 0, malice: 'none' },
  { name: '30 % churn', dead: 0.3, hostile: 0, malice: 'none' },
  { name: '20 % poison', dead: 0, hostile: 0.2, malice: 'poison' },
  { name: '20 % eclipse', dead: 0, hostile: 0.2, malice: 'eclipse' },
  { name: '30 % churn, 20 % poison', dead: 0.3, hostile: 0.2, malice: 'poison' },
  { name: '30 % churn, 20 % eclipse', dead: 0.3, hostile: 0.2, malice: 'eclipse' }
]

/** Announces info hashes from random nodes of a network in virtual time, and looks for each from other nodes. */
export async function measureDht(
  count: number,
  scenario: DhtScenario,
  { hashes, looks }: { readonly hashes: number; readonly looks: number }
): Promise<DhtOutcome> {
  const random = seededRandom(11)
  const population = new Population(count, random)
  const world = new DhtWorld({ population, random, ...scenario })
  const { network } = world
  const good = (): number => {
    for (;;) {
      const node = population.any()
      if (world.isGood(node)) return node
    }
  }
  const announced = await network.run(
    Promise.all(
      Array.from({ length: hashes }, async (_, n) => {
        const infoHash = random(20)
        const node = world.node(good())
        const search = { method: 'get_peers', args: { info_hash: infoHash } } as const
        const found = await walk(node, infoHash, { ...search, onAnswer: () => {}, signal: undefined })
        const args = { info_hash: infoHash, port: 2000 + n }
        const told = await write(node, found, 'announce_peer', () => args, undefined)
        return { infoHash, port: 2000 + n, told }
      })
    )
  )
  world.kill(scenario.dead)
  const results: { found: boolean; ms: number; hops: number; questions: number }[] = []
  for (let round = 0; round < looks; round++) {
    const some = announced.map(async ({ infoHash, port }) => {
      const began = network.now()
      let ms = Number.POSITIVE_INFINITY
      const steps = world
        .node(good())
        .lookup(infoHash, { method: 'get_peers', args: { info_hash: infoHash } })
      for (;;) {
        const step = await steps.next()
        if (step.done === true) {
          const { hops, questions } = step.value
          results.push({ found: Number.isFinite(ms), ms, hops, questions })
          return
        }
        const { values, node } = step.value
        for (const peer of peersOf(values, node))
          if (peer.port === port) ms = Math.min(ms, network.now() - began)
      }
    })
    await network.run(Promise.all(some))
  }
  world.close()
  const mean = (of: (result: (typeof results)[number]) => number): number =>
    results.reduce((sum, result) => sum + of(result), 0) / results.length
  const times = results.map(({ ms }) => ms).sort((a, b) => a - b)
  return {
    name: scenario.name,
    success: mean(({ found }) => Number(found)),
    meanHops: mean(({ hops }) => hops),
    mostHops: Math.max(...results.map(({ hops }) => hops)),
    questions: mean(({ questions }) => questions),
    medianMs: times[Math.floor(times.length / 2)] ?? 0,
    lateMs: times[Math.floor(times.length * 0.95)] ?? 0,
    announcedTo: announced.reduce((sum, { told }) => sum + told, 0) / announced.length,
    tableSize: world.tableSizes / world.made,
    made: world.made
  }
}

/** Prints what becomes of look-ups in a network of `count` nodes. */
export async function printDht(count: number, only = ''): Promise<void> {
  console.log(`${count} nodes in virtual time; 50 info hashes, each looked for from 6 nodes`)
  const titles = [
    'scenario',
    'found %',
    'hops',
    'most',
    'questions',
    'found after ms',
    '95 %',
    'told',
    'table',
    'made',
    'MB'
  ]
  console.log(row(titles))
  for (const scenario of dhtScenarios) {
    if (!scenario.name.includes(only)) continue
    const one = await measureDht(count, scenario, { hashes: 50, looks: 6 })
    console.log(
      row([
        one.name,
        (one.success * 100).toFixed(1),
        one.meanHops.toFixed(2),
        `${one.mostHops}`,
        one.questions.toFixed(0),
        one.medianMs.toFixed(0),
        one.lateMs.toFixed(0),
        one.announcedTo.toFixed(1),
        one.tableSize.toFixed(0),
        `${one.made}`,
        (process.memoryUsage.rss() / 1e6).toFixed(0)
      ])
    )
  }
}

function row(cells: readonly string[]): string {
  return cells
    .map((cell, n) => (n === 0 ? cell.padEnd(26) : cell.padStart(Math.max(10, titleWidth(n)))))
    .join(' ')
}

function titleWidth(n: number): number {
  return n === 5 ? 15 : 6
}
