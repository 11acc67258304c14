import { formatAddress, type PeerAddress } from '../util/address.ts'
import { cpuShare } from '../util/cpu-share.ts'
import { handlingBudget } from './handling-budget.ts'
import { limits } from './limits.ts'

/** Whether many peers may share a host: local programs, and everything that a local proxy or tunnel forwards. */
function isShared(host: string): boolean {
  return host === '127.0.0.1' || host === '::1'
}

/**
 * Returns whether to close a connection as soon as it is accepted, because its host used too much CPU. Counts the connection, except on a
 * shared host, where only connections that send a handshake count.
 */
export function refusesConnection(host: string): boolean {
  if (handlingBudget.refuses(host)) return true
  if (!isShared(host)) handlingBudget.add(host, limits.acceptedMs)
  return false
}

/**
 * Counts the CPU that the messages of one connection cost. Connections of a host share one account. On a shared host (a loopback address) each
 * connection has its own account while it is open, which is added to the host's when it closes: so honest peers behind a proxy do not pay for
 * others, and reconnecting does not reset the count.
 */
export class HandlingAccount {
  readonly #host: string
  #key: string

  /** Creates the account of a connection from `remote`; `host` is the address, or the /64 in IPv6. */
  constructor(host: string, remote: PeerAddress) {
    this.#host = host
    this.#key = isShared(host) ? formatAddress({ host, port: remote.port }) : host
  }

  /** Milliseconds that a new connection of the host has to wait; `Infinity` to close it. */
  get waitMs(): number {
    return handlingBudget.waitOf(this.#host)
  }

  /** Counts an incoming handshake. */
  incoming(): void {
    this.add(limits.greetedMs + (isShared(this.#host) ? limits.acceptedMs : 0))
  }

  /** Counts milliseconds of CPU. Returns the milliseconds that the connection has to wait; `Infinity` to close it. */
  add(ms: number): number {
    return handlingBudget.add(this.#key, ms)
  }

  /** Counts elapsed milliseconds by the estimated CPU time in them, plus the overhead of messages. Returns what `add` returns. */
  addTime(ms: number): number {
    return this.add(cpuShare.of(ms) * limits.handlingOverhead)
  }

  /** Adds the account to its host's when the connection has closed. */
  end(): void {
    if (this.#key === this.#host) return
    handlingBudget.move(this.#key, this.#host)
    this.#key = this.#host
  }
}
