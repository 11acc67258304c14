import { canonicalHost, hostBytes, type PeerAddress } from '../util/address.ts'
import { hostKey, scopeOf } from './address-scope.ts'
import { peerPriority } from './peer-priority.ts'

/** Number of reports kept, the latest ones. */
const mostReports = 64
/** Kind of source that reports our address: a peer, a tracker (BEP 24), or the DHT, where several nodes have agreed. */
export type Witness = 'peer' | 'tracker' | 'dht'
/** Weight of each kind, in peers; the DHT has asked at least five networks. */
const weights: Readonly<Record<Witness, number>> = { peer: 1, tracker: 2, dht: 5 }
/** Minimum total weight of the reports of an address: a single peer may lie, or be behind the same router. */
const minWeight = 2
/** Middle priority, for peers whose priority cannot be computed. */
const unknownPriority = 2 ** 31

interface Report {
  readonly family: 4 | 6
  readonly host: string
  readonly weight: number
}

/** Our public addresses, as far as enough sources agree on them, and the peer priorities that follow (BEP 40). */
export class OwnAddress {
  readonly #port: () => number
  /** Latest report of each source; the newest is last. */
  readonly #reports = new Map<string, Report>()
  readonly #hosts = new Map<4 | 6, string>()
  #version = 0

  constructor(port: () => number) {
    this.#port = port
  }

  /** A number that changes whenever priorities may have changed. */
  get version(): number {
    return this.#version
  }

  /** Records that the port has changed; priorities depend on it. */
  portChanged(): void {
    this.#version++
  }

  /** Returns our public address in this family; undefined while too few sources agree. */
  host(family: 4 | 6): string | undefined {
    return this.#hosts.get(family)
  }

  /**
   * Records our address as a peer or tracker reports it; `by` is its host or name. Reports from local
   * addresses are ignored.
   */
  told(by: string, host: string, witness: Witness = 'peer'): void {
    const scope = scopeOf(by)
    if ((scope !== 'public' && scope !== 'name') || scopeOf(host) !== 'public') return
    const family = familyOf(host)
    const name = `${family} ${witness} ${hostKey(by)}`
    this.#reports.delete(name)
    this.#reports.set(name, { family, host: canonicalHost(host), weight: weights[witness] })
    if (this.#reports.size > mostReports) {
      for (const oldest of this.#reports.keys()) {
        this.#reports.delete(oldest)
        break
      }
    }
    const best = this.#mostReported(family)
    if (best === this.#hosts.get(family) || best === undefined) return
    this.#hosts.set(family, best)
    this.#version++
  }

  /**
   * Returns the priority of a peer (BEP 40), from 0 to 2^32 - 1; the higher comes first. Local peers have
   * 2^32, and so come before all others. Peers whose priority is not known yet have the middle value.
   */
  priority(address: PeerAddress): number {
    const scope = scopeOf(address.host)
    if (scope === 'private' || scope === 'loopback') return 2 ** 32
    if (scope !== 'public') return unknownPriority
    const host = this.#hosts.get(familyOf(address.host))
    return (
      (host === undefined ? undefined : peerPriority({ host, port: this.#port() }, address)) ??
      unknownPriority
    )
  }

  #mostReported(family: 4 | 6): string | undefined {
    const counts = new Map<string, number>()
    for (const { family: of, host, weight } of this.#reports.values()) {
      if (of === family) counts.set(host, (counts.get(host) ?? 0) + weight)
    }
    let best = this.#hosts.get(family)
    let most = best === undefined ? minWeight - 1 : Math.max(counts.get(best) ?? 0, minWeight - 1)
    for (const [host, count] of counts) {
      if (count > most) {
        best = host
        most = count
      }
    }
    return best
  }
}

function familyOf(host: string): 4 | 6 {
  return hostBytes(canonicalHost(host))?.length === 4 ? 4 : 6
}
