import { LazySet } from '../util/lazy-collections.ts'
import { pickBackground, pickEndGame } from './background.ts'
import type { DownloadState } from './download-state.ts'
import type { PeerState } from './peer-state.ts'
import { deepMs, Pipelines } from './pipelines.ts'
import { UrgentPlan } from './urgent-plan.ts'

/** A stream waits while something is missing that it needs within this time. */
const nearMs = 5000
/** What is needed sooner than this may come too late behind a deep pipeline. */
const pressedMs = deepMs + 500
/** While a window is hungry, lateness is looked at this often, also when nothing happens. */
const hungryTickMs = 30
const endGameTickMs = 200
/** With nothing special going on lateness is looked at this often. */
const calmTickMs = 1000

/** How many idle peers then look for what others are late with: a large swarm ends as well with some of them. */
const maxIdleLooks = 64
/** Gives peers with room their next requests: what readers wait for comes first, then the background, then what others are late with. */
export class Filling {
  readonly #state: DownloadState
  readonly #plan = new UrgentPlan()
  readonly #pipelines = new Pipelines()
  /** Peers that have refused something and will be asked again. */
  readonly #refusing = new LazySet<PeerState>()
  #wakeAt = Number.POSITIVE_INFINITY
  /** Whether anybody may be asked. */
  active = true

  /** Asks nobody yet. */
  constructor(state: DownloadState) {
    this.#state = state
  }

  /** When `wake` wants to be called; Infinity for not at all. */
  get wakeAt(): number {
    return this.#wakeAt
  }

  /** Whether a stream waits, or soon would. */
  isHungry(now: number): boolean {
    return this.#waits(now, nearMs)
  }

  /** Whether a stream may have to wait behind what deep pipelines bring. */
  isPressed(now: number): boolean {
    return this.#waits(now, pressedMs)
  }

  /** A block has come that was wanted: so many more may be asked for twice. */
  earn(): void {
    this.#plan.earn()
  }

  /** A peer has refused a request, and is asked again at its `retryAt`. */
  refused(peer: PeerState): void {
    this.#refusing.add(peer)
  }

  /** A peer has gone. */
  forget(peer: PeerState): void {
    this.#refusing.delete(peer)
  }

  /** Time has passed: those that refused something long ago are asked again. */
  wake(now: number): void {
    this.#wakeAt = now
    for (const peer of this.#refusing) if (peer.retryAt <= now) this.retry(peer)
  }

  /** Gives new requests to all that may have room, also to some that found nothing to do: for what others are late with. */
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

  /** Whether something is missing that a stream needs within some time. */
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
    return this.#pipelines.room(peer, this.#state.peers.size, hungry)
  }

  /** A peer that refused may be asked for everything again. */
  retry(peer: PeerState): void {
    peer.retry()
    this.#refusing.delete(peer)
    peer.nothingNewAt = -1
    this.#state.readiness.peersChanged = true
    this.#state.readiness.feed(peer)
  }

  /** Gives a peer that has room its next requests. */
  fill(peer: PeerState, now: number): void {
    if (!this.active) return
    const state = this.#state
    const hungry = this.isHungry(now)
    const room = this.#room(peer, hungry)
    const tops = this.#pipelines.isWorthwhile(room, peer, hungry)
    if (tops && state.windows.size === 0) this.#fillBackground(peer, room, now)
    else if (tops) state.readiness.ready.add(peer)
    if (state.readiness.ready.size > 0) this.#fillReady(peer, hungry, false, now)
    this.#pipelines.adapt(state.outOfMemory && this.#pipelines.isDry(peer), now)
    this.#setWake(hungry, now)
  }

  /** Gives new requests to peers that may have room: those that are `ready`, `first` before the others. */
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
    if (this.#pipelines.isWorthwhile(room, peer, hungry)) this.#fillBackground(peer, room, now)
  }

  /** Asks a peer for up to so many blocks that no window needs it for. */
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
    // While blocks come the time that was set stands, or it would never be reached.
    if (this.#wakeAt > now && this.#wakeAt <= now + tickMs) return
    let under = false
    for (const peer of busy) {
      if ((under = peer.outstanding.length > 0)) break
      busy.delete(peer)
    }
    let at = Number.POSITIVE_INFINITY
    for (const { retryAt } of this.#refusing) if (retryAt < at) at = retryAt
    if (under) at = Math.min(at, now + tickMs)
    this.#wakeAt = at
  }
}
