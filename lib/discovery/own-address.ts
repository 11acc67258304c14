import { canonicalHost, hostBytes, type PeerAddress } from '../util/address.ts'
import { scopeOf } from './address-scope.ts'
import { peerPriority } from './peer-priority.ts'

/** So many of those who told last have a voice. */
const mostVoices = 64
/** One alone may lie or be behind the same router. */
const fewestVoices = 2
/** Of peers about which nothing can be computed. */
const unknownPriority = 2 ** 31

/** Our public addresses, as far as peers that see them agree, and what follows from them for the order of peers (BEP 40). */
export class OwnAddress {
  readonly #port: () => number
  /** Who said which address; the latest last. */
  readonly #voices = new Map<string, string>()
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

  /** A peer says how it sees us. */
  told(by: string, host: string): void {
    const informant = scopeOf(by)
    if (informant !== 'public' || scopeOf(host) !== 'public') return
    const family = familyOf(host)
    const voice = `${family} ${canonicalHost(by)}`
    this.#voices.delete(voice)
    this.#voices.set(voice, canonicalHost(host))
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
    for (const [voice, host] of this.#voices) {
      if (voice.startsWith(`${family} `)) counts.set(host, (counts.get(host) ?? 0) + 1)
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
