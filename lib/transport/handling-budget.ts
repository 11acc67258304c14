import { monotonicMs } from '../util/clock.ts'

/** The part of a core that one host may use. */
const part = 0.05
/** Milliseconds that it may use at once: what that part is in 10 s. */
const burstMs = 500
/** A host that would have to wait for so long, with all its connections, is not read any more. */
const mostWaitMs = 10_000
/** Nor is one that had to wait again and again for so long. */
const mostBusyMs = 60_000
/** More than that is not held against a host, so that it is heard again after 20 s of peace. */
const mostMs = burstMs + 2 * mostWaitMs * part
/** Hosts that are kept; each is forgotten when it has used less than its part. */
const mostHosts = 4096

interface Host {
  usedMs: number
  at: number
  /** Since when it was never below half of what it may use. */
  busySince: number
}

/**
 * The cost of handling each host's messages, over all its connections and ended ones: a host may use 5 % of a core over
 * 10 s, then it has to wait, and in the end it is not heard any more. Requested blocks and uploads are none of that.
 */
export class HandlingBudget {
  readonly #hosts = new Map<string, Host>()

  /** How many hosts are kept. */
  get size(): number {
    return this.#hosts.size
  }

  /** Counts milliseconds for a host. Returns how long its connections are to wait, in milliseconds; `Infinity` to close them. */
  add(key: string, ms: number, now: number = monotonicMs()): number {
    let host = this.#hosts.get(key)
    if (host === undefined) {
      if (this.#hosts.size >= mostHosts) this.#forget(now)
      host = { usedMs: 0, at: now, busySince: now }
      this.#hosts.set(key, host)
    }
    host.usedMs = Math.min(mostMs, Math.max(0, host.usedMs - (now - host.at) * part) + ms)
    host.at = now
    if (host.usedMs < burstMs / 2) host.busySince = now
    if (host.usedMs <= burstMs) return 0
    const waitMs = (host.usedMs - burstMs) / part
    return waitMs > mostWaitMs || now - host.busySince > mostBusyMs ? Number.POSITIVE_INFINITY : waitMs
  }

  #forget(now: number): void {
    for (const [key, host] of this.#hosts) {
      if (host.usedMs <= (now - host.at) * part) this.#hosts.delete(key)
    }
    const [first] = this.#hosts.keys()
    if (this.#hosts.size >= mostHosts && first !== undefined) this.#hosts.delete(first)
  }
}

/** The budget of this process. */
export const handlingBudget: HandlingBudget = new HandlingBudget()
