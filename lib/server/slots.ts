import type { OutgoingHttpHeaders } from 'node:http'
import { HttpError } from './respond.ts'

/** Counts what is open, in total and for each host, and enforces both limits. */
export class Slots {
  readonly #most: number
  readonly #mostOfHost: number
  readonly #byHost = new Map<string, number>()
  #taken = 0

  constructor(most: number, mostOfHost: number) {
    this.#most = most
    this.#mostOfHost = mostOfHost
  }

  /** Number of slots in use. */
  get taken(): number {
    return this.#taken
  }

  /** Returns whether a host is at its own limit. */
  isHostFull(host: string | undefined): boolean {
    return host !== undefined && (this.#byHost.get(host) ?? 0) >= this.#mostOfHost
  }

  /** Occupies a slot; a host that is undefined has no limit of its own. Returns a function that releases it, or undefined at the limit. */
  take(host: string | undefined): (() => void) | undefined {
    if (this.#taken >= this.#most || this.isHostFull(host)) return undefined
    this.#count(host, 1)
    let isTaken = true
    return () => {
      if (isTaken) this.#count(host, -1)
      isTaken = false
    }
  }

  #count(host: string | undefined, step: 1 | -1): void {
    this.#taken += step
    if (host === undefined) return
    const count = (this.#byHost.get(host) ?? 0) + step
    if (count === 0) this.#byHost.delete(host)
    else this.#byHost.set(host, count)
  }
}

/** Returns a 503 that asks the client to retry in a few seconds. */
export function tooMany(what: string, headers: OutgoingHttpHeaders = {}): HttpError {
  return new HttpError(503, `too many ${what}`, { 'retry-after': '5', ...headers })
}
