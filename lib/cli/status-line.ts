import { formatBytes, formatCount, formatDuration, formatPart, formatPercent, formatSpeed } from './format.ts'

/** The progress of some work. */
export interface Status {
  /** The kind of work, in a word or two. */
  readonly label: string
  /** From 0 to 1. */
  readonly progress: number
  readonly doneBytes: number
  readonly totalBytes: number
  readonly downloadSpeed?: number
  readonly uploadSpeed?: number
  readonly peers?: number
  readonly peerSources?: Readonly<Record<string, number>>
  /** Number of peers over each transport. */
  readonly peerTransports?: Readonly<Record<string, number>>
  /** Number of peers whose connection is encrypted, if only in its handshake. */
  readonly encryptedPeers?: number
  /** Whether the router forwards the port; undefined if nothing is known. */
  readonly nat?: string | undefined
  /** Nodes in the DHT's routing table; undefined without DHT. */
  readonly dhtNodes?: number | undefined
  readonly timeRemainingMs?: number
}

const widestBar = 30
const narrowestBar = 8
/** Number of leading parts that take precedence over the bar when the line is narrow. */
const firstParts = 5

/**
 * Formats a line of at most `width` columns, ASCII only. If the parts do not fit, parts after the fifth are dropped from the end, then
 * the bar, then further parts.
 */
export function statusLine(status: Status, width: number): string {
  const parts = statusParts(status)
  // The bar and the speed already say that it is downloading.
  if (status.label === 'downloading' && status.totalBytes > 0) parts[0] = formatPercent(status.progress)
  const spare = (): number => width - parts.join('  ').length
  while (parts.length > firstParts && spare() < narrowestBar + 2) parts.pop()
  while (parts.length > 1 && spare() < 0) parts.pop()
  const bar = Math.min(widestBar, spare() - 2)
  if (status.totalBytes > 0 && bar >= narrowestBar) parts.splice(1, 0, drawBar(status.progress, bar))
  return parts.join('  ').slice(0, Math.max(0, width))
}

/** Formats the same line without bar and without limit. */
export function statusText(status: Status): string {
  return statusParts(status).join('  ')
}

function statusParts(status: Status): string[] {
  const { label, progress, doneBytes, totalBytes, downloadSpeed, uploadSpeed, peers, timeRemainingMs } =
    status
  const { peerSources = {}, peerTransports = {}, encryptedPeers = 0, dhtNodes, nat } = status
  // Most important first.
  const parts = totalBytes > 0 ? [`${label} ${formatPercent(progress)}`] : [label]
  if (totalBytes > 0) parts.push(progress < 1 ? formatPart(doneBytes, totalBytes) : formatBytes(totalBytes))
  if (downloadSpeed !== undefined && progress < 1) parts.push(`down ${formatSpeed(downloadSpeed)}`)
  if (peers !== undefined) parts.push(formatCount(peers, 'peer'))
  if (timeRemainingMs !== undefined && progress < 1 && Number.isFinite(timeRemainingMs)) {
    parts.push(`${formatDuration(timeRemainingMs)} left`)
  }
  if (uploadSpeed !== undefined) parts.push(`up ${formatSpeed(uploadSpeed)}`)
  if (sumOf(peerSources) > 0) parts.push(`from ${formatCounts(peerSources)}`)
  if (sumOf(peerTransports) > 0) parts.push(`over ${formatCounts(peerTransports)}`)
  if (encryptedPeers > 0) parts.push(`${encryptedPeers} encrypted`)
  if (dhtNodes !== undefined) parts.push(formatCount(dhtNodes, 'DHT node'))
  if (nat !== undefined) parts.push(nat)
  return parts
}

function sumOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}

function formatCounts(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${count} ${name}`)
    .join(', ')
}

function drawBar(progress: number, width: number): string {
  const inner = width - 2
  const filled = Math.min(inner, Math.floor(inner * Math.max(0, progress)))
  const head = filled > 0 && filled < inner ? '>' : '='
  return `[${'='.repeat(Math.max(0, filled - 1))}${filled > 0 ? head : ''}${' '.repeat(inner - filled)}]`
}
