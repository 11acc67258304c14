import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** Clock ticks a second in `/proc`, the same on every Linux that Node runs on. */
const ticksPerSecond = 100

/** CPU seconds of a process so far, user and system, all threads; Linux. */
export function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  // The name in parentheses may hold spaces.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

/** Most memory that a process has had in RAM since it began its program, in bytes; Linux. */
export function peakRssOf(pid: number | 'self'): number {
  const kibibytes = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]
  return Number(kibibytes) * 1024
}

/**
 * The same of this process. Not by `resourceUsage()` where there is another way: that counts what the process that started it had at
 * that moment.
 */
export function ownPeakRss(): number {
  try {
    return peakRssOf('self')
  } catch {
    return process.resourceUsage().maxRSS * 1024
  }
}

/** Descriptors that a process has open, of everything and of what lies below a folder; Linux. */
export function descriptorsOf(pid: number, folder: string): { all: number; below: number } {
  const list = `/proc/${pid}/fd`
  const names = readdirSync(list)
  let below = 0
  for (const name of names) {
    try {
      if (readlinkSync(`${list}/${name}`).startsWith(folder)) below++
    } catch {
      // Closed meanwhile.
    }
  }
  return { all: names.length, below }
}
