const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** Formats bytes: `0 B`, `1.4 MiB`, `12 GiB`. */
export function formatBytes(bytes: number): string {
  let unit = 0
  let value = Math.max(0, bytes)
  // 1023.5 would round to 1024.
  while (value >= 1023.5 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : 1
  return `${value.toFixed(digits)} ${units[unit]}`
}

/** Formats a part of some bytes: `3.5 of 28.6 MiB`. */
export function formatPart(doneBytes: number, totalBytes: number): string {
  const [done, unit] = formatBytes(doneBytes).split(' ')
  const total = formatBytes(totalBytes)
  return total.endsWith(` ${unit}`) ? `${done} of ${total}` : `${done} ${unit} of ${total}`
}

export function formatSpeed(bytesPerSecond: number): string {
  return `${formatBytes(bytesPerSecond)}/s`
}

/** Formats a fraction from 0 to 1 as percent, rounded down so that 100% means complete. */
export function formatPercent(part: number): string {
  if (part >= 1) return '100%'
  return `${(Math.floor(Math.max(0, part) * 1000) / 10).toFixed(1)}%`
}

/** Formats a duration: `0:07`, `12:30`, `3:05:00`, `4 d 2 h`; `-` when it is unknown. */
export function formatDuration(durationMs: number): string {
  if (!Number.isFinite(durationMs)) return '-'
  const seconds = Math.ceil(Math.max(0, durationMs) / 1000)
  const hours = Math.floor(seconds / 3600)
  if (hours >= 48) return `${Math.floor(hours / 24)} d ${hours % 24} h`
  const two = (value: number): string => `${value}`.padStart(2, '0')
  const minutes = Math.floor(seconds / 60) % 60
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`
}

/** Formats a count with its noun: `1 peer`, `2 peers`. */
export function formatCount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
