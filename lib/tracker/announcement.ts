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
/** 35 seconds in all: a loop comes back anyway, and has other trackers to try. */
const loopSchedule = { firstTimeoutMs: 5_000, retries: 2 }
const stopSchedule = { firstTimeoutMs: 800, retries: 1 }

/** What is announced; `port` and `counters` are read anew for each announce. */
export interface AnnounceRequest {
  /** 20 bytes. */
  readonly infoHash: Uint8Array
  /** 20 bytes. */
  readonly peerId: Uint8Array
  /** The port that peers may dial, 0 to 65535. */
  readonly port: number
  /** Bytes transferred since the start, and bytes missing; default nothing, and some. */
  readonly counters?: (() => AnnounceCounters) | undefined
  /** How many peers are wanted; default 200. */
  readonly numwant?: number | undefined
  /** 32 bits that stay the same while our address changes; default random. */
  readonly key?: number | undefined
}

/** How an announcement goes about it. */
export interface AnnouncementOptions extends Omit<TrackerOptions, 'trust'>, Partial<AnnounceTiming> {
  /** As for {@link TrackerOptions}, or a function that tells it of each URL before each announce. */
  readonly trust?: Trust | ((url: string) => Trust) | undefined
  /** Closes the announcement. */
  readonly signal?: AbortSignal | undefined
  /** Hears of each good reply. */
  readonly onResponse?: ((reply: TrackerReply, tracker: TrackerStatus) => void) | undefined
  /** Hears of our address as a tracker sees it (BEP 24), before the peers that came with it are yielded. */
  readonly onExternalHost?: ((host: string, tracker: TrackerStatus) => void) | undefined
  /** Hears of each failure, and once for each tracker of answers of which only a part is of use; the announcement goes on. */
  readonly onWarning?: ((error: Error) => void) | undefined
  /** A number from 0 up to 1 for shuffling and for back-off; default Math.random. */
  readonly random?: (() => number) | undefined
}

// Records, so that an option without a place here is no valid program.
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
 * Refuses what an announcement does not know or cannot use, and further arguments; `others` are options of the caller's own.
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
 * Tells one or more trackers of us, from now until it is closed, and yields the peers that they name; a peer comes again
 * with each reply that names it. Its own timer drives it and not the reader: unread peers are kept up to 4096, then the oldest
 * are dropped. Failures go to `onWarning`, and never end or throw out of the loop. Leaving the `for await` closes it. The
 * process stays alive until it is closed.
 */
export class Announcement implements AsyncIterable<PeerAddress>, AsyncDisposable {
  readonly #request: AnnounceRequest
  readonly #options: AnnouncementOptions
  readonly #key: number
  readonly #queue: AsyncQueue<PeerAddress>
  readonly #trackers: readonly TrackerState[]
  readonly #loops: readonly AnnounceLoop[]
  /** Undefined for the ones that were given. */
  readonly #ownUdp: UdpTrackerClient | undefined
  readonly #ownNetwork: Network | undefined
  #last: TrackerReply | undefined
  /** Trackers that were last told that bytes are missing. */
  readonly #toldMissing = new Set<TrackerState>()
  #leaving = false
  #closing: Promise<void> | undefined

  /**
   * Starts at once, with one loop for each list of tiers; `announce` and `announceTiers` make these.
   * @throws TorrentError ERR_TRACKER_OPTION when the request or a span of time is not valid.
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

  /** The last good reply of any of the trackers. */
  get last(): TrackerReply | undefined {
    return this.#last
  }

  /** How each tracker fares; live. */
  get trackers(): readonly TrackerStatus[] {
    return this.#trackers
  }

  /** Reports, once, that the download is complete: now, or as soon as a tracker works. */
  completed(): void {
    if (this.#closing === undefined) for (const loop of this.#loops) loop.completed()
  }

  /**
   * Announces at once to the trackers that work and were told that bytes are missing, when `counters` says now that none is: for data
   * that was found, of which `completed` is not for (BEP 3).
   */
  nothingLeft(): void {
    if (this.#closing === undefined) for (const loop of this.#loops) loop.nothingLeft()
  }

  /** Announces again as soon as the shortest interval of each tracker allows. */
  announceNow(): void {
    if (this.#closing === undefined) for (const loop of this.#loops) loop.announceNow()
  }

  /**
   * Ends the iteration and tells `stopped` to each tracker that knows of us, after `completed` if that was to be told; resolves in
   * any case, after 2.5 seconds (`stopTimeoutMs`) for each of the two at most. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** The same as `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** The one queue of peers: several readers share it out among them. */
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
      // The next announce asks them again and fails.
      return false
    }
  }

  #counters(): AnnounceCounters {
    return this.#request.counters?.() ?? { uploaded: 0, downloaded: 0, left: unknownLeft }
  }

  #parameters(tracker: TrackerState, event: AnnounceEvent): AnnounceParameters {
    const { infoHash, peerId, port, numwant = 200 } = this.#request
    const { uploaded, downloaded, left: missing } = this.#counters()
    // A completed torrent may be in a recheck by now.
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
    throw optionError(name, `is an integer from 0 to ${limit}, not ${show(value)}`)
  }
  within('port', port, 65535)
  within('numwant', numwant, 2 ** 31 - 1)
  within('key', key, 2 ** 32 - 1)
}

function whole(count: number): number {
  return count > 0 ? Math.min(Math.floor(count), Number.MAX_SAFE_INTEGER) : 0
}
