import { type PeerAddress, parseCompact } from '../util/address.ts'
import { isBytes } from '../util/bytes.ts'
import { notify } from '../util/user-code.ts'
import { limits } from './limits.ts'
import { isPlausible, type LookupAnswer } from './lookup.ts'
import { addressKey, type NodeInfo } from './node-info.ts'

/** The peers in an answer to get_peers. */
export function* peersOf(values: LookupAnswer['values'], from: NodeInfo): Generator<PeerAddress> {
  for (const value of (values.list('values') ?? []).slice(0, limits.peersPerAnswer)) {
    if (!isBytes(value) || (value.length !== 6 && value.length !== 18)) continue
    const [peer] = parseCompact(value, value.length === 6 ? 4 : 6)
    if (peer !== undefined && isPlausible(peer, from)) yield peer
  }
}

/** Passes each peer on once, up to a limit. */
export class PeerFilter {
  readonly #seen = new Set<string>()
  readonly #onPeer: (peer: PeerAddress) => void

  /** Tells each peer to `onPeer`. */
  constructor(onPeer: (peer: PeerAddress) => void = () => {}) {
    this.#onPeer = onPeer
  }

  /** Takes the peers of an answer. */
  add({ node, values }: LookupAnswer): void {
    for (const peer of peersOf(values, node)) this.#take(peer)
  }

  /** Takes peers that were announced to ourselves, in compact form: we are a node like others. */
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
