import { abortable, deferred } from '../util/concurrency.ts'
import { asError, TorrentError } from '../util/errors.ts'
import type { Timers } from '../util/timers.ts'
import { type Asked, firstAnswer } from './first-answer.ts'
import type { AnnounceEvent, TrackerReply } from './request.ts'
import type { TrackerState } from './tracker-state.ts'

/** Time spans of an announce loop, in milliseconds. */
export interface AnnounceTiming {
  /** Shortest interval between announces, even if a tracker asks for less; default 60,000. */
  readonly minIntervalMs: number
  /** Longest interval between announces, even if a tracker asks for more; default 7,200,000. */
  readonly maxIntervalMs: number
  /** Interval if the tracker gives none; default 1,800,000. */
  readonly defaultIntervalMs: number
  /** Wait after the first failure, doubled with each further one; default 15,000. */
  readonly firstRetryMs: number
  /** Longest wait after failures; default 1,800,000. */
  readonly longestRetryMs: number
  /** Time limit for sending `stopped`; default 2,500. */
  readonly stopTimeoutMs: number
  /** Time without an answer after which the next tracker is tried as well; default 5,000. */
  readonly silenceMs: number
}

/** Callbacks for the progress of an announce. */
export interface AnnounceProgress {
  /** Called when the announce leaves the rate limiter; `silenceMs` counts from here. */
  begun(): void
  /** Called when the tracker may have received the announce. */
  sent(): void
  /** Called when the tracker has answered, before its peers are passed on. */
  heard(): void
}

/** Functions that an announce loop needs from its owner; none may throw. */
export interface AnnounceMediator {
  /** Announces to a tracker. */
  announce(
    tracker: TrackerState,
    event: AnnounceEvent,
    signal: AbortSignal,
    progress: AnnounceProgress
  ): Promise<TrackerReply>
  /** Called with each successful reply. */
  replied(tracker: TrackerState, reply: TrackerReply): void
  /** Called with each failure. */
  failed(tracker: TrackerState, error: Error): void
  /** Returns whether the tracker was last told that bytes are missing, and none is missing now. */
  isOutdated(tracker: TrackerState): boolean
  readonly timing: AnnounceTiming
  readonly timers: Timers
  /** Returns a number in [0, 1). */
  random(): number
}

interface Answer {
  readonly tracker: TrackerState
  readonly reply: TrackerReply
}

const noProgress: AnnounceProgress = { begun() {}, sent() {}, heard() {} }

/**
 * Announces repeatedly to the first working tracker of the tiers, in order (BEP 12); a working tracker moves
 * to the front of its tier. When a tracker fails, or does not answer for some seconds, the next one is tried.
 * A slow tracker keeps its full timeout, and its peers are used too. The first announce to each tracker is
 * `started`. When all trackers fail, the loop backs off.
 */
export class AnnounceLoop {
  readonly #tiers: TrackerState[][]
  readonly #mediator: AnnounceMediator
  #cancelTimer: (() => void) | undefined
  readonly #controller = new AbortController()
  /** Announces in progress, including those of an earlier round. */
  readonly #asked = new Map<TrackerState, Asked<Answer>>()
  /** Trackers that may have received `started` and have not answered. */
  readonly #silent = new Set<TrackerState>()
  #round: Promise<void> | undefined
  #failures = 0
  #completed = false
  #isCompletedPending = false
  /** Whether nothing is missing any more, and a tracker may not know it yet. */
  #isLeftPending = false
  #earliest = 0
  #stopping: Promise<void> | undefined

  /** Creates a loop over these tiers; `start` starts it. */
  constructor(tiers: readonly (readonly TrackerState[])[], mediator: AnnounceMediator) {
    this.#tiers = tiers.map((tier) => [...tier])
    this.#mediator = mediator
  }

  /** Makes the first announce. */
  start(): void {
    this.#fire()
  }

  /** Reports `completed` once, to the working tracker: now, or as soon as there is one. */
  completed(): void {
    if (this.#completed) return
    this.#completed = true
    this.#isCompletedPending = true
    if (this.#cancelTimer !== undefined && this.#failures === 0) this.#plan(0)
  }

  /** Tells the working tracker at once that nothing is missing, unless it knows; for data that was not downloaded. */
  nothingLeft(): void {
    this.#isLeftPending = true
    if (this.#cancelTimer === undefined || this.#failures > 0) return
    const works = (tracker: TrackerState): boolean => tracker.status === 'working'
    if (this.#tiers.flat().some((one) => works(one) && this.#mediator.isOutdated(one))) this.#plan(0)
  }

  /** Announces as soon as the tracker's minimum interval allows. Does nothing while an announce is in progress. */
  announceNow(): void {
    if (this.#cancelTimer !== undefined) this.#plan(this.#earliest - this.#mediator.timers.now())
  }

  /**
   * Stops the loop and sends `stopped` to each tracker that accepted a `started` or has not answered one,
   * after a pending `completed`. Resolves in bounded time; idempotent.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    if (this.#isCompletedPending) await this.#sendLast((signal) => this.#tellCompleted(signal))
    const toStop: TrackerState[] = []
    for (const tracker of this.#tiers.flat()) {
      if (tracker.accepted || this.#silent.has(tracker)) toStop.push(tracker)
      tracker.accepted = false
      tracker.status = 'stopped'
      tracker.nextAnnounceAt = undefined
    }
    this.#controller.abort()
    if (toStop.length > 0) {
      await this.#sendLast((signal) =>
        Promise.allSettled(
          toStop.map((tracker) => this.#mediator.announce(tracker, 'stopped', signal, noProgress))
        )
      )
    }
    await Promise.all([this.#round, ...[...this.#asked.values()].map(({ answer }) => answer)])
  }

  /** Sends a last message, with a signal that aborts after `stopTimeoutMs`. */
  async #sendLast(send: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
    const { timers, timing } = this.#mediator
    const controller = new AbortController()
    const cancel = timers.after(timing.stopTimeoutMs, () => {
      controller.abort(
        new TorrentError('ERR_TRACKER_TIMEOUT', `no answer in ${timing.stopTimeoutMs} ms while closing`)
      )
    })
    try {
      await send(controller.signal)
    } finally {
      cancel()
    }
  }

  /** Sends a pending `completed` to the working tracker, unless the announce in progress does; never rejects. */
  async #tellCompleted(signal: AbortSignal): Promise<void> {
    await abortable(this.#round ?? Promise.resolve(), signal).catch(() => {})
    const tracker = this.#tiers.flat().find(({ accepted }) => accepted)
    if (!this.#isCompletedPending || tracker === undefined || signal.aborted) return
    this.#isCompletedPending = false
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

  /** Tries the trackers until one works; returns how long to wait then, in milliseconds. */
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
    const event = tracker.accepted ? (this.#isCompletedPending ? 'completed' : undefined) : 'started'
    let isSent = false
    let cancelSilence: (() => void) | undefined
    const onSilent = (): void => {
      if (isSent) this.#silent.add(tracker)
      onSilence()
    }
    try {
      const reply = await this.#mediator.announce(tracker, event, signal, {
        begun: () => {
          cancelSilence = timers.after(timing.silenceMs, onSilent)
        },
        sent: () => {
          isSent = true
        },
        heard: () => {
          // From here on `stopped` must be sent, even if the reader leaves at the first peer.
          tracker.accepted = true
        }
      })
      if (signal.aborted) return undefined
      tracker.status = 'working'
      tracker.error = undefined
      tracker.last = reply
      tracker.notBefore = 0
      if (event === 'completed') this.#isCompletedPending = false
      this.#mediator.replied(tracker, reply)
      return { tracker, reply }
    } catch (thrown) {
      if (signal.aborted) return undefined
      const error = asError(thrown)
      tracker.status = 'failed'
      tracker.error = error
      tracker.notBefore = timers.now() + Math.min(retryDelay(error), timing.maxIntervalMs)
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
    const isPending = this.#isCompletedPending || (this.#isLeftPending && this.#mediator.isOutdated(tracker))
    this.#isLeftPending = false
    return isPending ? 0 : interval
  }

  #backOff(): number {
    const { timing, timers } = this.#mediator
    const { firstRetryMs, longestRetryMs } = timing
    // The random part spreads the retries, so that a recovered tracker does not get all peers of a swarm at once.
    const base = Math.min(firstRetryMs * 2 ** this.#failures, longestRetryMs / 1.5)
    const delayMs = Math.max(base * (1 + this.#mediator.random() / 2), this.#soonestMs())
    this.#failures = Math.min(this.#failures + 1, 30)
    this.#earliest = timers.now() + Math.min(firstRetryMs, delayMs)
    return delayMs
  }

  /** Returns the milliseconds until the first tracker may be tried again, at least 0. */
  #soonestMs(): number {
    const soonest = Math.min(...this.#tiers.flat().map(({ notBefore }) => notBefore))
    return Math.max(0, soonest - this.#mediator.timers.now())
  }
}

function clamp(value: number, low: number, high: number): number {
  return value >= low ? Math.min(value, high) : low
}

// A tracker may say when to retry (BEP 31).
function retryDelay(error: Error): number {
  const delay = error instanceof TorrentError ? error.details['retryInMs'] : undefined
  return typeof delay === 'number' ? delay : 0
}
