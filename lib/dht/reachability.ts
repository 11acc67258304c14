import type { PeerAddress } from '../util/address.ts'
import { ipScope } from '../util/ip-scope.ts'
import type { Timers } from '../util/timers.ts'
import { limits } from './limits.ts'
import { nodeHostKey } from './node-info.ts'

/** Ticks of 10 seconds without an unsolicited query, while nodes answer us, after which a node becomes read-only: 10 minutes. */
const quietTicks = 60
/** Ticks after which a read-only node answers queries again, so that routing tables can list it: an hour. */
const retryTicks = 360
/** Distinct nodes that must have answered us meanwhile. With so many, one of them would have referred another node to us. */
const nodesAnswered = 50
/** Consecutive unanswered queries after which we may be offline, so that no query could reach us. */
const missedOffline = 8
/** Time for which a router may let in packets from an address to which we have sent one. */
const openMs = 5 * 60_000

/**
 * Decides whether other nodes can reach us. An unreachable node is useless in routing tables and should be read-only (BEP 43). A node
 * becomes read-only once 50 nodes have answered it and no unsolicited query has arrived for 10 minutes. A query from an address to
 * which we sent something recently does not count, because routers let it in. The state ends with the first unsolicited query, or
 * after an hour, to try again. Local addresses are ignored, so that a small or private network keeps all its nodes.
 */
export class Reachability {
  readonly #timers: Timers
  readonly #fixed: boolean | undefined
  /** When we last sent something to each host, most recent last. */
  readonly #sent = new Map<string, number>()
  readonly #answeredBy = new Set<string>()
  #missed = 0
  #quiet = 0
  #readOnly = false

  /** `readOnly` fixes the state; with `'auto'`, it depends on the queries and replies that arrive. */
  constructor(timers: Timers, readOnly: boolean | 'auto') {
    this.#timers = timers
    this.#fixed = readOnly === 'auto' ? undefined : readOnly
  }

  /** Whether the node sends queries but answers none. */
  get readOnly(): boolean {
    return this.#fixed ?? this.#readOnly
  }

  /** Records a packet that we sent. */
  sent(to: PeerAddress): void {
    if (this.#fixed !== undefined || ipScope(to.host) !== 'global') return
    const key = nodeHostKey(to)
    this.#sent.delete(key)
    this.#sent.set(key, this.#timers.now())
    if (this.#sent.size <= limits.countedAddresses) return
    for (const oldest of this.#sent.keys()) {
      this.#sent.delete(oldest)
      break
    }
  }

  /** Records a reply to a query of ours. */
  answered(from: PeerAddress): void {
    this.#missed = 0
    if (this.#fixed !== undefined || ipScope(from.host) !== 'global') return
    if (this.#answeredBy.size < nodesAnswered) this.#answeredBy.add(nodeHostKey(from))
  }

  /** Records that a query of ours got no reply. */
  missed(): void {
    this.#missed++
  }

  /** Records a query to us. An unsolicited one proves that we are reachable. */
  asked(from: PeerAddress): void {
    if (this.#fixed !== undefined || ipScope(from.host) !== 'global') return
    const sentMs = this.#sent.get(nodeHostKey(from))
    if (sentMs === undefined || this.#timers.now() - sentMs >= openMs) this.#reset()
  }

  /** Counts 10 seconds; must be called at that interval. It counts calls, so that time in which the machine slept is ignored. */
  tick(): void {
    if (this.#fixed !== undefined) return
    if (this.#readOnly) {
      if (++this.#quiet >= retryTicks) this.#reset()
      return
    }
    if (this.#answeredBy.size > 0 && this.#missed < missedOffline) this.#quiet++
    if (this.#quiet < quietTicks || this.#answeredBy.size < nodesAnswered) return
    this.#readOnly = true
    this.#quiet = 0
  }

  #reset(): void {
    this.#readOnly = false
    this.#quiet = 0
    this.#answeredBy.clear()
  }
}
