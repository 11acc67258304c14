import { abortable } from '../util/concurrency.ts'
import { asError, TorrentError } from '../util/errors.ts'
import type { Timers } from '../util/timers.ts'
import type { AnnounceEvent, TrackerReply } from './request.ts'
import type { TrackerState } from './tracker-state.ts'

/** Spans of time that an announce loop keeps to, in milliseconds. */
export interface AnnounceTiming {
  /** Never announce more often than this, whatever a tracker says; default 60,000. */
  readonly minIntervalMs: number
  /** Never less often than this; default 7,200,000. */
  readonly maxIntervalMs: number
  /** When a tracker names no interval; default 1,800,000. */
  readonly defaultIntervalMs: number
  /** Wait after the first failure, doubled with each further one; default 15,000. */
  readonly firstRetryMs: number
  /** Longest wait after failures; default 1,800,000. */
  readonly longestRetryMs: number
  /** How long `stopped` may take; default 2,500. */
  readonly stopTimeoutMs: number
}

/** What an announce loop asks of its owner; nothing here may throw. */
export interface AnnounceMediator {
  /** Announces to a tracker; `heard` is called once it has answered, before its peers are passed on and the rest is in. */
  announce(
    tracker: TrackerState,
    event: AnnounceEvent,
    signal: AbortSignal,
    heard: () => void
  ): Promise<TrackerReply>
  /** Hears of a good reply. */
  replied(tracker: TrackerState, reply: TrackerReply): void
  /** Hears of a failure. */
  failed(tracker: TrackerState, error: Error): void
  /** Whether the tracker was last told that bytes are missing, and none is now. */
  isOutdated(tracker: TrackerState): boolean
  readonly timing: AnnounceTiming
  readonly timers: Timers
  /** A number from 0 up to 1. */
  random(): number
}

/**
 * Announces again and again to the first tracker that works, of tiers in order (BEP 12): one that works moves to the front of
 * its tier. Each tracker first hears `started`; when all fail, the loop waits longer and longer.
 */
export class AnnounceLoop {
  readonly #tiers: TrackerState[][]
  readonly #mediator: AnnounceMediator
  #cancelTimer: (() => void) | undefined
  #round: { readonly controller: AbortController; readonly done: Promise<void> } | undefined
  #failures = 0
  #completed = false
  #owesCompleted = false
  /** Nothing is missing any more, and not every tracker may know. */
  #owesLeft = false
  #earliest = 0
  #stopping: Promise<void> | undefined

  /** A loop over these tiers that does nothing before `start`. */
  constructor(tiers: readonly (readonly TrackerState[])[], mediator: AnnounceMediator) {
    this.#tiers = tiers.map((tier) => [...tier])
    this.#mediator = mediator
  }

  /** Makes the first announce. */
  start(): void {
    this.#fire()
  }

  /** Reports `completed`, once, to the tracker that works: now, or as soon as one does. */
  completed(): void {
    if (this.#completed) return
    this.#completed = true
    this.#owesCompleted = true
    if (this.#cancelTimer !== undefined && this.#failures === 0) this.#plan(0)
  }

  /** Nothing is missing, without a download: tells the tracker that works at once, unless it knows. */
  nothingLeft(): void {
    this.#owesLeft = true
    if (this.#cancelTimer === undefined || this.#failures > 0) return
    const works = (tracker: TrackerState): boolean => tracker.status === 'working'
    if (this.#tiers.flat().some((one) => works(one) && this.#mediator.isOutdated(one))) this.#plan(0)
  }

  /** Announces as soon as the tracker's shortest interval allows; nothing changes while a request is under way. */
  announceNow(): void {
    if (this.#cancelTimer !== undefined) this.#plan(this.#earliest - this.#mediator.timers.now())
  }

  /**
   * Ends the loop and tells `stopped` to each tracker that took a `started`, after `completed` if that is still owed; resolves in
   * bounded time. Idempotent.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    if (this.#owesCompleted) await this.#goodbye((signal) => this.#tellCompleted(signal))
    this.#round?.controller.abort()
    const owed: TrackerState[] = []
    for (const tracker of this.#tiers.flat()) {
      if (tracker.accepted) owed.push(tracker)
      tracker.accepted = false
      tracker.status = 'stopped'
      tracker.nextAnnounceAt = undefined
    }
    if (owed.length > 0) {
      await this.#goodbye((signal) =>
        Promise.allSettled(
          owed.map((tracker) => this.#mediator.announce(tracker, 'stopped', signal, () => {}))
        )
      )
    }
    await this.#round?.done
  }

  /** Says something last, with a signal that is aborted when that takes too long. */
  async #goodbye(say: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
    const { timers, timing } = this.#mediator
    const controller = new AbortController()
    const cancel = timers.after(timing.stopTimeoutMs, () => {
      controller.abort(new TorrentError('ERR_TRACKER_TIMEOUT', 'the tracker was too slow to hear of the end'))
    })
    try {
      await say(controller.signal)
    } finally {
      cancel()
    }
  }

  /** Tells `completed` to the tracker that works, unless what is under way does; never rejects. */
  async #tellCompleted(signal: AbortSignal): Promise<void> {
    await abortable(this.#round?.done ?? Promise.resolve(), signal).catch(() => {})
    const tracker = this.#tiers.flat().find(({ accepted }) => accepted)
    if (!this.#owesCompleted || tracker === undefined || signal.aborted) return
    this.#owesCompleted = false
    await this.#mediator.announce(tracker, 'completed', signal, () => {}).catch(() => {})
  }

  #plan(delayMs: number): void {
    this.#cancelTimer?.()
    const wait = Math.max(0, delayMs)
    this.#cancelTimer = this.#mediator.timers.after(wait, () => this.#fire())
    const [next] = this.#tiers.flat()
    if (next !== undefined) next.nextAnnounceAt = Date.now() + wait
  }

  #fire(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    const controller = new AbortController()
    const done = this.#run(controller.signal).then((delayMs) => {
      this.#round = undefined
      if (this.#stopping === undefined) this.#plan(delayMs)
    })
    this.#round = { controller, done }
  }

  /** One walk over the trackers until one works; returns how long to wait then. */
  async #run(signal: AbortSignal): Promise<number> {
    let retryInMs = Number.POSITIVE_INFINITY
    for (const tracker of this.#tiers.flat()) {
      tracker.status = 'announcing'
      tracker.nextAnnounceAt = undefined
      const event = tracker.accepted ? (this.#owesCompleted ? 'completed' : undefined) : 'started'
      try {
        const reply = await this.#mediator.announce(tracker, event, signal, () => {
          // From here on it is owed a `stopped`, also when the reader leaves at the first peer.
          tracker.accepted = true
        })
        if (signal.aborted) return 0
        return this.#succeed(tracker, event, reply)
      } catch (thrown) {
        if (signal.aborted) return 0
        const error = asError(thrown)
        tracker.status = 'failed'
        tracker.error = error
        retryInMs = Math.min(retryInMs, retryWish(error))
        this.#mediator.failed(tracker, error)
        if (signal.aborted) return 0
      }
    }
    return this.#backOff(retryInMs)
  }

  #succeed(tracker: TrackerState, event: AnnounceEvent, reply: TrackerReply): number {
    const { timing, timers } = this.#mediator
    tracker.status = 'working'
    tracker.error = undefined
    tracker.last = reply
    tracker.accepted = true
    if (event === 'completed') this.#owesCompleted = false
    this.#failures = 0
    const tier = this.#tiers.find((one) => one.includes(tracker)) ?? []
    tier.splice(tier.indexOf(tracker), 1)
    tier.unshift(tracker)
    this.#mediator.replied(tracker, reply)
    const { minIntervalMs, maxIntervalMs } = timing
    const shortest = clamp(reply.minIntervalMs ?? minIntervalMs, minIntervalMs, maxIntervalMs)
    const interval = clamp(reply.intervalMs ?? timing.defaultIntervalMs, shortest, maxIntervalMs)
    this.#earliest = timers.now() + shortest
    const isOwed = this.#owesCompleted || (this.#owesLeft && this.#mediator.isOutdated(tracker))
    this.#owesLeft = false
    return isOwed ? 0 : interval
  }

  #backOff(retryInMs: number): number {
    const { timing, timers } = this.#mediator
    const { firstRetryMs, longestRetryMs, maxIntervalMs } = timing
    // The random part keeps a swarm from coming back all at once to a tracker that has just recovered.
    const base = Math.min(firstRetryMs * 2 ** this.#failures, longestRetryMs / 1.5)
    const delayMs = Math.max(base * (1 + this.#mediator.random() / 2), Math.min(retryInMs, maxIntervalMs))
    this.#failures = Math.min(this.#failures + 1, 30)
    this.#earliest = timers.now() + Math.min(firstRetryMs, delayMs)
    return delayMs
  }
}

function clamp(value: number, low: number, high: number): number {
  return value >= low ? Math.min(value, high) : low
}

// A tracker may say when to come back (BEP 31).
function retryWish(error: Error): number {
  const wish = error instanceof TorrentError ? error.details['retryInMs'] : undefined
  return typeof wish === 'number' ? wish : 0
}
