import type { DHT } from '../dht/dht.ts'
import type { PeerAddress } from '../util/address.ts'
import { AsyncQueue } from '../util/async-queue.ts'
import { debug } from '../util/debug.ts'
import type { DhtMember, LookupScheduler } from './lookup-scheduler.ts'

const log = debug('dht')
/** DHT nodes keep an announced peer for 30 minutes; BEP 5 recommends announcing every 15. */
const everyMs = 15 * 60_000
/** First retry interval while peers are few or no node accepted the announce; it doubles each time. */
const firstRetryMs = 10_000
/** Maximum number of buffered addresses. */
const mostUnread = 1000

/** Options of a {@link DhtSource}. */
export interface DhtSourceOptions {
  readonly dht: Pick<DHT, 'announce' | 'connected' | 'peers'>
  /** Scheduler shared by all torrents of a client. */
  readonly scheduler: LookupScheduler
  /** 20 bytes. */
  readonly infoHash: Uint8Array
  /** Returns our public listen port, read before each look-up; 0 if there is none, and then nothing is announced. */
  port(): number
  /** Returns whether we have the whole torrent (BEP 33). */
  isSeed(): boolean
  /** Returns whether more peers are wanted soon. */
  isHungry(): boolean
  /** Called before each peer is passed on, and after each look-up. */
  onAnswer?(): void
  /** Returns a number in [0, 1), which spreads the intervals; default `Math.random`. */
  readonly random?: (() => number) | undefined
}

/**
 * Peers of one torrent from the DHT, without end. Looks them up and announces us at once, then about every 15
 * minutes, and sooner while peers are few. Starts when constructed, and stops when the iterator is closed; a
 * look-up in progress is then aborted.
 */
export class DhtSource implements AsyncIterable<PeerAddress>, DhtMember {
  readonly #options: DhtSourceOptions
  readonly #found: AsyncQueue<PeerAddress>
  /** Aborts the look-up in progress. */
  #lookup: AbortController | undefined
  /** Last retry interval in milliseconds; 0 while the regular interval applies. */
  #retryMs = 0
  /** Port of the last announce. */
  #announcedPort = 0
  #isConnected = false
  #closed = false

  constructor(options: DhtSourceOptions) {
    this.#options = options
    this.#found = new AsyncQueue(mostUnread, this)
    this.#connect()
  }

  /** Stops at once; idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#options.scheduler.leave(this)
    this.#lookup?.abort()
    this.#found.end()
  }

  [Symbol.asyncIterator](): AsyncQueue<PeerAddress> {
    return this.#found
  }

  // ---- DhtMember ----

  get isUrgent(): boolean {
    return this.#options.isHungry()
  }

  wake(): void {
    if (this.#closed) return
    if (!this.#isConnected) {
      this.#isConnected = true
      this.#options.scheduler.join(this)
    } else this.#connect()
  }

  begin(end: () => void): void {
    const lookup = new AbortController()
    this.#lookup = lookup
    this.#lookUp(lookup.signal)
      .finally(() => {
        this.#lookup = undefined
        end()
      })
      .then(
        (heard) => this.#sleep(heard),
        (error) => this.fail(error)
      )
  }

  fail(error: unknown): void {
    if (this.#closed) return
    this.#found.end(error)
    this.close()
  }

  /** Waits for the first DHT node before joining the queue: no look-up is possible without one. */
  #connect(): void {
    const { dht, scheduler } = this.#options
    this.#isConnected = false
    scheduler.connect(this, dht)
  }

  #sleep(heard: boolean): void {
    if (this.#closed) return
    this.#options.onAnswer?.()
    const { isHungry, scheduler, random = Math.random } = this.#options
    // A look-up that was under way when the port changed has announced the old one.
    const isAnnounced = heard && this.#announcedPort === this.#options.port()
    this.#retryMs =
      isAnnounced && !isHungry() ? 0 : Math.min(everyMs, Math.max(firstRetryMs, 2 * this.#retryMs))
    scheduler.sleep(this, (this.#retryMs === 0 ? everyMs : this.#retryMs) * (0.9 + 0.2 * random()))
  }

  #pass(peer: PeerAddress): void {
    if (this.#closed) return
    this.#options.onAnswer?.()
    this.#found.push(peer)
  }

  /**
   * Runs one look-up, with an announce if peers can reach us. Returns whether a node accepted the announce, or, without
   * an announce, whether a peer was found.
   */
  async #lookUp(signal: AbortSignal): Promise<boolean> {
    const { dht, infoHash } = this.#options
    const port = this.#options.port()
    this.#announcedPort = port
    if (port === 0) {
      let found = false
      for await (const peer of dht.peers(infoHash, { signal })) {
        found = true
        this.#pass(peer)
      }
      return found
    }
    const seed = this.#options.isSeed()
    const onPeer = (peer: PeerAddress): void => this.#pass(peer)
    const told = await dht.announce(infoHash, port, { seed, onPeer, signal })
    if (log.enabled) log('announced to %d nodes', told)
    return told > 0
  }
}
