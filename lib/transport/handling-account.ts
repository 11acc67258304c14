import { formatAddress, type PeerAddress } from '../util/address.ts'
import { cpuShare } from '../util/cpu-share.ts'
import { handlingBudget } from './handling-budget.ts'
import { limits } from './limits.ts'

/** Whether programs on this machine, and all that a proxy or tunnel here forwards, come from a host. */
function isShared(host: string): boolean {
  return host === '127.0.0.1' || host === '::1'
}

/**
 * Whether a connection of a host is refused as soon as it is accepted: the host has used too much. Where peers share the host, one that
 * connects and says nothing is no reason to refuse others.
 */
export function refusesConnection(host: string): boolean {
  if (handlingBudget.refuses(host)) return true
  if (!isShared(host)) handlingBudget.add(host, limits.acceptedMs)
  return false
}

/**
 * The cost of the messages of one connection. Connections of a host share one account. Only programs on this machine, and all that a
 * proxy or tunnel here forwards, come from the same loopback address: there each connection has an account of its own while it lives,
 * and what it has used is the host's once it has ended. So honest peers behind a proxy do not pay for others, and none escapes by
 * connecting anew.
 */
export class HandlingAccount {
  readonly #host: string
  #key: string

  /** An account of a connection from `remote`, whose host is called `host`. */
  constructor(host: string, remote: PeerAddress) {
    this.#host = host
    this.#key = isShared(host) ? formatAddress({ host, port: remote.port }) : host
  }

  /** How long a new connection of the host is to wait, in milliseconds; `Infinity` when it is closed. */
  get waitMs(): number {
    return handlingBudget.waitOf(this.#host)
  }

  /** Counts that the peer has dialled us and sent its handshake. */
  incoming(): void {
    this.add(limits.greetedMs + (isShared(this.#host) ? limits.acceptedMs : 0))
  }

  /** Counts milliseconds of CPU. Returns how long the connection is to wait, in milliseconds; `Infinity` to close it. */
  add(ms: number): number {
    return handlingBudget.add(this.#key, ms)
  }

  /** Counts milliseconds that something took, as far as this program had a processor. Returns the same. */
  addTime(ms: number): number {
    return this.add(cpuShare.of(ms) * limits.handlingOverhead)
  }

  /** The connection has ended. */
  end(): void {
    if (this.#key === this.#host) return
    handlingBudget.move(this.#key, this.#host)
    this.#key = this.#host
  }
}
