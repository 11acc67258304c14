import { type PeerAddress, parseCompact } from '../util/address.ts'
import { isBytes } from '../util/bytes.ts'
import { notify } from '../util/user-code.ts'
import { limits } from './limits.ts'
import { isPlausible, type LookupAnswer } from './lookup.ts'
import { addressKey, type NodeInfo } from './node-info.ts'

/** Yields the peers in a response to get_peers. Skips local addresses from remote nodes. */
export function* peersOf(values: LookupAnswer['values'], from: NodeInfo): Generator<PeerAddress> {
  for (const value of (values.list('values') ?? []).slice(0, limits.peersPerAnswer)) {
    if (!isBytes(value) || (value.length !== 6 && value.length !== 18)) continue
    const [peer] = parseCompact(value, value.length === 6 ? 4 : 6)
    if (peer !== undefined && isPlausible(peer, from)) yield peer
  }
}

/** Reports each distinct peer once, up to a limit. */
export class PeerFilter {
  readonly #seen = new Set<string>()
  readonly #onPeer: (peer: PeerAddress) => void

  /** Creates a filter that calls `onPeer` for each new peer. */
  constructor(onPeer: (peer: PeerAddress) => void = () => {}) {
    this.#onPeer = onPeer
  }

  /** Adds the peers of a response. */
  add({ node, values }: LookupAnswer): void {
    for (const peer of peersOf(values, node)) this.#take(peer)
  }

  /** Adds peers that were announced to our own node, in compact form. */
  addStored(compact: readonly Uint8Array[], family: 4 | 6): void {
    for (const bytes of compact) for (const peer of parseCompact(bytes, family)) this.#take(peer)
  }

  #take(peer: PeerAddress): void {
    const key = addressKey(peer)
    if (this.#seen.has(key) || this.#seen.size >= limits.peersPerLookup) return
    this.#seen.add(key)
    notify(this.#onPeer, peer)
  }
}
