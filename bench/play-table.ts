import { median } from './benchmark.ts'
import type { PlayReport } from './play-process.ts'
import type { PartReport } from './player.ts'

/** Formats the medians of all rounds as a Markdown table; the worst one follows in parentheses where it differs. */
export function playTable(reports: ReadonlyMap<string, readonly PlayReport[]>): string {
  const lines = [
    '| engine | first MiB after add | first MiB after a seek | stalls after add | stalls after the seek | whole file | CPU | bytes |',
    '|---|---:|---:|---:|---:|---:|---:|---|'
  ]
  for (const [engine, runs] of reports) {
    if (runs.length === 0) {
      lines.push(`| ${engine} | failed | | | | | | |`)
      continue
    }
    const starts = runs.flatMap(({ start }) => start ?? [])
    const seeks = runs.flatMap(({ seek }) => seek ?? [])
    const whole = runs.flatMap(({ wholeMs }) => wholeMs ?? [])
    const cpu = median(runs.map(({ cpuSeconds }) => cpuSeconds))
    const plays = engine !== 'floor' && starts.length > 0
    const good = runs.every(
      ({ wrongChunks, comparedBytes }) => wrongChunks === 0 && (comparedBytes > 0 || starts.length === 0)
    )
    const cells = [
      engine,
      starts.length > 0 ? waits(starts) : '',
      seeks.length > 0 ? waits(seeks) : '',
      plays ? stalls(starts) : '',
      plays ? stalls(seeks) : '',
      whole.length > 0 ? withWorst(whole, milliseconds) : '',
      `${cpu.toFixed(1)} s`,
      starts.length === 0 ? '' : good ? 'all right' : 'WRONG'
    ]
    lines.push(`| ${cells.join(' | ')} |`)
  }
  return lines.join('\n')
}

function waits(parts: readonly PartReport[]): string {
  return withWorst(
    parts.map(({ firstMebibyteMs }) => firstMebibyteMs ?? Number.POSITIVE_INFINITY),
    milliseconds
  )
}

function stalls(parts: readonly PartReport[]): string {
  const counts = withWorst(
    parts.map((part) => part.stalls),
    (count) => String(count)
  )
  return counts === '0'
    ? '0'
    : `${counts}: ${withWorst(
        parts.map(({ stallMs }) => stallMs),
        milliseconds
      )}`
}

function withWorst(values: readonly number[], format: (value: number) => string): string {
  const [middle, worst] = [median(values), Math.max(...values)]
  return worst === middle ? format(middle) : `${format(middle)} (${format(worst)})`
}

function milliseconds(value: number): string {
  return Number.isFinite(value) ? `${Math.round(value)} ms` : 'never'
}
