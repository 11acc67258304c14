import type { TorrentStatus } from './run-state.ts'

/** Input of {@link whyNotRequesting}. */
export interface RequestFacts {
  readonly status: TorrentStatus
  /** The reason for the status, as a sentence. */
  readonly why: string
  /** Missing pieces that are wanted. */
  readonly wanted: number
  /** Unchecked pieces: they are hashed first, and requested only if they are wrong. */
  readonly unchecked: number
  readonly outstanding: number
  /** Whether a file or range is selected. */
  readonly isSelected: boolean
  /** Whether a download limit is 0. */
  readonly isLimited: boolean
  readonly peers: readonly {
    readonly peerChoking: boolean
    /** Whether the peer has a wanted piece. */
    readonly amInterested: boolean
    readonly snubbed: boolean
  }[]
  /** Number of addresses that are being dialled or may be dialled later. */
  readonly candidates: number
  readonly isMemoryShort: boolean
  /** Whether so many pieces wait to be written that no more pieces of the selection are started. */
  readonly isStorageBehind: boolean
  readonly queuedWrites: number
}

const stopped: ReadonlySet<TorrentStatus> = new Set([
  'metadata',
  'queued',
  'finished',
  'paused',
  'error',
  'closed'
])

/** Returns why no block is requested: at most four sentences, the most likely first. Empty while requests are outstanding. */
export function whyNotRequesting(facts: RequestFacts): string[] {
  const { status, why, wanted, unchecked, outstanding, isSelected, isLimited } = facts
  if (outstanding > 0) return []
  if (stopped.has(status)) return [why]
  const reasons: string[] = []
  if (isLimited) reasons.push('The download limit is 0.')
  if (unchecked > 0) reasons.push(`Existing data is checked first: ${count(unchecked, 'piece')} to go.`)
  if (wanted > 0) return [...reasons, ...ofPeers(facts), ...ofMemory(facts)].slice(0, 4)
  if (unchecked > 0) return reasons
  if (status === 'seeding') reasons.push('Nothing selected is missing.')
  else if (!isSelected) reasons.push('Nothing is selected, and no open stream needs missing bytes.')
  else reasons.push('No piece can be requested yet: pieces are being checked or written to storage.')
  return reasons
}

function ofPeers({ peers, candidates, isLimited, isMemoryShort, isStorageBehind }: RequestFacts): string[] {
  if (peers.length === 0) {
    const next = candidates === 0 ? 'no address is known' : `${count(candidates, 'address', 'es')} to dial`
    return [`No peer is connected; ${next}.`]
  }
  const interesting = peers.filter(({ amInterested }) => amInterested)
  if (interesting.length === 0) return ['No connected peer has a piece that is wanted.']
  const open = interesting.filter(({ peerChoking }) => !peerChoking)
  if (open.length === 0) {
    if (interesting.length < peers.length) return ['All peers that have wanted pieces choke us.']
    return [
      peers.length === 1
        ? 'The only connected peer chokes us.'
        : `All ${peers.length} connected peers choke us.`
    ]
  }
  if (open.every(({ snubbed }) => snubbed))
    return ['Peers that do not choke us are snubbed: they have not sent requested blocks for too long.']
  return isLimited || isMemoryShort || isStorageBehind
    ? []
    : ['Peers have rejected requests for the wanted pieces, or requests are about to be sent.']
}

function ofMemory({ isMemoryShort, isStorageBehind, queuedWrites }: RequestFacts): string[] {
  if (isStorageBehind) return [`Storage is behind: ${count(queuedWrites, 'piece')} to write.`]
  if (!isMemoryShort) return []
  if (queuedWrites > 0)
    return [`Storage is behind: ${count(queuedWrites, 'piece')} to write, and memory is short until then.`]
  return ['Memory is short: other pieces or torrents use up the budget (memoryLimit).']
}

function count(number: number, noun: string, plural = 's'): string {
  return `${number} ${noun}${number === 1 ? '' : plural}`
}
