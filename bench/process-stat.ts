import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** Clock ticks a second in `/proc`, the same on every Linux that Node runs on. */
const ticksPerSecond = 100

/** Returns the CPU seconds of a process so far: user and system, all threads; Linux. */
export function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  // The name in parentheses may contain spaces.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

/** Returns the peak RSS of a process since it started its program, in bytes; Linux. */
export function peakRssOf(pid: number | 'self'): number {
  const kibibytes = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]
  return Number(kibibytes) * 1024
}

/**
 * Returns the peak RSS of this process. Avoids `resourceUsage()` where possible: it includes the memory of the parent process at the
 * time of the start.
 */
export function ownPeakRss(): number {
  try {
    return peakRssOf('self')
  } catch {
    return process.resourceUsage().maxRSS * 1024
  }
}

/** Counts the open file descriptors of a process: all, and those of files below a folder; Linux. */
export function descriptorsOf(pid: number, folder: string): { all: number; below: number } {
  const list = `/proc/${pid}/fd`
  const names = readdirSync(list)
  let below = 0
  for (const name of names) {
    try {
      if (readlinkSync(`${list}/${name}`).startsWith(folder)) below++
    } catch {
      // The descriptor was closed meanwhile.
    }
  }
  return { all: names.length, below }
}
