import type { OutgoingHttpHeaders } from 'node:http'
import { HttpError } from './respond.ts'

/** Counts what is open, in all and for each host, and refuses what is too much. */
export class Slots {
  readonly #most: number
  readonly #mostOfHost: number
  readonly #byHost = new Map<string, number>()
  #taken = 0

  constructor(most: number, mostOfHost: number) {
    this.#most = most
    this.#mostOfHost = mostOfHost
  }

  /** How many are open. */
  get taken(): number {
    return this.#taken
  }

  /** Whether a host has as many as it may, while others may have more. */
  isHostFull(host: string | undefined): boolean {
    return host !== undefined && (this.#byHost.get(host) ?? 0) >= this.#mostOfHost
  }

  /** Counts one more for a host; an undefined one has no limit of its own. Returns what takes it back, or undefined when it is too much. */
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

/** 503: the client may try again in a few seconds. */
export function tooMany(what: string, headers: OutgoingHttpHeaders = {}): HttpError {
  return new HttpError(503, `too many ${what}`, { 'retry-after': '5', ...headers })
}
