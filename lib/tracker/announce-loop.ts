import { abortable, deferred } from '../util/concurrency.ts'
import { asError, TorrentError } from '../util/errors.ts'
import type { Timers } from '../util/timers.ts'
import { type Asked, firstAnswer } from './first-answer.ts'
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
  /** Silence of a tracker after which the next one is asked as well; default 5,000. */
  readonly silenceMs: number
}

/** How far an announce has come. */
export interface AnnounceProgress {
  /** It is its turn: the tracker's silence counts from now. */
  begun(): void
  /** The tracker may have got it. */
  sent(): void
  /** The tracker has answered; its peers and the rest are still to be passed on. */
  heard(): void
}

/** What an announce loop asks of its owner; nothing here may throw. */
export interface AnnounceMediator {
  /** Announces to a tracker. */
  announce(
    tracker: TrackerState,
    event: AnnounceEvent,
    signal: AbortSignal,
    progress: AnnounceProgress
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

interface Answer {
  readonly tracker: TrackerState
  readonly reply: TrackerReply
}

const noProgress: AnnounceProgress = { begun() {}, sent() {}, heard() {} }

/**
 * Announces again and again to the first tracker that works, of tiers in order (BEP 12): one that works moves to the front of
 * its tier. The next one is asked when one fails, and also when one is silent for some seconds; the silent one keeps its full time, and
 * its peers are taken too. Each tracker first hears `started`; when all fail, the loop waits longer and longer.
 */
export class AnnounceLoop {
  readonly #tiers: TrackerState[][]
  readonly #mediator: AnnounceMediator
  #cancelTimer: (() => void) | undefined
  readonly #controller = new AbortController()
  /** Trackers that are being asked; those of an earlier round may still be. */
  readonly #asked = new Map<TrackerState, Asked<Answer>>()
  /** Trackers that may have received `started` and have not answered. */
  readonly #silent = new Set<TrackerState>()
  #round: Promise<void> | undefined
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
   * Ends the loop and tells `stopped` to each tracker that took a `started` or is silent upon one, after `completed` if that is still
   * owed; resolves in bounded time. Idempotent.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    if (this.#owesCompleted) await this.#goodbye((signal) => this.#tellCompleted(signal))
    const owed: TrackerState[] = []
    for (const tracker of this.#tiers.flat()) {
      if (tracker.accepted || this.#silent.has(tracker)) owed.push(tracker)
      tracker.accepted = false
      tracker.status = 'stopped'
      tracker.nextAnnounceAt = undefined
    }
    this.#controller.abort()
    if (owed.length > 0) {
      await this.#goodbye((signal) =>
        Promise.allSettled(
          owed.map((tracker) => this.#mediator.announce(tracker, 'stopped', signal, noProgress))
        )
      )
    }
    await Promise.all([this.#round, ...[...this.#asked.values()].map(({ answer }) => answer)])
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
    await abortable(this.#round ?? Promise.resolve(), signal).catch(() => {})
    const tracker = this.#tiers.flat().find(({ accepted }) => accepted)
    if (!this.#owesCompleted || tracker === undefined || signal.aborted) return
    this.#owesCompleted = false
    await this.#mediator.announce(tracker, 'completed', signal, noProgress).catch(() => {})
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
    this.#round = this.#run().then((delayMs) => {
      this.#round = undefined
      if (this.#stopping === undefined) this.#plan(delayMs)
    })
  }

  /** One walk over the trackers until one works; returns how long to wait then. */
  async #run(): Promise<number> {
    const now = this.#mediator.timers.now()
    for (const tracker of this.#tiers.flat()) tracker.nextAnnounceAt = undefined
    const due = this.#tiers.flat().filter(({ notBefore }) => notBefore <= now)
    if (due.length === 0) return this.#soonestMs()
    const answer = await firstAnswer(due, (tracker) => this.#ask(tracker), this.#controller.signal)
    if (this.#controller.signal.aborted) return 0
    return answer === undefined ? this.#backOff() : this.#succeed(answer)
  }

  #ask(tracker: TrackerState): Asked<Answer> {
    const known = this.#asked.get(tracker)
    if (known !== undefined) return known
    const silence = deferred<void>()
    const answer = this.#announce(tracker, silence.resolve).finally(() => this.#asked.delete(tracker))
    const asked = { answer, silence: silence.promise }
    this.#asked.set(tracker, asked)
    return asked
  }

  async #announce(tracker: TrackerState, onSilence: () => void): Promise<Answer | undefined> {
    const { timers, timing } = this.#mediator
    const { signal } = this.#controller
    tracker.status = 'announcing'
    const event = tracker.accepted ? (this.#owesCompleted ? 'completed' : undefined) : 'started'
    let isSent = false
    let cancelSilence: (() => void) | undefined
    const onQuiet = (): void => {
      if (isSent) this.#silent.add(tracker)
      onSilence()
    }
    try {
      const reply = await this.#mediator.announce(tracker, event, signal, {
        begun: () => {
          cancelSilence = timers.after(timing.silenceMs, onQuiet)
        },
        sent: () => {
          isSent = true
        },
        heard: () => {
          // From here on it is owed a `stopped`, also when the reader leaves at the first peer.
          tracker.accepted = true
        }
      })
      if (signal.aborted) return undefined
      tracker.status = 'working'
      tracker.error = undefined
      tracker.last = reply
      tracker.notBefore = 0
      if (event === 'completed') this.#owesCompleted = false
      this.#mediator.replied(tracker, reply)
      return { tracker, reply }
    } catch (thrown) {
      if (signal.aborted) return undefined
      const error = asError(thrown)
      tracker.status = 'failed'
      tracker.error = error
      tracker.notBefore = timers.now() + Math.min(retryWish(error), timing.maxIntervalMs)
      this.#mediator.failed(tracker, error)
      return undefined
    } finally {
      cancelSilence?.()
      this.#silent.delete(tracker)
    }
  }

  #succeed({ tracker, reply }: Answer): number {
    const { timing, timers } = this.#mediator
    this.#failures = 0
    const tier = this.#tiers.find((one) => one.includes(tracker)) ?? []
    tier.splice(tier.indexOf(tracker), 1)
    tier.unshift(tracker)
    const { minIntervalMs, maxIntervalMs } = timing
    const shortest = clamp(reply.minIntervalMs ?? minIntervalMs, minIntervalMs, maxIntervalMs)
    const interval = clamp(reply.intervalMs ?? timing.defaultIntervalMs, shortest, maxIntervalMs)
    this.#earliest = timers.now() + shortest
    const isOwed = this.#owesCompleted || (this.#owesLeft && this.#mediator.isOutdated(tracker))
    this.#owesLeft = false
    return isOwed ? 0 : interval
  }

  #backOff(): number {
    const { timing, timers } = this.#mediator
    const { firstRetryMs, longestRetryMs } = timing
    // The random part keeps a swarm from coming back all at once to a tracker that has just recovered.
    const base = Math.min(firstRetryMs * 2 ** this.#failures, longestRetryMs / 1.5)
    const delayMs = Math.max(base * (1 + this.#mediator.random() / 2), this.#soonestMs())
    this.#failures = Math.min(this.#failures + 1, 30)
    this.#earliest = timers.now() + Math.min(firstRetryMs, delayMs)
    return delayMs
  }

  /** How long until the first tracker may be asked again, at least 0. */
  #soonestMs(): number {
    const soonest = Math.min(...this.#tiers.flat().map(({ notBefore }) => notBefore))
    return Math.max(0, soonest - this.#mediator.timers.now())
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
