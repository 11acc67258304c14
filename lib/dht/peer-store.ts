import { formatCompact, hostBytes, type PeerAddress } from '../util/address.ts'
import { fromHex, toHex } from '../util/bytes.ts'
import type { Timers } from '../util/timers.ts'
import { BloomFilter } from './bloom-filter.ts'
import { limits } from './limits.ts'
import type { RandomBytes } from './node-id.ts'
import { partyKey } from './node-info.ts'

interface StoredPeer {
  readonly compact: Uint8Array
  readonly host: string
  readonly seed: boolean
  readonly expiresMs: number
}

/** Content of a response to `sample_infohashes` (BEP 51). */
export interface InfoHashSample {
  /** Concatenated info hashes, 20 bytes each. */
  readonly samples: Uint8Array
  /** Total number of info hashes. */
  readonly count: number
  /** Seconds until another sample is drawn. */
  readonly intervalSeconds: number
}

const sampleMs = 5 * 60_000

/**
 * Peers that were announced to us. They expire after 30 minutes. An IP address has one entry per info hash (BEP 33), and an IPv6 /64 has
 * at most 4. The number of entries is limited per info hash and in all; the least recently announced are evicted. The cost of each
 * operation depends only on the entries that it touches.
 */
export class PeerStore {
  readonly #timers: Timers
  readonly #random: RandomBytes
  /** Peers by info hash and entry key; both maps are ordered by the last announce. */
  readonly #torrents = new Map<string, Map<string, StoredPeer>>()
  #size = 0
  #sample: { bytes: Uint8Array; drawnMs: number } | undefined

  constructor(timers: Timers, random: RandomBytes) {
    this.#timers = timers
    this.#random = random
  }

  /** Number of peers, including expired ones that were not dropped yet. */
  get size(): number {
    return this.#size
  }

  /** Number of info hashes, including those of expired peers that were not dropped yet. */
  get infoHashes(): number {
    return this.#torrents.size
  }

  /** Adds or renews a peer; `seed` is that of BEP 33. */
  add(infoHash: Uint8Array, peer: PeerAddress, seed: boolean): void {
    const compact = formatCompact(peer)
    if (compact === undefined) return
    const key = toHex(infoHash)
    const peers = this.#torrents.get(key) ?? new Map<string, StoredPeer>()
    this.#torrents.delete(key)
    this.#torrents.set(key, peers)
    const entryKey = entryKeyOf(peer)
    if (peers.delete(entryKey)) this.#size--
    const expiresMs = this.#timers.now() + limits.peerMs
    peers.set(entryKey, { compact, host: peer.host, seed, expiresMs })
    this.#size++
    if (peers.size > limits.peersPerInfoHash) this.#dropOldest(key, peers)
    for (const [oldest, others] of this.#torrents) {
      if (this.#torrents.size <= limits.infoHashes && this.#size <= limits.peers) break
      this.#torrents.delete(oldest)
      this.#size -= others.size
    }
  }

  /** Returns at most `count` peers in compact form, from a random position on. With `noSeeds`, leaves out seeds (BEP 33). */
  compact(infoHash: Uint8Array, count: number, noSeeds = false): Uint8Array[] {
    const peers = [...(this.#live(infoHash)?.values() ?? [])]
    const wanted = noSeeds ? peers.filter(({ seed }) => !seed) : peers
    const [a = 0, b = 0] = wanted.length > count ? this.#random(2) : []
    const start = ((a << 8) | b) % Math.max(1, wanted.length)
    return [...wanted.slice(start), ...wanted.slice(0, start)].slice(0, count).map(({ compact }) => compact)
  }

  /** Returns Bloom filters of all seeds and of all other peers (BEP 33), or undefined if there are no peers. */
  filters(infoHash: Uint8Array): { seeds: BloomFilter; peers: BloomFilter } | undefined {
    const stored = this.#live(infoHash)
    if (stored === undefined) return undefined
    const filters = { seeds: new BloomFilter(), peers: new BloomFilter() }
    for (const { host, seed } of stored.values()) (seed ? filters.seeds : filters.peers).add(host)
    return filters
  }

  /** Returns a random sample of the info hashes, which stays the same for 5 minutes (BEP 51). */
  sample(): InfoHashSample {
    const now = this.#timers.now()
    if (this.#sample === undefined || now - this.#sample.drawnMs >= sampleMs) {
      this.expire()
      const keys = [...this.#torrents.keys()]
      const count = Math.min(limits.samples, keys.length)
      for (let n = 0; n < count; n++) {
        const [a = 0, b = 0] = this.#random(2)
        const other = n + (((a << 8) | b) % (keys.length - n))
        const [one = '', two = ''] = [keys[n], keys[other]]
        keys[n] = two
        keys[other] = one
      }
      const bytes = Buffer.concat(keys.slice(0, count).map((key) => fromHex(key) ?? new Uint8Array()))
      this.#sample = { bytes: new Uint8Array(bytes), drawnMs: now }
    }
    const intervalSeconds = Math.ceil((this.#sample.drawnMs + sampleMs - now) / 1000)
    return { samples: this.#sample.bytes, count: this.#torrents.size, intervalSeconds }
  }

  /** Drops all expired peers. */
  expire(): void {
    for (const key of [...this.#torrents.keys()]) this.#expireOne(key)
  }

  #live(infoHash: Uint8Array): Map<string, StoredPeer> | undefined {
    return this.#expireOne(toHex(infoHash))
  }

  #expireOne(key: string): Map<string, StoredPeer> | undefined {
    const peers = this.#torrents.get(key)
    if (peers === undefined) return undefined
    const now = this.#timers.now()
    for (const { expiresMs } of peers.values()) {
      if (expiresMs > now) return peers
      this.#dropOldest(key, peers)
    }
    return undefined
  }

  #dropOldest(key: string, peers: Map<string, StoredPeer>): void {
    for (const entryKey of peers.keys()) {
      peers.delete(entryKey)
      this.#size--
      break
    }
    if (peers.size === 0) this.#torrents.delete(key)
  }
}

/** Returns the entry key of an address. An IPv6 /64 has a few keys, so that it holds several hosts but its owner cannot fill the store. */
function entryKeyOf(peer: PeerAddress): string {
  const party = partyKey(peer)
  const last = peer.host.includes(':') ? hostBytes(peer.host)?.at(-1) : undefined
  return last === undefined ? party : `${party} ${last % limits.peersPerParty}`
}
