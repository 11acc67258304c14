import { LazySet } from '../util/lazy-collections.ts'
import { pickBackground, pickEndGame } from './background.ts'
import type { DownloadState } from './download-state.ts'
import type { PeerState } from './peer-state.ts'
import { deepMs, QueueDepths } from './queue-depths.ts'
import { UrgentPlan } from './urgent-plan.ts'

/** A stream is hungry while it needs a missing piece within this time. */
const nearMs = 5000
/** A missing piece that is needed within this time may come too late behind a deep request queue. */
const pressedMs = deepMs + 500
/** Interval of checks for late blocks while a stream is hungry. */
const hungryTickMs = 30
const endGameTickMs = 200
/** Interval of checks for late blocks otherwise. */
const calmTickMs = 1000

/** Maximum number of starved peers per check that look for late blocks of others. A subset suffices in a large swarm. */
const maxIdleLooks = 64

/** Sends requests to peers with room in their queues: blocks for readers first, then background blocks, then late blocks of other peers. */
export class QueueFiller {
  readonly #state: DownloadState
  readonly #plan = new UrgentPlan()
  readonly #depths = new QueueDepths()
  /** Peers that have refused a piece and will be asked again. */
  readonly #refusing = new LazySet<PeerState>()
  #wakeAt = Number.POSITIVE_INFINITY
  /** Whether requests may be sent. */
  active = true

  constructor(state: DownloadState) {
    this.#state = state
  }

  /** When to call `wake`, in milliseconds on the clock of `now`; `Infinity` if it need not be called. */
  get wakeAt(): number {
    return this.#wakeAt
  }

  /** Whether a stream needs a missing piece within 5 s. */
  isHungry(now: number): boolean {
    return this.#waits(now, nearMs)
  }

  /** Whether a stream may have to wait behind deep request queues: a missing piece is due within 2 s. */
  isPressed(now: number): boolean {
    return this.#waits(now, pressedMs)
  }

  /** Adds to the budget of duplicate requests, because a wanted block arrived. */
  earn(): void {
    this.#plan.earn()
  }

  /** Schedules a peer that refused a request to be asked again at its `retryAt`. */
  refused(peer: PeerState): void {
    this.#refusing.add(peer)
  }

  /** Removes a disconnected peer. */
  forget(peer: PeerState): void {
    this.#refusing.delete(peer)
  }

  /** Retries the peers whose `retryAt` has passed. */
  wake(now: number): void {
    this.#wakeAt = now
    for (const peer of this.#refusing) if (peer.retryAt <= now) this.retry(peer)
  }

  /** Sends requests to all peers with room, and lets some starved peers look for late blocks of other peers. */
  fillIdle(now: number): void {
    const state = this.#state
    let looks = maxIdleLooks
    for (const peer of state.readiness.starved) {
      state.looked(1)
      if (peer.outstanding.length >= 4 || peer.choked) continue
      state.readiness.ready.add(peer)
      if (--looks === 0) break
    }
    this.fillAll(now, undefined, true)
  }

  /** Whether a missing piece is due within `withinMs`. */
  #waits(now: number, withinMs: number): boolean {
    if (this.#state.windows.size === 0) return false
    const first = this.#urgent(now)[0]
    return first !== undefined && first.deadline < now + withinMs
  }

  #urgent(now: number): ReturnType<DownloadState['windows']['urgent']> {
    const { windows, table } = this.#state
    return windows.urgent((piece) => table.isMissing(piece), now)
  }

  #room(peer: PeerState, hungry: boolean): number {
    return this.#depths.room(peer, this.#state.peers.size, hungry)
  }

  /** Clears the refusals of a peer, so that it may be asked for everything again. */
  retry(peer: PeerState): void {
    peer.retry()
    this.#refusing.delete(peer)
    peer.nothingNewAt = -1
    this.#state.readiness.peersChanged = true
    this.#state.readiness.feed(peer)
  }

  /** Sends requests to a peer if its queue has room. */
  fill(peer: PeerState, now: number): void {
    if (!this.active) return
    const state = this.#state
    const hungry = this.isHungry(now)
    const room = this.#room(peer, hungry)
    const refills = this.#depths.isWorthwhile(room, peer, hungry)
    if (refills && state.windows.size === 0) this.#fillBackground(peer, room, now)
    else if (refills) state.readiness.ready.add(peer)
    if (state.readiness.ready.size > 0) this.#fillReady(peer, hungry, false, now)
    this.#depths.adapt(state.outOfMemory && this.#depths.isDry(peer), now)
    this.#setWake(hungry, now)
  }

  /** Sends requests to the peers that are `ready`, beginning with `first`. With `everyone`, blocks of windows also go to fast peers that are not `ready`. */
  fillAll(now: number, first?: number, everyone = false): void {
    const state = this.#state
    if (!this.active) {
      this.#wakeAt = Number.POSITIVE_INFINITY
      return
    }
    const hungry = this.isHungry(now)
    const leading = first === undefined ? undefined : state.peers.get(first)
    if (leading !== undefined) state.readiness.ready.add(leading)
    this.#fillReady(leading, hungry, everyone, now)
    this.#setWake(hungry, now)
  }

  #fillReady(first: PeerState | undefined, hungry: boolean, everyone: boolean, now: number): void {
    const state = this.#state
    if (state.windows.size > 0) {
      this.#plan.run(state, this.#urgent(now), (peer) => this.#room(peer, hungry), everyone, now)
    }
    if (first !== undefined && state.readiness.ready.delete(first)) this.#topUp(first, hungry, now)
    for (const peer of state.readiness.ready) this.#topUp(peer, hungry, now)
    state.readiness.ready.clear()
  }

  #topUp(peer: PeerState, hungry: boolean, now: number): void {
    const room = this.#room(peer, hungry)
    if (this.#depths.isWorthwhile(room, peer, hungry)) this.#fillBackground(peer, room, now)
  }

  /** Requests up to `mostBlocks` blocks outside all windows from a peer. */
  #fillBackground(peer: PeerState, mostBlocks: number, now: number): void {
    const state = this.#state
    if (!peer.interested || !peer.servesAny) return
    let room = mostBlocks
    for (; room > 0 && !peer.starved; room--) {
      const pick = pickBackground(state, peer)
      if (pick === undefined) state.readiness.starve(peer)
      else state.request(peer, pick.partial, pick.block, now)
    }
    if (!peer.starved || peer.snubbed) return
    for (; room > 0 && peer.outstanding.length < 4; room--) {
      const pick = pickEndGame(state, peer, now)
      if (pick === undefined) return
      state.request(peer, pick.partial, pick.block, now)
    }
  }

  #setWake(hungry: boolean, now: number): void {
    const { busy, starved } = this.#state.readiness
    const tickMs = hungry ? hungryTickMs : starved.size > 0 ? endGameTickMs : calmTickMs
    // An earlier wake-up stands while blocks arrive; postponing it at each block would prevent it for ever.
    if (this.#wakeAt > now && this.#wakeAt <= now + tickMs) return
    let hasRequests = false
    for (const peer of busy) {
      if ((hasRequests = peer.outstanding.length > 0)) break
      busy.delete(peer)
    }
    let at = Number.POSITIVE_INFINITY
    for (const { retryAt } of this.#refusing) if (retryAt < at) at = retryAt
    if (hasRequests) at = Math.min(at, now + tickMs)
    this.#wakeAt = at
  }
}
