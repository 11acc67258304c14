import { monotonicMs } from './clock.ts'

/** The share is measured anew at most this often. */
const everyMs = 250
/** A shorter run says little: one pause by the machine would count for much. */
const leastBusyMs = 50
/** A thread that only waited for a disk is not taken for one that gets no processor at all. */
const leastShare = 0.02

/** What a thread has used so far, in milliseconds. */
export interface ThreadUse {
  /** Time in which it had something to do. */
  readonly busyMs: number
  /** Time on a processor. */
  readonly cpuMs: number
}

/**
 * Estimates which part of the time that something takes is time on a processor: 1 on an idle machine, less where other programs take
 * turns with this one. Two readings of the CPU clock for each short piece of work would cost more than the work, so the share is taken
 * over all that the thread did of late.
 */
export class CpuShare {
  readonly #read: () => ThreadUse
  #value = 1
  #at = Number.NEGATIVE_INFINITY
  #use: ThreadUse | undefined

  /** A share of 1 until enough was done. */
  constructor(read: () => ThreadUse) {
    this.#read = read
  }

  /** The share, above 0 and at most 1. */
  value(now: number = monotonicMs()): number {
    if (now - this.#at < everyMs) return this.#value
    this.#at = now
    const use = this.#read()
    const before = (this.#use ??= use)
    const busyMs = use.busyMs - before.busyMs
    if (busyMs < leastBusyMs) return this.#value
    this.#value = Math.min(1, Math.max(leastShare, (use.cpuMs - before.cpuMs) / busyMs))
    this.#use = use
    return this.#value
  }
}

/** Reads the clocks of this thread. Older versions of Node know the CPU time of all threads together, which makes the share too large. */
function readThread(): ThreadUse {
  const { threadCpuUsage }: { threadCpuUsage?: () => NodeJS.CpuUsage } & NodeJS.Process = process
  const { user, system } = threadCpuUsage?.call(process) ?? process.cpuUsage()
  return { busyMs: performance.eventLoopUtilization().active, cpuMs: (user + system) / 1000 }
}

/** The share of this thread. */
export const cpuShare: CpuShare = new CpuShare(readThread)
