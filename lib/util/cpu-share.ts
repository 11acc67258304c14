import { readFileSync } from 'node:fs'
import { monotonicMs } from './clock.ts'

/** The share is measured anew at most this often, and after whatever took long. */
const everyMs = 250
const longMs = 2
/** A shorter run says little: one pause by the machine would count for much. */
const leastBusyMs = 50
/** A thread that only waited for a disk is not taken for one that gets no processor at all. */
const leastShare = 0.02

/** Time that a thread has used so far, in milliseconds. */
export interface ThreadUse {
  /** Time in which it had something to do. */
  readonly busyMs: number
  /** Time on a processor. */
  readonly cpuMs: number
}

/**
 * Estimates how much of the time that something takes is time on a processor: all on an idle machine, less where other programs take
 * turns with this one. Two readings of the CPU clock for each short piece of work would cost more than the work, so the share is taken
 * over all that the thread did of late; what takes long is at most what the thread had since the last reading.
 */
export class CpuShare {
  readonly #read: () => ThreadUse
  #value = 1
  #at = Number.NEGATIVE_INFINITY
  #seen: ThreadUse
  /** The beginning of what the next share is taken over. */
  #begun: ThreadUse

  /** A share of 1 until enough was done. */
  constructor(read: () => ThreadUse) {
    this.#read = read
    this.#seen = this.#begun = read()
  }

  /** How many milliseconds on a processor something took that has just ended and took `ms` in all. */
  of(ms: number, now: number = monotonicMs()): number {
    if (ms < longMs && now - this.#at < everyMs) return ms * this.#value
    this.#at = now
    const use = this.#read()
    const sinceMs = use.cpuMs - this.#seen.cpuMs
    const busyMs = use.busyMs - this.#begun.busyMs
    this.#seen = use
    if (busyMs >= leastBusyMs) {
      this.#value = Math.min(1, Math.max(leastShare, (use.cpuMs - this.#begun.cpuMs) / busyMs))
      this.#begun = use
    }
    return Math.min(ms * this.#value, sinceMs)
  }
}

/**
 * Reads the clocks of this thread. Time in which it was woken and not yet run is no part of what anything took, and so not of `busyMs`.
 * Where neither Node nor the system tells its CPU time, that of all threads together makes the share too large.
 */
function readThread(): ThreadUse {
  const busyMs = performance.eventLoopUtilization().active
  const ranMs = readLinux()
  if (ranMs !== undefined) return { busyMs, cpuMs: ranMs }
  const { threadCpuUsage }: { threadCpuUsage?: () => NodeJS.CpuUsage } & NodeJS.Process = process
  const { user, system } = threadCpuUsage?.call(process) ?? process.cpuUsage()
  return { busyMs, cpuMs: (user + system) / 1000 }
}

/** Milliseconds that this thread was on a processor, as Linux counts them. */
function readLinux(): number | undefined {
  if (process.platform !== 'linux') return undefined
  try {
    const ranNs = Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[0])
    return ranNs > 0 ? ranNs / 1e6 : undefined
  } catch {
    // Not every system mounts it.
    return undefined
  }
}

/** The share of this thread. */
export const cpuShare: CpuShare = new CpuShare(readThread)
