import type { DHT } from '../dht/dht.ts'
import type { PeerAddress } from '../util/address.ts'
import { AsyncQueue } from '../util/async-queue.ts'
import { debug } from '../util/debug.ts'
import type { DhtMember, DhtTurns } from './dht-turns.ts'

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
  /** Nodes have answered: called before each peer is passed on, and after each look-up. */
  onAnswer?(): void
  /** Returns [0, 1): spreads the intervals. */
  readonly random?: (() => number) | undefined
}

/**
 * The peers of one torrent from the DHT, without end: looks them up and announces us at once, then every 15 minutes or so, and
 * sooner while peers are few. It begins with its creation and ends when the iterator is left; what is under way then is abandoned.
 */
export class DhtSource implements AsyncIterable<PeerAddress>, DhtMember {
  readonly #options: DhtSourceOptions
  readonly #found: AsyncQueue<PeerAddress>
  /** While a look-up is under way. */
  #looking: AbortController | undefined
  /** 0 while it is in no hurry, else what it has waited last. */
  #hurriedMs = 0
  #isConnected = false
  #closed = false

  /** Begins. */
  constructor(options: DhtSourceOptions) {
    this.#options = options
    this.#found = new AsyncQueue(mostUnread, this)
    this.#connect()
  }

  /** Ends it at once; idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#options.turns.leave(this)
    this.#looking?.abort()
    this.#found.end()
  }

  [Symbol.asyncIterator](): AsyncQueue<PeerAddress> {
    return this.#found
  }

  // ---- for the turns ----

  get isUrgent(): boolean {
    return this.#options.isHungry()
  }

  wake(): void {
    if (this.#closed) return
    if (!this.#isConnected) {
      this.#isConnected = true
      this.#options.turns.join(this)
    } else this.#connect()
  }

  begin(end: () => void): void {
    const looking = new AbortController()
    this.#looking = looking
    this.#look(looking.signal)
      .finally(() => {
        this.#looking = undefined
        end()
      })
      .then(
        (heard) => this.#rest(heard),
        (error) => this.fail(error)
      )
  }

  fail(error: unknown): void {
    if (this.#closed) return
    this.#found.end(error)
    this.close()
  }

  // ---- inside ----

  /** Without any node there is nobody to ask, and no turn to take. */
  #connect(): void {
    const { dht, turns } = this.#options
    this.#isConnected = false
    turns.connect(this, dht)
  }

  #rest(heard: boolean): void {
    if (this.#closed) return
    this.#options.onAnswer?.()
    const { isHungry, turns, random = Math.random } = this.#options
    this.#hurriedMs = heard && !isHungry() ? 0 : Math.min(everyMs, Math.max(hungryMs, 2 * this.#hurriedMs))
    turns.sleep(this, (this.#hurriedMs === 0 ? everyMs : this.#hurriedMs) * (0.9 + 0.2 * random()))
  }

  #pass(peer: PeerAddress): void {
    if (this.#closed) return
    this.#options.onAnswer?.()
    this.#found.push(peer)
  }

  /** One look-up, with an announce if others can reach us; whether any node has listened. */
  async #look(signal: AbortSignal): Promise<boolean> {
    const { dht, infoHash } = this.#options
    const port = this.#options.port()
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
