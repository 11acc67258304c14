import type { DHT } from '../dht/dht.ts'
import type { PeerAddress } from '../util/address.ts'
import { AsyncQueue } from '../util/async-queue.ts'
import { debug } from '../util/debug.ts'
import { systemTimers, type Timers } from '../util/timers.ts'
import type { DhtTurns } from './dht-turns.ts'

const log = debug('dht')
/** Nodes keep an announced peer for 30 minutes (BEP 5 advises to announce again every 15). */
const everyMs = 15 * 60_000
/** With few peers, or when no node has taken the announce, it looks again after this time, then twice as long each time. */
const hungryMs = 10_000
/** Addresses that nobody has read yet. */
const mostUnread = 1000

/** What a {@link DhtSource} is made of. */
export interface DhtSourceOptions {
  readonly dht: Pick<DHT, 'announce' | 'connected' | 'peers'>
  /** Shared by all torrents of a client. */
  readonly turns: DhtTurns
  /** 20 bytes. */
  readonly infoHash: Uint8Array
  /** The port on which peers reach us, asked each time; 0: there is none, and nothing is announced. */
  port(): number
  /** Whether we have all of the torrent (BEP 33). */
  isSeed(): boolean
  /** Whether more peers are wanted soon. */
  isHungry(): boolean
  /** Default the system's. */
  readonly timers?: Timers | undefined
  /** Returns [0, 1): spreads the intervals. */
  readonly random?: (() => number) | undefined
}

/**
 * The peers of one torrent from the DHT, without end: looks them up and announces us at once, then every 15 minutes or so, and
 * sooner while peers are few. It begins with its creation and ends when the iterator is left; what is under way then is abandoned.
 */
export class DhtSource implements AsyncIterable<PeerAddress> {
  readonly #options: DhtSourceOptions
  readonly #timers: Timers
  readonly #random: () => number
  readonly #stop = new AbortController()
  readonly #found: AsyncQueue<PeerAddress>

  /** Begins. */
  constructor(options: DhtSourceOptions) {
    this.#options = options
    this.#timers = options.timers ?? systemTimers
    this.#random = options.random ?? Math.random
    this.#found = new AsyncQueue(mostUnread, () => this.close())
    this.#run().then(
      () => this.#found.end(),
      (error) => this.#found.end(this.#stop.signal.aborted ? undefined : error)
    )
  }

  /** Ends it at once; idempotent. */
  close(): void {
    this.#stop.abort()
    this.#found.end()
  }

  [Symbol.asyncIterator](): AsyncIterator<PeerAddress> {
    return this.#found
  }

  async #run(): Promise<void> {
    const { dht, turns, isHungry } = this.#options
    const { signal } = this.#stop
    let hurriedMs = 0
    while (!signal.aborted) {
      // Without any node there is nobody to ask, and no turn to take.
      await dht.connected({ signal })
      const release = await turns.take(isHungry(), signal)
      let heard: boolean
      try {
        heard = await this.#look(signal)
      } finally {
        release()
      }
      hurriedMs = heard && !isHungry() ? 0 : Math.min(everyMs, Math.max(hungryMs, 2 * hurriedMs))
      const waitMs = (hurriedMs === 0 ? everyMs : hurriedMs) * (0.9 + 0.2 * this.#random())
      await this.#wait(waitMs, signal)
    }
  }

  /** One look-up, with an announce if others can reach us; whether any node has listened. */
  async #look(signal: AbortSignal): Promise<boolean> {
    const { dht, infoHash } = this.#options
    const port = this.#options.port()
    if (port === 0) {
      let found = false
      for await (const peer of dht.peers(infoHash, { signal })) {
        found = true
        this.#found.push(peer)
      }
      return found
    }
    const seed = this.#options.isSeed()
    const onPeer = (peer: PeerAddress): void => this.#found.push(peer)
    const told = await dht.announce(infoHash, port, { seed, onPeer, signal })
    if (log.enabled) log('announced to %d nodes', told)
    return told > 0
  }

  #wait(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        cancel()
        reject(signal.reason)
      }
      const cancel = this.#timers.after(ms, () => {
        signal.removeEventListener('abort', onAbort)
        resolve()
      })
      if (signal.aborted) onAbort()
      else signal.addEventListener('abort', onAbort, { once: true })
    })
  }
}
