import { blockState, type PartialPiece } from '../pieces/partial-piece.ts'
import { blockLength } from '../util/block-length.ts'
import { debug } from '../util/debug.ts'
import type { DownloadState } from './download-state.ts'
import type { PeerState } from './peer-state.ts'
import type { UrgentPiece } from './windows.ts'

const log = debug('late')

/** How far one plan looks, in blocks; enough to fill every pipeline while windows are hungry. */
const maxBlocks = 1024
/** Late blocks are looked for in this many pieces, those that are needed first. */
const maxRescued = 4
/** A late block may have this many requesters. */
const maxRequesters = 3

/** So many of the fastest peers are always compared with: in a larger swarm the others hardly ever bring a block first. */
const maxFastest = 64
/** How long those are believed to be the fastest. */
const fastestMs = 500
/** More peers than this that wait for work are not compared with each other: a second plan follows with the next block. */
const maxWaiting = 512

/** Late blocks that one peer may be asked for at a time, so that one late peer does not fill the pipeline of another. */
const maxRescuesEach = 4

/**
 * A block that a slow peer will bring as foreseen may be asked of a faster one where a reader waits for its piece. Most often it then
 * comes twice, so there is a budget: this part of what came, and so many blocks at most at a time.
 */
const sparePart = 0.005
const mostSpare = 32

interface Runner {
  readonly peer: PeerState
  /** When the next block given to this peer would be here. */
  eta: number
  readonly blockMs: number
  room: number
  /** Late blocks of others that it may be asked for: those come on top of a full pipeline. */
  rescues: number
}

/**
 * Gives the blocks of the windows, in order of deadline, each to the peer that would deliver it first, and asks for
 * those that fit into that peer's pipeline now. A block that is better left to a faster peer is left, so it neither
 * waits in a slow queue nor fills a fast one. A block that is late at its peer is asked of a second one.
 *
 * The peers that are compared are those that are `ready` for work and the fastest ones, so that a plan costs the same in a swarm
 * of any size.
 */
export class UrgentPlan {
  #fastest: readonly PeerState[] = []
  #fastestAt = Number.NEGATIVE_INFINITY
  readonly #runners: Runner[] = []
  readonly #spare = { blocks: mostSpare }

  /**
   * Asks for what should be asked for now; `roomOf` says how many more requests a peer's pipeline holds. Only peers that are
   * `ready` are asked, or all that are compared if `everyone` says so.
   */
  run(
    state: DownloadState,
    urgent: readonly UrgentPiece[],
    roomOf: (peer: PeerState) => number,
    everyone: boolean,
    now: number
  ): void {
    // Most often all of a window is asked for: then only lateness matters, and that is looked at when `everyone` is.
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

  /** A block has come that was of use. */
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

/** The fastest peers that would send something, fastest first where there are more than `most`: one pass without sorting all. */
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
          // Pieces further on that have their memory go on, and give it back.
          if (partial === undefined) break
          if (best.peer.discredited) {
            partial.soleOwner = best.peer.id
            able = [best]
          }
          // Blocks that are in storage are not asked for.
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
 * Who may be asked for a piece. A peer that is snubbed or discredited only where nobody else would send it, and then the
 * suspect alone; a trial of a suspect ends when a reader needs the piece.
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

/** Who brings a block soonest, other than the peer `except` if there is another. */
function fastest(runners: readonly Runner[], except?: number): Runner | undefined {
  let best: Runner | undefined
  let avoided: Runner | undefined
  for (const runner of runners) {
    if (runner.peer.id === except) avoided = runner
    else if (best === undefined || runner.eta < best.eta) best = runner
  }
  return best ?? avoided
}

/** Who brings a block soonest of those who have delivered before and are not asked for it: a promise is no rescue. */
function rescuer(runners: readonly Runner[], piece: number, block: number, key: number): Runner | undefined {
  let best: Runner | undefined
  for (const runner of runners) {
    if (runner.rescues <= 0 || (best !== undefined && runner.eta >= best.eta)) continue
    const { peer } = runner
    // What the plan has asked of it meanwhile counts as well.
    if (peer.outstanding.length >= peer.maxRequests) continue
    // Nor a peer whose request for it was cancelled.
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

/** Asks a second peer for a block that its first one will bring late, where that gains enough. */
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
  // Delays vary with their length; who has never delivered gets no such grace.
  const late = link.overdueMs(now) > (link.samples === 0 ? 0 : 30 + link.latencyMs / 4)
  // Of pieces further on only those that are later than was foreseen: a slow peer was given its blocks for good reason.
  const ownerEta = owner.etaOf(index, now)
  const age = now - request.sentAt
  if (ownerEta <= deadline || age < Math.max(30, link.latencyMs)) return
  const best = rescuer(able, partial.piece, block, state.key(partial.piece, block))
  if (best === undefined) return
  const bestMs = best.eta - now
  // What the owner has not begun to send can still be taken from it, which costs nothing.
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
