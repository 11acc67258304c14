import { monotonicMs } from '../util/clock.ts'
import { limits } from './limits.ts'

const { handlingPart: part, handlingBurstMs: burstMs, handlingWaitMs: mostWaitMs } = limits
/** More than that is not held against a host, so that it is heard again after 20 s of peace. */
const mostMs = burstMs + 2 * mostWaitMs * part

interface Host {
  usedMs: number
  at: number
  /** Since when it was never below half of what it may use. */
  busySince: number
}

/**
 * The cost of handling each host's messages, over all its connections and ended ones: over any 10 s a host may use 4 % of a core that is measured, then
 * it has to wait, and in the end it is not heard any more. Requested blocks and uploads are none of that.
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
      if (this.#hosts.size >= limits.handlingHosts) this.#forget(now)
      host = { usedMs: 0, at: now, busySince: now }
      this.#hosts.set(key, host)
    }
    host.usedMs = Math.min(mostMs, used(host, now) + ms)
    host.at = now
    if (host.usedMs < burstMs / 2) host.busySince = now
    return this.waitOf(key, now)
  }

  /** How long connections of a host are to wait, in milliseconds; `Infinity` when they are closed. */
  waitOf(key: string, now: number = monotonicMs()): number {
    const host = this.#hosts.get(key)
    if (host === undefined) return 0
    const usedMs = used(host, now)
    if (usedMs <= burstMs) return 0
    const waitMs = (usedMs - burstMs) / part
    const isOver = waitMs > mostWaitMs || now - host.busySince > limits.handlingBusyMs
    return isOver ? Number.POSITIVE_INFINITY : waitMs
  }

  /** Whether a new connection of a host is closed as soon as it is accepted; counts the refusal. */
  refuses(key: string, now: number = monotonicMs()): boolean {
    if (this.waitOf(key, now) !== Number.POSITIVE_INFINITY) return false
    this.add(key, limits.refusedMs, now)
    return true
  }

  /** Counts what one host has used for another from now on. */
  move(from: string, to: string, now: number = monotonicMs()): void {
    const host = this.#hosts.get(from)
    if (host === undefined) return
    this.#hosts.delete(from)
    this.add(to, used(host, now), now)
  }

  #forget(now: number): void {
    for (const [key, host] of this.#hosts) if (used(host, now) === 0) this.#hosts.delete(key)
    const [first] = this.#hosts.keys()
    if (this.#hosts.size >= limits.handlingHosts && first !== undefined) this.#hosts.delete(first)
  }
}

function used({ usedMs, at }: Host, now: number): number {
  return Math.max(0, usedMs - (now - at) * part)
}

/** The budget of this process. */
export const handlingBudget: HandlingBudget = new HandlingBudget()
