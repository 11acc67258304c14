/**
 * State of a peer in the choking algorithm:
 *
 * - choked: gets nothing
 * - regular, optimistic: interested and unchoked, each in a slot
 * - extra: unchoked without a slot; not interested, but uploads to us faster than the slowest regular peer
 * - idle: unchoked without a slot, because it lost interest while it held one
 */
export type Standing = 'choked' | 'regular' | 'optimistic' | 'extra' | 'idle'

/** A choker's record of a peer. */
export interface Peer {
  readonly id: number
  readonly connectedAt: number
  standing: Standing
  /** Whether the peer is interested and not upload-only. */
  interested: boolean
  /** Whether its last message about interest was `interested`. */
  asked: boolean
  uploadOnly: boolean
  snubbed: boolean
  /** When the peer was last choked or unchoked. */
  changedAt: number
  /** Bytes sent since the last unchoke. */
  sent: number
  download: number
  upload: number
  /** `takes`: downloads from us and uploads next to nothing. `gives`: has uploaded at least one byte to us. */
  takes: boolean
  gives: boolean
  tie: number
}

/** Returns the peers by their upload rate to us, fastest first (BEP 3). */
export function byGiving(peers: readonly Peer[]): Peer[] {
  return [...peers].sort((a, b) => b.download - a.download || byStability(a, b))
}

/** Compares two peers: unchoked before choked, to avoid needless changes; random among equals. */
export function byStability(a: Peer, b: Peer): number {
  return Number(a.standing === 'choked') - Number(b.standing === 'choked') || a.tie - b.tie
}
