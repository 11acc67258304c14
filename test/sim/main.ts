import { measureCost } from './cost.ts'
import { type JumpResult, measure, type Result } from './measure.ts'
import { scenarios } from './scenarios.ts'

// Prints what the scheduler makes of each scenario beside what is possible. An argument chooses scenarios by name; `cost` measures
// processor time per block instead.

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

if (chosen === 'cost') {
  // What the compiler does at first is not counted, nor what else the machine does meanwhile: the best of three.
  measureCost(100, 1000, true)
  console.log('   peers   pieces  reader  microseconds per block in the picker')
  for (const [peers, pieces] of [
    [100, 1000],
    [1000, 10_000],
    [10_000, 100_000]
  ] as const) {
    for (const reads of [false, true]) {
      const costs = [1, 2, 3].map(() => measureCost(peers, pieces, reads).microsecondsPerBlock)
      const cells = [peers, pieces, reads ? 'yes' : 'no'].map((cell) => `${cell}`.padStart(8))
      console.log(`${cells.join(' ')}  ${Math.min(...costs).toFixed(1)}`)
    }
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
