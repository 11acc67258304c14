import { blockState, type PartialPiece } from '../pieces/partial-piece.ts'
import { blockLength } from '../util/block-length.ts'
import { debug } from '../util/debug.ts'
import type { DownloadState } from './download-state.ts'
import type { PeerState } from './peer-state.ts'
import type { UrgentPiece } from './windows.ts'

const log = debug('late')

/** Maximum number of blocks that one plan looks at; enough to fill every request queue while streams are hungry. */
const maxBlocks = 1024
/** Number of pieces, earliest deadline first, in which late blocks are looked for. */
const maxRescued = 4
/** Maximum number of peers that a late block is requested from. */
const maxRequesters = 3

/** Number of fastest peers that are always compared. In a larger swarm the others hardly ever deliver a block first. */
const maxFastest = 64
/** Milliseconds after which the fastest peers are determined again. */
const fastestMs = 500
/** Maximum number of ready peers that one plan compares. The next block brings another plan. */
const maxWaiting = 512

/** Maximum number of late blocks requested from one peer per plan, so that one late peer does not fill the queue of another. */
const maxRescuesEach = 4

/**
 * A block that is not overdue but will miss its deadline may also be requested from a faster peer, if its piece is needed first. It
 * then usually arrives twice, so there is a budget: this fraction of the received blocks, up to `mostSpare` saved up.
 */
const sparePart = 0.005
const mostSpare = 32

interface Runner {
  readonly peer: PeerState
  /** When the next block requested from this peer would arrive. */
  eta: number
  readonly blockMs: number
  room: number
  /** Number of late blocks that may still be requested from it, on top of a full queue. */
  rescues: number
}

/**
 * Assigns the blocks of the windows, in order of deadline, each to the peer that would deliver it first, and requests those
 * that fit into that peer's queue now. A block that a faster peer would deliver earlier waits for that peer, so it neither
 * sits in a slow queue nor overfills a fast one. A late block is also requested from a second peer.
 *
 * Compares only the `ready` peers and the fastest ones, so that a plan costs the same in a swarm of any size.
 */
export class UrgentPlan {
  #fastest: readonly PeerState[] = []
  #fastestAt = Number.NEGATIVE_INFINITY
  readonly #runners: Runner[] = []
  readonly #spare = { blocks: mostSpare }

  /**
   * Sends the requests that are due. `roomOf` returns the free room in a peer's queue. Only `ready` peers are asked, or, with
   * `everyone`, all that are compared.
   */
  run(
    state: DownloadState,
    urgent: readonly UrgentPiece[],
    roomOf: (peer: PeerState) => number,
    everyone: boolean,
    now: number
  ): void {
    // Most often all blocks of a window are requested. Then only late blocks matter, which are handled with `everyone`.
    if (!everyone && !hasFree(state, urgent)) return
    const fastest = this.#findFastest(state, now)
    this.#runners.length = 0
    let room = 0
    for (const peer of fastest) {
      const free = everyone || state.readiness.ready.has(peer) ? Math.max(0, roomOf(peer)) : 0
      room += this.#add(peer, free, now)
    }
    let waiting = maxWaiting
    for (const peer of state.readiness.ready) {
      if (peer.isFast) continue
      room += this.#add(peer, Math.max(0, roomOf(peer)), now)
      if (--waiting === 0) break
    }
    state.looked(this.#runners.length)
    if (room > 0 || everyone)
      assign(state, urgent, this.#runners, room, everyone ? this.#spare : undefined, now)
  }

  /** Adds to the budget of duplicate requests, because a wanted block arrived. */
  earn(): void {
    if (this.#spare.blocks < mostSpare) this.#spare.blocks += sparePart
  }

  #add(peer: PeerState, room: number, now: number): number {
    if (!peer.interested || !peer.servesAny) return 0
    const eta = peer.etaOfNext(blockLength, now)
    this.#runners.push({
      peer,
      eta,
      blockMs: blockLength / peer.link.bytesPerMs,
      room,
      rescues: maxRescuesEach
    })
    return room
  }

  #findFastest(state: DownloadState, now: number): readonly PeerState[] {
    const few = state.peers.size <= maxFastest
    const stale = state.readiness.peersChanged && (few || this.#fastest.length < maxFastest)
    if (!stale && now < this.#fastestAt + fastestMs) return this.#fastest
    state.readiness.peersChanged = false
    this.#fastestAt = now
    state.looked(state.peers.size)
    const best = fastestOf(state.peers.values(), maxFastest)
    for (const peer of this.#fastest) peer.isFast = false
    this.#fastest = best
    for (const peer of this.#fastest) peer.isFast = true
    return this.#fastest
  }
}

/** Returns up to `most` of the fastest peers that would send blocks, in one pass without sorting all peers. */
function fastestOf(peers: Iterable<PeerState>, most: number): PeerState[] {
  const best: PeerState[] = []
  let sorted = false
  for (const peer of peers) {
    if (!peer.interested || !peer.servesAny) continue
    if (best.length < most) {
      best.push(peer)
      continue
    }
    if (!sorted) best.sort((a, b) => (isFaster(a, b) ? -1 : 1))
    sorted = true
    let at = most
    for (let above = best[at - 1]; above !== undefined && isFaster(peer, above); above = best[at - 1]) {
      if (at < most) best[at] = above
      at--
    }
    if (at < most) best[at] = peer
  }
  return best
}

function isFaster(a: PeerState, b: PeerState): boolean {
  const more = a.link.bytesPerMs - b.link.bytesPerMs
  return more > 0 || (more === 0 && a.id < b.id)
}

function hasFree(state: DownloadState, urgent: readonly UrgentPiece[]): boolean {
  for (const { piece } of urgent) if (state.partials.get(piece)?.free !== 0) return true
  return false
}

function assign(
  state: DownloadState,
  urgent: readonly UrgentPiece[],
  runners: readonly Runner[],
  totalRoom: number,
  spare: { blocks: number } | undefined,
  now: number
): void {
  let room = totalRoom
  let looked = 0
  for (const [rank, { piece, deadline }] of urgent.entries()) {
    if ((room === 0 && !(spare !== undefined && rank < maxRescued)) || looked > maxBlocks) return
    let partial = state.partials.get(piece)
    const rescues = spare !== undefined && rank < maxRescued
    if (partial !== undefined && (partial.complete || (partial.free === 0 && !rescues))) continue
    state.looked(runners.length)
    let able = ableTo(runners, piece, partial)
    if (able.length === 0) continue
    const blockCount = state.layout.blockCount(piece)
    const avoided = state.avoided.get(piece)
    for (let block = 0; room > 0; block++) {
      block = partial === undefined ? block : partial.nextFree(block)
      if (block < 0 || block >= blockCount) break
      if (++looked > maxBlocks) return
      state.looked(able.length)
      const best = fastest(able, avoided?.[block])
      if (best === undefined) break
      if (best.room > 0) {
        if (partial === undefined) {
          partial = state.begin(piece, true)
          // Without memory, continues with later pieces that already have some; once complete, they release it.
          if (partial === undefined) break
          if (best.peer.discredited) {
            partial.soleOwner = best.peer.id
            able = [best]
          }
          // Blocks that are in storage are not requested.
          block = partial.nextFree(block)
          if (block < 0) break
        }
        if (!state.mayAsk(partial, true)) break
        state.request(best.peer, partial, block, now)
        best.room--
        room--
      }
      best.eta += best.blockMs
    }
    if (!rescues || partial === undefined) continue
    for (let block = 0; block < blockCount; block++) {
      if (partial.states[block] === blockState.requested)
        rescue(state, partial, block, able, rank === 0 ? spare : undefined, deadline, now)
    }
  }
}

/**
 * Returns the peers that may be asked for a piece: those that serve it and are neither snubbed nor discredited. The piece then
 * loses its sole owner, because a reader needs it. If there are none: the sole owner if it serves the piece, else all that do.
 */
function ableTo(
  runners: readonly Runner[],
  piece: number,
  partial: PartialPiece | undefined
): readonly Runner[] {
  let trusted = 0
  for (const { peer } of runners) if (!peer.discredited && !peer.snubbed && peer.serves(piece)) trusted++
  if (trusted > 0) {
    if (partial !== undefined) partial.soleOwner = -1
    if (trusted === runners.length) return runners
    return runners.filter(({ peer }) => !peer.discredited && !peer.snubbed && peer.serves(piece))
  }
  const able = runners.filter(({ peer }) => peer.serves(piece))
  const owner = able.filter(({ peer }) => peer.id === partial?.soleOwner)
  return owner.length > 0 ? owner : able
}

/** Returns the peer that would deliver a block first. The peer `except` is chosen only if it is the only one. */
function fastest(runners: readonly Runner[], except?: number): Runner | undefined {
  let best: Runner | undefined
  let avoided: Runner | undefined
  for (const runner of runners) {
    if (runner.peer.id === except) avoided = runner
    else if (best === undefined || runner.eta < best.eta) best = runner
  }
  return best ?? avoided
}

/** Returns the peer that would deliver a late block first, among peers that have delivered before and are not asked for it. */
function rescuer(runners: readonly Runner[], piece: number, block: number, key: number): Runner | undefined {
  let best: Runner | undefined
  for (const runner of runners) {
    if (runner.rescues <= 0 || (best !== undefined && runner.eta >= best.eta)) continue
    const { peer } = runner
    // Requests that this plan has just sent count as well.
    if (peer.outstanding.length >= peer.maxRequests) continue
    // A peer whose request for the block was cancelled is not asked again.
    if (
      peer.link.samples > 0 &&
      !peer.discredited &&
      !peer.wasCancelled(key) &&
      peer.indexOf(piece, block) < 0
    )
      best = runner
  }
  return best
}

/** Requests a late block from a second peer if that gains enough. */
function rescue(
  state: DownloadState,
  partial: PartialPiece,
  block: number,
  able: readonly Runner[],
  spare: { blocks: number } | undefined,
  deadline: number,
  now: number
): void {
  const owner = state.peers.get(partial.by[block] ?? -1)
  if (owner === undefined || state.requesters(partial, block) >= maxRequesters) return
  const index = owner.indexOf(partial.piece, block)
  const request = owner.outstanding.at(index)
  if (request === undefined) return
  const { link } = owner
  // Latency varies in proportion to its length. A peer that has never delivered gets no such tolerance.
  const late = link.overdueMs(now) > (link.samples === 0 ? 0 : 30 + link.latencyMs / 4)
  // A block that is expected by its deadline stays with its peer, however slow the peer is.
  const ownerEta = owner.etaOf(index, now)
  const age = now - request.sentAt
  if (ownerEta <= deadline || age < Math.max(30, link.latencyMs)) return
  const best = rescuer(able, partial.piece, block, state.key(partial.piece, block))
  if (best === undefined) return
  const bestMs = best.eta - now
  // A block that the owner has not begun to send can be cancelled there, which costs nothing.
  const begunBy = ownerEta - request.bytes / link.bytesPerMs - link.latencyMs
  if (begunBy > now && spare !== undefined && bestMs * 1.2 + 30 < ownerEta - now) {
    state.cancel(owner, index, now)
    ask(state, partial, block, best, now)
    if (log.enabled) logRescue('cancelled at', owner, partial, block, best, now)
    return
  }
  if (!late && (spare === undefined || spare.blocks < 1)) return
  if ((late ? bestMs * 1.5 + 30 : bestMs * 2 + 100) >= ownerEta - now) return
  if (!late && spare !== undefined) spare.blocks--
  ask(state, partial, block, best, now)
  if (log.enabled) logRescue(late ? 'late at' : 'slow at', owner, partial, block, best, now)
}

function logRescue(
  why: string,
  owner: PeerState,
  partial: PartialPiece,
  block: number,
  best: Runner,
  now: number
): void {
  const overdue = Math.round(owner.link.overdueMs(now))
  log(
    'piece %d block %d is %s peer %d (%d ms overdue): asked of peer %d',
    partial.piece,
    block,
    why,
    owner.id,
    overdue,
    best.peer.id
  )
}

function ask(state: DownloadState, partial: PartialPiece, block: number, runner: Runner, now: number): void {
  state.request(runner.peer, partial, block, now)
  runner.rescues--
  runner.room--
  runner.eta += runner.blockMs
}
