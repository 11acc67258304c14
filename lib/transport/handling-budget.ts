import { monotonicMs } from '../util/clock.ts'
import { limits } from './limits.ts'

const { handlingWaitMs: mostWaitMs } = limits

/** Limits of a host: a part of a core permanently, and milliseconds at once. */
export interface HandlingLimits {
  readonly part: number
  readonly burstMs: number
}

interface Host {
  usedMs: number
  at: number
  /** Last time at which its count was seen below half of the burst; at first, when it was created. */
  busySince: number
}

/**
 * Bounds the CPU that each host's messages cost, over all its connections, closed ones included. A host above its limits is read
 * more slowly, and then refused. Requested blocks and uploads do not count.
 */
export class HandlingBudget {
  readonly #part: number
  readonly #burstMs: number
  /** Maximum that is counted against a host, so that it is heard again after 20 quiet seconds. */
  readonly #mostMs: number
  readonly #hosts = new Map<string, Host>()

  /** Creates a budget in which each host has these limits. */
  constructor({ part, burstMs }: HandlingLimits) {
    this.#part = part
    this.#burstMs = burstMs
    this.#mostMs = burstMs + 2 * mostWaitMs * part
  }

  /** Number of hosts that are counted. */
  get size(): number {
    return this.#hosts.size
  }

  /** Counts milliseconds for a host. Returns the milliseconds that its connections have to wait; `Infinity` to close them. */
  add(key: string, ms: number, now: number = monotonicMs()): number {
    let host = this.#hosts.get(key)
    if (host === undefined) {
      if (this.#hosts.size >= limits.handlingHosts) this.#forget(now)
      host = { usedMs: 0, at: now, busySince: now }
      this.#hosts.set(key, host)
    }
    host.usedMs = Math.min(this.#mostMs, this.#used(host, now) + ms)
    host.at = now
    if (host.usedMs < this.#burstMs / 2) host.busySince = now
    const waitMs = this.waitOf(key, now)
    return waitMs === 0 ? 0 : Math.max(limits.handlingPauseMs, waitMs)
  }

  /** Returns the milliseconds that connections of a host have to wait; `Infinity` to close them. */
  waitOf(key: string, now: number = monotonicMs()): number {
    const host = this.#hosts.get(key)
    if (host === undefined) return 0
    const usedMs = this.#used(host, now)
    if (usedMs <= this.#burstMs) return 0
    const waitMs = (usedMs - this.#burstMs) / this.#part
    const isOver = waitMs > mostWaitMs || now - host.busySince > limits.handlingBusyMs
    return isOver ? Number.POSITIVE_INFINITY : waitMs
  }

  /** Whether a new connection of a host is refused; counts the refusal. */
  refuses(key: string, now: number = monotonicMs()): boolean {
    if (this.waitOf(key, now) !== Number.POSITIVE_INFINITY) return false
    this.add(key, limits.refusedMs, now)
    return true
  }

  /** Moves the count of one key to another. */
  move(from: string, to: string, now: number = monotonicMs()): void {
    const host = this.#hosts.get(from)
    if (host === undefined) return
    this.#hosts.delete(from)
    this.add(to, this.#used(host, now), now)
  }

  #forget(now: number): void {
    for (const [key, host] of this.#hosts) if (this.#used(host, now) === 0) this.#hosts.delete(key)
    const [first] = this.#hosts.keys()
    if (this.#hosts.size >= limits.handlingHosts && first !== undefined) this.#hosts.delete(first)
  }

  #used({ usedMs, at }: Host, now: number): number {
    return Math.max(0, usedMs - (now - at) * this.#part)
  }
}
