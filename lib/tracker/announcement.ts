import { Network } from '../net/network.ts'
import type { PeerAddress } from '../util/address.ts'
import { AsyncQueue } from '../util/async-queue.ts'
import { randomBytes } from '../util/bytes.ts'
import { debug } from '../util/debug.ts'
import { checkNoMore, checkOptionNames, checkType } from '../util/options.ts'
import { show } from '../util/show.ts'
import { systemTimers } from '../util/timers.ts'
import type { Trust } from '../util/trust.ts'
import { notify } from '../util/user-code.ts'
import { AnnounceLoop, type AnnounceMediator, type AnnounceTiming } from './announce-loop.ts'
import { checkId, checkSpan, checkTrackerOptions, optionError } from './check-options.ts'
import { exchange } from './exchange.ts'
import { limits } from './limits.ts'
import {
  type AnnounceCounters,
  type AnnounceEvent,
  type AnnounceParameters,
  type TrackerReply,
  unknownLeft
} from './request.ts'
import type { TrackerOptions } from './tracker-options.ts'
import type { TrackerState, TrackerStatus } from './tracker-state.ts'
import { UdpTrackerClient } from './udp-tracker-client.ts'

const log = debug('tracker')
/** 35 seconds in all: the loop retries anyway, and has other trackers to try. */
const loopSchedule = { firstTimeoutMs: 5_000, retries: 2 }
const stopSchedule = { firstTimeoutMs: 800, retries: 1 }

/** Parameters of every announce; `port` and `counters` are read each time. */
export interface AnnounceRequest {
  /** 20 bytes. */
  readonly infoHash: Uint8Array
  /** 20 bytes. */
  readonly peerId: Uint8Array
  /** Port on which peers can reach us, 0 to 65535. */
  readonly port: number
  /** Returns bytes transferred since the start, and bytes missing; default none transferred, some missing. */
  readonly counters?: (() => AnnounceCounters) | undefined
  /** Number of peers to ask for; default 200. */
  readonly numwant?: number | undefined
  /** 32-bit number that identifies us to the tracker when our address changes; default random. */
  readonly key?: number | undefined
}

/** Options of an {@link Announcement}. */
export interface AnnouncementOptions extends Omit<TrackerOptions, 'trust'>, Partial<AnnounceTiming> {
  /** Trust for all URLs, or a function that returns it for a URL before each announce; see {@link TrackerOptions}. */
  readonly trust?: Trust | ((url: string) => Trust) | undefined
  /** Closes the announcement when aborted. */
  readonly signal?: AbortSignal | undefined
  /** Called with each successful reply. */
  readonly onResponse?: ((reply: TrackerReply, tracker: TrackerStatus) => void) | undefined
  /** Called with our address as a tracker sees it (BEP 24), before its peers are yielded. */
  readonly onExternalHost?: ((host: string, tracker: TrackerStatus) => void) | undefined
  /** Called with each failure, and once per tracker if only a part of its answers is usable. The announcement continues. */
  readonly onWarning?: ((error: Error) => void) | undefined
  /** Returns a number in [0, 1), for shuffling and back-off; default `Math.random`. */
  readonly random?: (() => number) | undefined
}

// Records, so that the compiler reports an option that is missing here.
const ownNames: Record<Exclude<keyof AnnouncementOptions, keyof TrackerOptions>, true> = {
  signal: true,
  onResponse: true,
  onExternalHost: true,
  onWarning: true,
  random: true,
  minIntervalMs: true,
  maxIntervalMs: true,
  defaultIntervalMs: true,
  firstRetryMs: true,
  longestRetryMs: true,
  silenceMs: true,
  stopTimeoutMs: true
}
const requestNames: Record<keyof AnnounceRequest, true> = {
  infoHash: true,
  peerId: true,
  port: true,
  counters: true,
  numwant: true,
  key: true
}

/**
 * Rejects unknown or invalid options and extra arguments; `others` names further allowed options.
 * @throws TorrentError ERR_TRACKER_OPTION
 */
export function checkAnnouncement(
  request: unknown,
  options: unknown,
  more: readonly unknown[],
  ...others: readonly string[]
): void {
  const ofRequest = Object.keys(requestNames)
  checkOptionNames(request, ofRequest, optionError)
  checkTrackerOptions(options, [...Object.keys(ownNames), ...others], ofRequest)
  checkNoMore(more, optionError)
}

/**
 * Announces to one or more trackers until closed, and yields the peers that they return; a peer is yielded
 * again with each reply that contains it.
 *
 * Announces are driven by timers and not by the reader. Up to 4,096 unread peers are buffered, then the
 * oldest are dropped. Failures go to `onWarning` and never end the iteration. Leaving the `for await` loop
 * closes the announcement. It keeps the process alive until closed.
 */
export class Announcement implements AsyncIterable<PeerAddress>, AsyncDisposable {
  readonly #request: AnnounceRequest
  readonly #options: AnnouncementOptions
  readonly #key: number
  readonly #queue: AsyncQueue<PeerAddress>
  readonly #trackers: readonly TrackerState[]
  readonly #loops: readonly AnnounceLoop[]
  /** Clients created here; undefined if the options contain one. */
  readonly #ownUdp: UdpTrackerClient | undefined
  readonly #ownNetwork: Network | undefined
  #last: TrackerReply | undefined
  /** Trackers that were last told that bytes are missing. */
  readonly #toldMissing = new Set<TrackerState>()
  #leaving = false
  #closing: Promise<void> | undefined

  /**
   * Starts at once, with one loop for each list of tiers. Use `announce` or `announceTiers` to create one.
   * @throws TorrentError ERR_TRACKER_OPTION if the request or a time span is invalid.
   */
  constructor(
    loops: readonly (readonly (readonly TrackerState[])[])[],
    request: AnnounceRequest,
    options: AnnouncementOptions = {}
  ) {
    checkRequest(request)
    const timing = timingOf(options)
    this.#request = request
    this.#options = options
    this.#key = request.key ?? new DataView(randomBytes(4).buffer).getUint32(0)
    this.#queue = new AsyncQueue(limits.unreadPeers, this)
    this.#trackers = loops.flat(2).slice()
    const network = options.network ?? new Network({ lookup: options.lookup })
    if (options.network === undefined) this.#ownNetwork = network
    if (options.udp === undefined && this.#trackers.some(({ location }) => location.protocol === 'udp:')) {
      this.#ownUdp = new UdpTrackerClient({ timers: options.timers, network })
    }
    const mediator = this.#mediator(timing, network)
    this.#loops = loops.map((tiers) => new AnnounceLoop(tiers, mediator))
    if (options.signal?.aborted || loops.length === 0) void this.close()
    else {
      options.signal?.addEventListener('abort', this.#onAbort, { once: true })
      for (const loop of this.#loops) loop.start()
    }
  }

  /** Latest successful reply of any tracker. */
  get last(): TrackerReply | undefined {
    return this.#last
  }

  /** Live status of each tracker. */
  get trackers(): readonly TrackerStatus[] {
    return this.#trackers
  }

  /** Reports once that the download is complete: now, or as soon as a tracker works. */
  completed(): void {
    if (this.#closing === undefined) for (const loop of this.#loops) loop.completed()
  }

  /**
   * Announces at once to working trackers that were told that bytes are missing, if `counters` now reports
   * none. For data that was found on disk, for which BEP 3 does not allow `completed`.
   */
  nothingLeft(): void {
    if (this.#closing === undefined) for (const loop of this.#loops) loop.nothingLeft()
  }

  /** Announces again as soon as the minimum interval of each tracker allows. */
  announceNow(): void {
    if (this.#closing === undefined) for (const loop of this.#loops) loop.announceNow()
  }

  /**
   * Ends the iteration and sends `stopped` to each tracker that knows us, after a pending `completed`. Always
   * resolves: each of the two takes at most `stopTimeoutMs` (2.5 s). Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Calls `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Returns the one queue of peers; several readers share its values. */
  [Symbol.asyncIterator](): AsyncIterableIterator<PeerAddress> {
    return this.#queue
  }

  readonly #onAbort = (): void => void this.close()

  async #close(): Promise<void> {
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
    this.#queue.end()
    this.#leaving = true
    await Promise.allSettled(this.#loops.map((loop) => loop.stop()))
    await this.#ownUdp?.close()
    await this.#ownNetwork?.close()
  }

  #mediator(timing: AnnounceTiming, network: Network): AnnounceMediator {
    const { timers = systemTimers, random = Math.random, ...rest } = this.#options
    const { onResponse, onExternalHost, onWarning, ...options } = rest
    return {
      timers,
      random,
      timing,
      announce: async (tracker, event, signal, progress) => {
        const leaving = this.#leaving
        const { pace, trust } = options
        if (!leaving) await pace?.turn(signal)
        progress.begun()
        if (log.enabled) log('announce %s to %s', event ?? 'again', tracker.location.host)
        const say = (): Promise<TrackerReply> =>
          exchange(tracker.location, this.#parameters(tracker, event), {
            ...options,
            network,
            trust: typeof trust === 'function' ? trust(tracker.url) : trust,
            timers,
            signal,
            udp: options.udp ?? this.#ownUdp,
            udpSchedule: leaving ? stopSchedule : (options.udpSchedule ?? loopSchedule),
            onSent: () => progress.sent(),
            onReply: ({ peers, externalHost }) => {
              progress.heard()
              if (leaving) return
              if (externalHost !== undefined) notify(onExternalHost, externalHost, tracker)
              for (const peer of peers) this.#queue.push(peer)
            },
            onOddReply: (warning) => {
              if (leaving || tracker.warnedOfOdd) return
              tracker.warnedOfOdd = true
              notify(onWarning, warning)
            }
          })
        return leaving && pace !== undefined ? pace.goodbye(signal, say) : say()
      },
      isOutdated: (tracker) => this.#toldMissing.has(tracker) && this.#isNothingLeft(),
      replied: (tracker, reply) => {
        this.#last = reply
        if (log.enabled) logReply(tracker, reply)
        notify(onResponse, reply, tracker)
      },
      failed: (tracker, error) => {
        if (log.enabled) log('%s failed: %s', tracker.location.host, error.message)
        notify(onWarning, error)
      }
    }
  }

  #isNothingLeft(): boolean {
    try {
      return this.#counters().left === 0
    } catch {
      // The next announce calls `counters` again and reports the error.
      return false
    }
  }

  #counters(): AnnounceCounters {
    return this.#request.counters?.() ?? { uploaded: 0, downloaded: 0, left: unknownLeft }
  }

  #parameters(tracker: TrackerState, event: AnnounceEvent): AnnounceParameters {
    const { infoHash, peerId, port, numwant = 200 } = this.#request
    const { uploaded, downloaded, left: missing } = this.#counters()
    // A completed torrent may already be in a recheck.
    const left = event === 'completed' ? 0 : missing
    if (left > 0) this.#toldMissing.add(tracker)
    else this.#toldMissing.delete(tracker)
    return {
      infoHash,
      peerId,
      port,
      uploaded: whole(uploaded),
      downloaded: whole(downloaded),
      left: whole(left),
      key: this.#key,
      numwant: this.#leaving ? 0 : numwant,
      event,
      trackerId: tracker.last?.trackerId
    }
  }
}

function logReply({ location }: TrackerState, reply: TrackerReply): void {
  const { peers, complete = 'no count of', incomplete = 'no count of', intervalMs = 0 } = reply
  const swarm = `${complete} seeds, ${incomplete} downloads`
  log('%s answers: %d peers, %s, asks for %d s', location.host, peers.length, swarm, intervalMs / 1000)
}

function timingOf(options: Partial<AnnounceTiming>): AnnounceTiming {
  const span = (name: keyof AnnounceTiming, otherwise: number): number => {
    const value = options[name] ?? otherwise
    checkSpan(name, value)
    return value
  }
  return {
    minIntervalMs: span('minIntervalMs', 60_000),
    maxIntervalMs: span('maxIntervalMs', 7_200_000),
    defaultIntervalMs: span('defaultIntervalMs', 1_800_000),
    firstRetryMs: span('firstRetryMs', 15_000),
    longestRetryMs: span('longestRetryMs', 1_800_000),
    stopTimeoutMs: span('stopTimeoutMs', 2_500),
    silenceMs: span('silenceMs', 5_000)
  }
}

function checkRequest(request: AnnounceRequest): void {
  const { infoHash, peerId, port, numwant = 0, key = 0, counters } = request
  checkId('infoHash', infoHash)
  checkId('peerId', peerId)
  checkType('counters', counters, 'function', optionError)
  const within = (name: string, value: number, limit: number): void => {
    if (Number.isInteger(value) && value >= 0 && value <= limit) return
    throw optionError(name, `must be an integer from 0 to ${limit}, not ${show(value)}`)
  }
  within('port', port, 65535)
  within('numwant', numwant, 2 ** 31 - 1)
  within('key', key, 2 ** 32 - 1)
}

function whole(count: number): number {
  return count > 0 ? Math.min(Math.floor(count), Number.MAX_SAFE_INTEGER) : 0
}
