import { type Cost, measureCosts } from './cost.ts'
import { printDht } from './dht.ts'
import { type JumpResult, measure, type Result } from './measure.ts'
import { scenarios } from './scenarios.ts'

// Prints the scheduler's result of each scenario beside the optimum. An argument chooses scenarios by name.
// `cost` or `--scale` measures the cost of a block in swarms of several sizes instead, and `dht` look-ups in
// a DHT of 100,000 nodes, or of the given number.

const [chosen = ''] = process.argv.slice(2)

function seconds(ms: number): string {
  return Number.isFinite(ms) ? (ms / 1000).toFixed(2) : '-'
}

function worst(jumps: readonly JumpResult[]): string {
  if (jumps.length === 0) return '-'
  let slowest = jumps[0] as JumpResult
  for (const jump of jumps)
    if (jump.firstMiBMs - jump.boundMs > slowest.firstMiBMs - slowest.boundMs) slowest = jump
  return beside(slowest.firstMiBMs, slowest.boundMs)
}

function beside(ms: number, boundMs: number): string {
  return `${seconds(ms)}/${seconds(boundMs)} ${boundMs > 0 ? (ms / boundMs).toFixed(2) : ''}`
}

function row({
  name,
  jumps,
  wasted,
  used,
  completionMs,
  rarestFirstMs,
  completionBoundMs
}: Result): string[] {
  const starts = jumps.filter(({ seek }) => !seek)
  const seeks = jumps.filter(({ seek }) => seek)
  const sum = (of: (jump: JumpResult) => number): number => jumps.reduce((total, jump) => total + of(jump), 0)
  const first = starts[0]
  return [
    name,
    first === undefined ? '-' : beside(first.firstByteMs, first.firstByteBoundMs),
    worst(starts),
    worst(seeks),
    `${sum((jump) => jump.stalls)}`,
    `${seconds(sum((jump) => jump.stalledMs))}/${seconds(sum((jump) => jump.stallBoundMs))}`,
    `${(wasted * 100).toFixed(2)}`,
    `${(used * 100).toFixed(0)}`,
    `${seconds(completionMs)}/${seconds(rarestFirstMs)} ${(completionMs / rarestFirstMs).toFixed(2)}`,
    seconds(completionBoundMs)
  ]
}

const titles = [
  'scenario',
  'first byte/bound',
  'first MiB/bound',
  'worst seek MiB/bound',
  'stalls',
  'stalled/bound',
  'waste %',
  'used %',
  'done/rarest first',
  'done bound'
]

function printCosts(costs: readonly Cost[]): void {
  const [first] = costs
  const cell = (value: number, least = 1): string =>
    `${value.toFixed(2).padStart(7)} ${(value / least).toFixed(2)}x`
  for (const { peers, pieces, reads, steps, pickerMicroseconds, wholeMicroseconds } of costs) {
    const cells = [
      `${peers}`.padStart(7),
      `${pieces}`.padStart(7),
      (reads ? 'yes' : 'no').padStart(6),
      cell(steps, first?.steps),
      cell(pickerMicroseconds, first?.pickerMicroseconds),
      cell(wholeMicroseconds, first?.wholeMicroseconds)
    ]
    console.log(cells.join('  '))
  }
}

const sizes = [
  [100, 1000],
  [1000, 10_000],
  [10_000, 100_000]
] as const

if (chosen === 'dht') {
  const [, count = '100000', only] = process.argv.slice(2)
  await printDht(Number(count), only)
} else if (chosen === 'cost' || chosen === '--scale') {
  // Warms up the compiler.
  for (const reads of [true, false]) measureCosts([{ peers: 100, pieces: 1000, reads }], 20_000)
  console.log(
    'For each block: looks of the picker at pieces, buckets and peers; microseconds in the picker, and in'
  )
  console.log('all of the simulation; beside each how many times that of the smallest swarm.')
  console.log('  peers   pieces  reader        looks          picker us             all us')
  for (const reads of [false, true]) {
    printCosts(
      measureCosts(
        sizes.map(([peers, pieces]) => ({ peers, pieces, reads })),
        24_000
      )
    )
  }
} else {
  const table = [titles]
  for (const scenario of scenarios()) {
    if (scenario.name.includes(chosen)) table.push(row(measure(scenario)))
  }
  const widths = titles.map((_, column) => Math.max(...table.map((cells) => cells[column]?.length ?? 0)))
  for (const cells of table) {
    console.log(
      cells
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd()
    )
  }
}
