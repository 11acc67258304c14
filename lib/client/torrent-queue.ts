import type { TorrentSession } from '../torrent/torrent-session.ts'
import { monotonicMs } from '../util/clock.ts'
import { type ClientOptions, checkCount, checkGoal } from './options.ts'
import { countsAsSeed, isIdle, planQueue, type QueueEntry } from './queue.ts'
import type { Registry } from './registry.ts'

/** Limits and seeding goals for all torrents of a client; `Infinity` means none. */
export interface QueueRules {
  maxActiveDownloads: number
  maxActiveSeeds: number
  seedRatio: number
  /** Milliseconds. */
  seedTime: number
}

const decideEveryMs = 1000
/** Minimum milliseconds between two decisions, so that many changes are handled together: `each` per torrent, but at most `most`. */
const spacingMs = { each: 0.1, most: 50 }

interface Run {
  /** Payload bytes at the last decision, and when they last changed. */
  moved: number
  movedAt: number
  running: boolean
  stoppedIdleAt: number | undefined
  /** When a peer was last interested; updated only while nothing is selected. */
  servedAt: number
}

/** Queues and starts torrents by the queue rules, and finishes seeds that have reached their goal. Uses one timer for all torrents. */
export class TorrentQueue {
  readonly #rules: QueueRules
  readonly #registry: Registry
  readonly #runs = new WeakMap<TorrentSession, Run>()
  #timer: NodeJS.Timeout | undefined
  #planned = false
  #decidedAt = Number.NEGATIVE_INFINITY
  #spacingMs = 0
  #delayed: NodeJS.Timeout | undefined
  #closed = false

  /** A missing rule is no limit. */
  constructor(rules: Pick<ClientOptions, keyof QueueRules>, registry: Registry) {
    const none = Number.POSITIVE_INFINITY
    const { maxActiveDownloads = none, maxActiveSeeds = none, seedRatio = none, seedTime = none } = rules
    this.#rules = { maxActiveDownloads, maxActiveSeeds, seedRatio, seedTime }
    this.#registry = registry
  }

  /** The current rules. */
  get rules(): Readonly<QueueRules> {
    return this.#rules
  }

  /**
   * Changes a rule and schedules a decision.
   * @throws TorrentError ERR_CLIENT_OPTION for an invalid value.
   */
  setRule(name: keyof QueueRules, value: number): void {
    // Undefined is refused: unlike an option, a property always has a value.
    const given = value ?? Number.NaN
    if (name === 'seedRatio' || name === 'seedTime') checkGoal(name, given)
    else checkCount(name, given)
    this.#rules[name] = value
    this.changed()
  }

  /** Schedules a decision after a change of a torrent, the order or a rule: in a microtask, or up to 50 ms after the last decision. */
  changed(): void {
    if (this.#planned || this.#closed) return
    this.#planned = true
    const decide = (): void => {
      this.#planned = false
      this.decide()
    }
    const waitMs = this.#decidedAt + this.#spacingMs - monotonicMs()
    if (waitMs < 1) queueMicrotask(decide)
    else this.#delayed = setTimeout(decide, waitMs).unref()
  }

  /** Queues a new torrent if there are limits, before it announces to a tracker. */
  admit(torrent: TorrentSession): void {
    const { maxActiveDownloads, maxActiveSeeds } = this.#rules
    // Its kind is known only once its files are. The next decision then starts it if the limit allows.
    if (Number.isFinite(maxActiveDownloads) || Number.isFinite(maxActiveSeeds)) torrent.setQueued(true)
  }

  /** Stops all decisions; torrents stay as they are. Idempotent. */
  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
    clearTimeout(this.#delayed)
  }

  /** Decides now for all torrents; for changes that cannot wait. */
  decide(): void {
    if (this.#closed) return
    this.#decidedAt = monotonicMs()
    const torrents = this.#registry.all
    this.#spacingMs = Math.min(spacingMs.most, torrents.length * spacingMs.each)
    const goals = this.#endSeeds(torrents)
    const limits = this.#apply(torrents)
    if (!(goals || limits)) {
      clearInterval(this.#timer)
      this.#timer = undefined
    } else if (this.#timer === undefined) {
      this.#timer = setInterval(() => this.decide(), decideEveryMs)
      this.#timer.unref()
    }
  }

  /** Finishes torrents that have reached their goal; returns false if no torrent has a goal. */
  #endSeeds(torrents: readonly TorrentSession[]): boolean {
    let any = false
    for (const torrent of torrents) {
      const ratio = torrent.limits.seedRatio ?? this.#rules.seedRatio
      const time = torrent.limits.seedTime ?? this.#rules.seedTime
      if (ratio === Number.POSITIVE_INFINITY && time === Number.POSITIVE_INFINITY) continue
      if (!torrent.hasGoal) continue
      any = true
      if (torrent.status !== 'seeding') continue
      if (torrent.ratio >= ratio || torrent.transfer.seedingMs >= time) torrent.finish()
    }
    return any
  }

  /** Queues and starts torrents; returns false if there is no limit. */
  #apply(torrents: readonly TorrentSession[]): boolean {
    const { maxActiveDownloads, maxActiveSeeds } = this.#rules
    if (maxActiveDownloads === Number.POSITIVE_INFINITY && maxActiveSeeds === Number.POSITIVE_INFINITY) {
      for (const torrent of torrents) torrent.setQueued(false)
      return false
    }
    const now = monotonicMs()
    const entries = torrents.map((torrent) => this.#entry(torrent, now))
    const plan = planQueue(entries, this.#rules)
    for (const [index, torrent] of torrents.entries()) {
      // Paused torrents and torrents without files cause a new decision when that changes.
      if (entries[index]?.kind === undefined) {
        if (torrent.activity === 'idle') torrent.setQueued(false)
        continue
      }
      const runs = plan[index] === true
      const run = this.#run(torrent, now)
      if (run.running && !runs && isIdle(entries[index])) run.stoppedIdleAt = now
      if (!run.running && runs) run.movedAt = now
      run.running = runs
      torrent.setQueued(!runs)
    }
    return true
  }

  #entry(torrent: TorrentSession, now: number): QueueEntry {
    const run = this.#run(torrent, now)
    const { moved } = torrent.transfer
    if (moved !== run.moved) {
      run.moved = moved
      run.movedAt = now
      run.stoppedIdleAt = undefined
    }
    const kind = kindOf(torrent, run, now)
    if (kind === undefined) run.running = false
    return {
      kind,
      running: run.running,
      idleMs: run.running ? now - run.movedAt : 0,
      stoppedIdleAt: run.stoppedIdleAt,
      wanted: torrent.data.content?.files.hasStreams === true
    }
  }

  #run(torrent: TorrentSession, now: number): Run {
    let run = this.#runs.get(torrent)
    if (run === undefined) {
      run = {
        moved: 0,
        movedAt: now,
        running: false,
        stoppedIdleAt: undefined,
        servedAt: Number.NEGATIVE_INFINITY
      }
      this.#runs.set(torrent, run)
    }
    return run
  }
}

/** Returns the limit that a torrent counts against, or undefined if none. */
function kindOf(torrent: TorrentSession, run: Run, now: number): QueueEntry['kind'] {
  const { status, activity } = torrent
  if (status !== 'queued' && status !== activity) return undefined
  if (activity === 'seeding') return 'seed'
  if (activity === 'downloading' || activity === 'checking') return 'download'
  // Counts as a seed for half an hour after a peer was interested, and while queued; otherwise each peer would start and stop it.
  if (torrent.serves) run.servedAt = now
  const waits = status === 'queued' && Number.isFinite(run.servedAt)
  return waits || countsAsSeed(now - run.servedAt) ? 'seed' : undefined
}
