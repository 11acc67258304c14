import type { PeerAddress } from '../util/address.ts'
import { ipScope } from '../util/ip-scope.ts'
import type { Timers } from '../util/timers.ts'
import { limits } from './limits.ts'
import { hostKey } from './node-info.ts'

/** Ticks of 10 seconds in which nodes answered us and no stranger asked: 10 minutes. */
const quietTicks = 60
/** Ticks after which a node that has become read-only lets itself be asked again, for it stands in no table any more: an hour. */
const retryTicks = 360
/** Different nodes that answered us meanwhile; so many know us that one of them would have named us to somebody. */
const nodesAnswered = 50
/** Questions in a row without an answer after which we may be offline, where nobody could ask us. */
const missedOffline = 8
/** How long a router may let in whoever we have sent something to. */
const openMs = 5 * 60_000

/**
 * Whether others can reach a node: whom nobody can is of no use in tables and says so (BEP 43). By itself a node becomes read-only
 * when 50 others have answered it and for 10 minutes nobody asked it anything out of the blue; a question from an address to which
 * it has sent something lately shows nothing, for routers let those in. It goes back when somebody does ask, and tries so every hour.
 * Local addresses count for nothing, so that a small or private network keeps all of its nodes.
 */
export class Reachability {
  readonly #timers: Timers
  readonly #fixed: boolean | undefined
  /** When we have last sent something to a host, the latest last. */
  readonly #sent = new Map<string, number>()
  readonly #answeredBy = new Set<string>()
  #missed = 0
  #quiet = 0
  #readOnly = false

  /** Of a node that is always read-only, never, or decides by itself. */
  constructor(timers: Timers, readOnly: boolean | 'auto') {
    this.#timers = timers
    this.#fixed = readOnly === 'auto' ? undefined : readOnly
  }

  /** Whether the node asks and does not answer. */
  get readOnly(): boolean {
    return this.#fixed ?? this.#readOnly
  }

  /** Something was sent there. */
  sent(to: PeerAddress): void {
    if (this.#fixed !== undefined || ipScope(to.host) !== 'global') return
    const key = hostKey(to)
    this.#sent.delete(key)
    this.#sent.set(key, this.#timers.now())
    if (this.#sent.size <= limits.countedAddresses) return
    for (const oldest of this.#sent.keys()) {
      this.#sent.delete(oldest)
      break
    }
  }

  /** A question of ours was answered from there. */
  answered(from: PeerAddress): void {
    this.#missed = 0
    if (this.#fixed !== undefined || ipScope(from.host) !== 'global') return
    if (this.#answeredBy.size < nodesAnswered) this.#answeredBy.add(hostKey(from))
  }

  /** A question of ours was not answered. */
  missed(): void {
    this.#missed++
  }

  /** Somebody asks us something. */
  asked(from: PeerAddress): void {
    if (this.#fixed !== undefined || ipScope(from.host) !== 'global') return
    const sentMs = this.#sent.get(hostKey(from))
    if (sentMs === undefined || this.#timers.now() - sentMs >= openMs) this.#begin()
  }

  /** To be called every 10 seconds; a machine that slept has not been quiet meanwhile. */
  tick(): void {
    if (this.#fixed !== undefined) return
    if (this.#readOnly) {
      if (++this.#quiet >= retryTicks) this.#begin()
      return
    }
    if (this.#answeredBy.size > 0 && this.#missed < missedOffline) this.#quiet++
    if (this.#quiet < quietTicks || this.#answeredBy.size < nodesAnswered) return
    this.#readOnly = true
    this.#quiet = 0
  }

  #begin(): void {
    this.#readOnly = false
    this.#quiet = 0
    this.#answeredBy.clear()
  }
}
