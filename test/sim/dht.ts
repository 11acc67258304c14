import { peersOf } from '../../lib/dht/peer-filter.ts'
import { walk, write } from '../../lib/dht/walk.ts'
import { seededRandom } from '../dht/sim-network.ts'
import { Lifetimes, livesNeeded } from './dht-lifetimes.ts'
import { Population } from './dht-population.ts'
import { DhtWorld, type Malice } from './dht-world.ts'
import { seededRandom as seededChance } from './event-loop.ts'

/** Milliseconds between a client's announces, and from each to its look-ups, while nodes come and go. */
const announceEveryMs = 15 * 60_000
const looksAfterMs: readonly number[] = [60_000, 450_000, 895_000]

/** The conditions of a network. */
export interface DhtScenario {
  readonly name: string
  /** Share of the nodes that die between announce and look-up, 0 to 1. */
  readonly dead: number
  /** Share of the nodes that lie. */
  readonly hostile: number
  readonly malice: Malice
  /** Share of the nodes that are replaced within an hour, continuously; 0 by default, and may exceed 1. */
  readonly exchanged?: number
}

/** The result of a scenario. */
export interface DhtOutcome {
  readonly name: string
  /** Share of the look-ups that found the announced peer. */
  readonly success: number
  readonly meanHops: number
  readonly medianHops: number
  readonly mostHops: number
  /** Queries of a look-up, on average. */
  readonly queries: number
  /** Datagrams of all nodes for each look-up, in both directions, on average. */
  readonly packets: number
  /** Virtual milliseconds until a look-up found the peer, median and 95th percentile. */
  readonly medianMs: number
  readonly lateMs: number
  /** Nodes that stored an announce, on average. */
  readonly announcedTo: number
  /** Nodes in a table, on average. */
  readonly tableSize: number
  /** Number of nodes made. */
  readonly made: number
}

interface Announced {
  readonly infoHash: Uint8Array
  readonly port: number
}

/** The scenarios of `npm run sim -- dht`. */
export const dhtScenarios: readonly DhtScenario[] = [
  { name: 'calm', dead: 0, hostile: 0, malice: 'none' },
  { name: '30 % churn', dead: 0.3, hostile: 0, malice: 'none' },
  { name: '20 % poison', dead: 0, hostile: 0.2, malice: 'poison' },
  { name: '20 % eclipse', dead: 0, hostile: 0.2, malice: 'eclipse' },
  { name: '30 % churn, 20 % poison', dead: 0.3, hostile: 0.2, malice: 'poison' },
  { name: '30 % churn, 20 % eclipse', dead: 0.3, hostile: 0.2, malice: 'eclipse' },
  { name: '30 % an hour', dead: 0, hostile: 0, malice: 'none', exchanged: 0.3 },
  { name: '30 % an hour, 20 % hostile', dead: 0, hostile: 0.2, malice: 'both', exchanged: 0.3 },
  { name: '200 % an hour', dead: 0, hostile: 0, malice: 'none', exchanged: 2 },
  { name: '200 % an hour, 20 % hostile', dead: 0, hostile: 0.2, malice: 'both', exchanged: 2 }
]

/**
 * Announces info hashes from random nodes of a network in virtual time, and looks up each from `looks` other
 * nodes. While nodes come and go that takes an hour: every 15 minutes a part of the info hashes is announced,
 * and looked up until the next announce is due.
 */
export async function measureDht(
  count: number,
  scenario: DhtScenario,
  { hashes, looks }: { readonly hashes: number; readonly looks: number }
): Promise<DhtOutcome> {
  const { exchanged = 0 } = scenario
  const random = seededRandom(11)
  const cycles = exchanged > 0 ? 4 : 1
  const untilMs = exchanged > 0 ? cycles * announceEveryMs + 120_000 : 0
  const population = new Population(exchanged > 0 ? livesNeeded(count, exchanged, untilMs) : count, random)
  const lifetimes =
    exchanged > 0
      ? new Lifetimes({ population, alive: count, exchanged, untilMs, chance: seededChance(11) })
      : undefined
  const world = new DhtWorld({ population, random, ...scenario, lifetimes })
  const { network } = world
  const good = (): number => {
    for (;;) {
      const node = population.any()
      if (world.isGood(node, 60_000)) return node
    }
  }
  let packets = 0
  let told = 0
  const results: { found: boolean; ms: number; hops: number; queries: number }[] = []

  const announce = (numbers: readonly number[]): Promise<Announced[]> =>
    network.run(
      Promise.all(
        numbers.map(async (n) => {
          const infoHash = random(20)
          const node = world.node(good())
          const search = { method: 'get_peers', args: { info_hash: infoHash } } as const
          const found = await walk(node, infoHash, { ...search, onAnswer: () => {}, signal: undefined })
          const args = { info_hash: infoHash, port: 2000 + n }
          const takers = await write(node, found, 'announce_peer', () => args, undefined)
          told += takers
          return { infoHash, port: 2000 + n }
        })
      )
    )

  const look = async (announced: readonly Announced[]): Promise<void> => {
    const sent = network.sent
    const some = announced.map(async ({ infoHash, port }) => {
      const began = network.now()
      let ms = Number.POSITIVE_INFINITY
      const steps = world
        .node(good())
        .lookup(infoHash, { method: 'get_peers', args: { info_hash: infoHash } })
      for (;;) {
        const step = await steps.next()
        if (step.done === true) {
          const { hops, queries } = step.value
          results.push({ found: Number.isFinite(ms), ms, hops, queries })
          return
        }
        const { values, node } = step.value
        for (const peer of peersOf(values, node))
          if (peer.port === port) ms = Math.min(ms, network.now() - began)
      }
    })
    await network.run(Promise.all(some))
    packets += network.sent - sent
  }

  for (let cycle = 0; cycle < cycles; cycle++) {
    const from = Math.floor((hashes * cycle) / cycles)
    const to = Math.floor((hashes * (cycle + 1)) / cycles)
    const began = network.now()
    const announced = await announce(Array.from({ length: to - from }, (_, n) => from + n))
    world.kill(scenario.dead)
    for (let round = 0; round < looks; round++) {
      const afterMs = looksAfterMs[round % looksAfterMs.length] ?? 0
      if (exchanged > 0) await world.pass(Math.max(1, began + afterMs - network.now()))
      await look(announced)
    }
    if (exchanged > 0) await world.pass(Math.max(1, began + announceEveryMs - network.now()), true)
  }
  world.close()
  const mean = (of: (result: (typeof results)[number]) => number): number =>
    results.reduce((sum, result) => sum + of(result), 0) / results.length
  const hops = results.map((one) => one.hops).sort((a, b) => a - b)
  const times = results.map(({ ms }) => ms).sort((a, b) => a - b)
  return {
    name: scenario.name,
    success: mean(({ found }) => Number(found)),
    meanHops: mean((one) => one.hops),
    medianHops: hops[Math.floor(hops.length / 2)] ?? 0,
    mostHops: hops.at(-1) ?? 0,
    queries: mean(({ queries }) => queries),
    packets: packets / results.length,
    medianMs: times[Math.floor(times.length / 2)] ?? 0,
    lateMs: times[Math.floor(times.length * 0.95)] ?? 0,
    announcedTo: told / hashes,
    tableSize: world.tableSizes / world.made,
    made: world.made
  }
}

const sizes = { hashes: 12, looks: 3 } as const

/** Prints the results of look-ups in a network of `count` nodes. */
export async function printDht(count: number, only = ''): Promise<void> {
  console.log(
    `${count} nodes in virtual time; ${sizes.hashes} info hashes, each looked for from ${sizes.looks} nodes`
  )
  const titles = [
    'scenario',
    'found %',
    'hops',
    'median',
    'most',
    'queries',
    'packets',
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
    const one = await measureDht(count, scenario, sizes)
    console.log(
      row([
        one.name,
        (one.success * 100).toFixed(1),
        one.meanHops.toFixed(2),
        `${one.medianHops}`,
        `${one.mostHops}`,
        one.queries.toFixed(0),
        one.packets.toFixed(0),
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
  return cells.map((cell, n) => (n === 0 ? cell.padEnd(28) : cell.padStart(titleWidth(n)))).join(' ')
}

function titleWidth(n: number): number {
  return n === 7 ? 14 : 9
}
