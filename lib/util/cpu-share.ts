import { readFileSync } from 'node:fs'
import { monotonicMs } from './clock.ts'

/** Milliseconds between two readings of the clocks; a task of `longMs` or more causes one at once. */
const everyMs = 250
const longMs = 2
/** Shorter measurements are inaccurate: a single pause of the machine would distort them. */
const leastBusyMs = 50
/** Lower bound, so that a thread that only waited for a disk does not seem to get no CPU at all. */
const leastShare = 0.02

/** Time that a thread has used so far, in milliseconds. */
export interface ThreadUse {
  /** Time during which its event loop was active. */
  readonly busyMs: number
  /** Time on a processor. */
  readonly cpuMs: number
}

/**
 * Estimates how much of a task's duration was CPU time: all of it on an idle machine, less if other programs
 * compete for the processor. Reading the CPU clock twice for each short task would cost more than the task,
 * so the share is measured over all recent work of the thread. The result for a long task is limited to the
 * CPU time that the thread got since the last reading.
 */
export class CpuShare {
  readonly #read: () => ThreadUse
  #value = 1
  #at = Number.NEGATIVE_INFINITY
  #seen: ThreadUse
  /** Start of the current measurement. */
  #begun: ThreadUse

  /** Starts with a share of 1, until enough work was measured. */
  constructor(read: () => ThreadUse) {
    this.#read = read
    this.#seen = this.#begun = read()
  }

  /** Returns the CPU milliseconds of a task that has just ended and took `ms`. */
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
 * Reads the clocks of this thread. `busyMs` leaves out the time for which the woken thread waits for a
 * processor before its event loop continues, because that is part of no task. If neither Node nor the system
 * reports CPU time per thread, the time of the process makes the share too large. The share stays 1 where the event loop is not measured, as in Bun.
 */
function readThread(): ThreadUse {
  const { eventLoopUtilization }: Partial<typeof performance> = performance
  const busyMs = eventLoopUtilization?.call(performance).active ?? 0
  const ranMs = readLinux()
  if (ranMs !== undefined) return { busyMs, cpuMs: ranMs }
  const { threadCpuUsage }: { threadCpuUsage?: () => NodeJS.CpuUsage } & NodeJS.Process = process
  const { user, system } = threadCpuUsage?.call(process) ?? process.cpuUsage()
  return { busyMs, cpuMs: (user + system) / 1000 }
}

/** Returns the CPU milliseconds of this thread from Linux's scheduler statistics; undefined elsewhere. */
function readLinux(): number | undefined {
  if (process.platform !== 'linux') return undefined
  try {
    const ranNs = Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[0])
    return ranNs > 0 ? ranNs / 1e6 : undefined
  } catch {
    // /proc may not be mounted.
    return undefined
  }
}

export const cpuShare: CpuShare = new CpuShare(readThread)
