import { formatAddress, type PeerAddress } from '../util/address.ts'
import { cpuShare } from '../util/cpu-share.ts'
import { HandlingBudget } from './handling-budget.ts'
import { limits } from './limits.ts'
import { limits as mseLimits } from './mse/limits.ts'

/** The budgets of this process. */
const ownBudget = new HandlingBudget(limits.handling)
const sharedBudget = new HandlingBudget(limits.sharedHandling)

/** Whether many peers may share a host: local programs, and everything that a local proxy or tunnel forwards. */
function isShared(host: string): boolean {
  return host === '127.0.0.1' || host === '::1'
}

/** Returns the budget in which the messages of a host are counted. */
export function handlingBudgetOf(host: string): HandlingBudget {
  return isShared(host) ? sharedBudget : ownBudget
}

/**
 * Returns whether to close a connection as soon as it is accepted, because its host used too much CPU. Counts the connection, except on a
 * shared host, where only connections that send a handshake count.
 */
export function refusesConnection(host: string): boolean {
  if (handlingBudgetOf(host).refuses(host)) return true
  if (!isShared(host)) ownBudget.add(host, limits.acceptedMs)
  return false
}

/** Counts a key exchange (MSE) against a host, unless the host is shared: the client limits all exchanges together. */
export function countKeyExchange(host: string): void {
  if (!isShared(host)) ownBudget.add(host, mseLimits.exchangeMs)
}

/**
 * Counts the CPU that the messages of one connection cost. Connections of a host share one account. On a shared host (a loopback address) each
 * connection has its own account while it is open, which is added to the host's when it closes: so honest peers behind a proxy do not pay for
 * others, and reconnecting does not reset the count.
 */
export class HandlingAccount {
  readonly #host: string
  readonly #budget: HandlingBudget
  #key: string

  /** Creates the account of a connection from `remote`; `host` is the address, or the /64 in IPv6. */
  constructor(host: string, remote: PeerAddress) {
    this.#host = host
    this.#budget = handlingBudgetOf(host)
    this.#key = isShared(host) ? formatAddress({ host, port: remote.port }) : host
  }

  /** Milliseconds that a new connection of the host has to wait; `Infinity` to close it. */
  get waitMs(): number {
    return this.#budget.waitOf(this.#host)
  }

  /** Counts an incoming handshake. */
  incoming(): void {
    this.add(limits.handshakeMs + (isShared(this.#host) ? limits.acceptedMs : 0))
  }

  /** Counts milliseconds of CPU. Returns the milliseconds that the connection has to wait; `Infinity` to close it. */
  add(ms: number): number {
    return this.#budget.add(this.#key, ms)
  }

  /** Counts elapsed milliseconds by the estimated CPU time in them, plus the overhead of messages. Returns what `add` returns. */
  addTime(ms: number): number {
    return this.add(cpuShare.of(ms) * limits.handlingOverhead)
  }

  /** Adds the account to its host's when the connection has closed. */
  end(): void {
    if (this.#key === this.#host) return
    this.#budget.move(this.#key, this.#host)
    this.#key = this.#host
  }
}
