import { canonicalHost, hostBytes, type PeerAddress } from '../util/address.ts'
import { hostKey, scopeOf } from './address-scope.ts'
import { peerPriority } from './peer-priority.ts'

/** So many of those who told last have a voice. */
const mostVoices = 64
/** Who says how it sees us: a peer, a tracker (BEP 24), or the DHT, whose nodes have agreed. */
export type Witness = 'peer' | 'tracker' | 'dht'
/** Of how many peers each has the voice; the DHT has asked five networks at least. */
const weights: Readonly<Record<Witness, number>> = { peer: 1, tracker: 2, dht: 5 }
/** One peer alone may lie or be behind the same router. */
const fewestVoices = 2
/** Of peers about which nothing can be computed. */
const unknownPriority = 2 ** 31

interface Voice {
  readonly family: 4 | 6
  readonly host: string
  readonly weight: number
}

/** Our public addresses, as far as those who see them agree, and what follows from them for the order of peers (BEP 40). */
export class OwnAddress {
  readonly #port: () => number
  /** Who said which address; the latest last. */
  readonly #voices = new Map<string, Voice>()
  readonly #hosts = new Map<4 | 6, string>()
  #version = 0

  /** Nothing is known yet; `port` tells the port on which we listen. */
  constructor(port: () => number) {
    this.#port = port
  }

  /** Changes whenever priorities may have changed. */
  get version(): number {
    return this.#version
  }

  /** Our public address in this family, or undefined while too few agree. */
  host(family: 4 | 6): string | undefined {
    return this.#hosts.get(family)
  }

  /** Somebody says how he sees us: a peer or a tracker, by its host or name; what neighbours say is nothing. */
  told(by: string, host: string, witness: Witness = 'peer'): void {
    const scope = scopeOf(by)
    if ((scope !== 'public' && scope !== 'name') || scopeOf(host) !== 'public') return
    const family = familyOf(host)
    const name = `${family} ${witness} ${hostKey(by)}`
    this.#voices.delete(name)
    this.#voices.set(name, { family, host: canonicalHost(host), weight: weights[witness] })
    if (this.#voices.size > mostVoices) {
      for (const oldest of this.#voices.keys()) {
        this.#voices.delete(oldest)
        break
      }
    }
    const best = this.#mostSaid(family)
    if (best === this.#hosts.get(family) || best === undefined) return
    this.#hosts.set(family, best)
    this.#version++
  }

  /**
   * The priority of a peer (BEP 40), from 0 to 2^32 - 1: the higher comes first. Peers of the local network come before all others;
   * those about which it cannot be said yet are in the middle.
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

  #mostSaid(family: 4 | 6): string | undefined {
    const counts = new Map<string, number>()
    for (const { family: of, host, weight } of this.#voices.values()) {
      if (of === family) counts.set(host, (counts.get(host) ?? 0) + weight)
    }
    let best = this.#hosts.get(family)
    let most = best === undefined ? fewestVoices - 1 : Math.max(counts.get(best) ?? 0, fewestVoices - 1)
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
