/**
 * - choked: gets nothing
 * - regular, optimistic: interested, unchoked, each in one of the places
 * - extra: unchoked without a place, because it is not interested but gives us more than the slowest regular peer
 * - idle: unchoked without a place, because it lost interest while it held one
 */
export type Standing = 'choked' | 'regular' | 'optimistic' | 'extra' | 'idle'

/** What a choker knows of a peer. */
export interface Peer {
  readonly id: number
  readonly connectedAt: number
  standing: Standing
  /** It wants something of us and will download. */
  interested: boolean
  asked: boolean
  uploadOnly: boolean
  snubbed: boolean
  /** When the last change between choked and not choked was. */
  changedAt: number
  /** Bytes sent in this turn. */
  sent: number
  download: number
  upload: number
  /** It takes and gives next to nothing. */
  takes: boolean
  gives: boolean
  tie: number
}

/** Peers by what they give us now, best first (BEP 3). */
export function byGiving(peers: readonly Peer[]): Peer[] {
  return [...peers].sort((a, b) => b.download - a.download || byStability(a, b))
}

/** Who is served stays served; chance decides between the others. */
export function byStability(a: Peer, b: Peer): number {
  return Number(a.standing === 'choked') - Number(b.standing === 'choked') || a.tie - b.tie
}
