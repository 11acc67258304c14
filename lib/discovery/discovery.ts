import type { PeerAddress } from '../util/address.ts'
import { AsyncQueue, type QueueReader } from '../util/async-queue.ts'
import { asError, TorrentError } from '../util/errors.ts'
import type { AddressBook } from './address-book.ts'
import type { AddressScope } from './address-scope.ts'
import type { HintedAddress } from './hints.ts'
import { type PeerSource, peerSources } from './peer-source.ts'

/** Options of a {@link Discovery}. */
export interface DiscoveryOptions {
  /** Book that receives the addresses. */
  readonly book: AddressBook
  /** Whether to use only the sources that a private torrent allows (BEP 27); default false. */
  readonly private?: boolean
  /** Returns the time in milliseconds, on the same clock as the book and its dialer. */
  readonly now: () => number
  /** Called when there is something new to dial, once for all addresses of a microtask. */
  readonly onPeers: () => void
  /** Called when a source failed and has ended. */
  readonly onWarning: (error: TorrentError) => void
}

/** Origin of the addresses of one attached source. */
export interface SourceOptions {
  /** Host that names the addresses and is responsible for them (PEX); see `AddressBook.add`. */
  readonly toldBy?: string
  /** Scope of the source, for PEX and DHT; default the scope of `toldBy`, or public without one. */
  readonly scope?: AddressScope
}

const privateSources: readonly PeerSource[] = ['manual', 'tracker', 'incoming', 'magnet', 'resume']

/** Addresses read in a row before a source that never waits must yield to the event loop. */
const addressesPerSlice = 256

/** Receives the addresses and the end of a source. */
interface SourceSink {
  enter(attached: Attached, address: PeerAddress): void
  end(attached: Attached, error: unknown): void
}

/** A running source; a queue is read by callbacks, without promises. */
class Attached implements QueueReader<PeerAddress> {
  readonly source: PeerSource
  readonly iterator: AsyncIterator<PeerAddress>
  readonly options: SourceOptions
  readonly #sink: SourceSink

  constructor(
    sink: SourceSink,
    source: PeerSource,
    iterator: AsyncIterator<PeerAddress>,
    options: SourceOptions
  ) {
    this.#sink = sink
    this.source = source
    this.iterator = iterator
    this.options = options
  }

  value(address: PeerAddress): void {
    try {
      this.#sink.enter(this, address)
    } catch (thrown) {
      release(this.iterator)
      this.#sink.end(this, thrown)
    }
  }

  end(error: unknown): void {
    this.#sink.end(this, error)
  }
}

/** Reads peer sources until they end or are closed, and adds their addresses to the address book. */
export class Discovery {
  readonly #book: AddressBook
  readonly #now: () => number
  readonly #onPeers: () => void
  readonly #onWarning: (error: TorrentError) => void
  readonly #attached = new Set<Attached>()
  readonly #sink: SourceSink = {
    enter: (attached, address) => {
      if (this.#attached.has(attached)) this.#enter(attached.source, address, attached.options)
    },
    end: (attached, error) => {
      // Deferred, because the source is still changing its own state.
      queueMicrotask(() => {
        if (this.#attached.delete(attached) && error !== undefined) this.#warn(attached.source, error)
      })
    }
  }
  #private: boolean
  #isNotifying = false
  #closed = false

  constructor({ book, private: isPrivate = false, now, onPeers, onWarning }: DiscoveryOptions) {
    this.#book = book
    this.#private = isPrivate
    this.#now = now
    this.#onPeers = onPeers
    this.#onWarning = onWarning
  }

  /** Whether the torrent is private (BEP 27). */
  get private(): boolean {
    return this.#private
  }

  /** Number of running sources. */
  get size(): number {
    return this.#attached.size
  }

  /**
   * Returns whether this kind of source may be used. A private torrent allows trackers, manual, magnet and
   * resume addresses, and incoming peers.
   */
  allows(source: PeerSource): boolean {
    return !this.#private || privateSources.includes(source)
  }

  /**
   * Reads a source until it ends. Returns a function that ends it early. After `close` the source is ended at
   * once.
   * @throws TorrentError ERR_DISCOVERY_PRIVATE if the torrent is private and does not allow this source.
   */
  attach(source: PeerSource, addresses: AsyncIterable<PeerAddress>, options: SourceOptions = {}): () => void {
    this.#check(source)
    const iterator = addresses[Symbol.asyncIterator]()
    const attached = new Attached(this.#sink, source, iterator, options)
    if (this.#closed) release(iterator)
    else {
      this.#attached.add(attached)
      // Most sources are queues; reading them by callback saves a promise for each address.
      if (iterator instanceof AsyncQueue) iterator.readBy(attached)
      else void this.#run(attached)
    }
    return () => this.#detach(attached)
  }

  /**
   * Adds a batch of addresses, such as those of a PEX message.
   * @throws TorrentError ERR_DISCOVERY_PRIVATE if the torrent is private and does not allow this source.
   */
  add(source: PeerSource, addresses: Iterable<HintedAddress>, options: SourceOptions = {}): void {
    this.#check(source)
    if (this.#closed) return
    for (const address of addresses) this.#enter(source, address, options)
  }

  /** Makes the torrent private, once its metadata says so: ends disallowed sources and forgets their peers. */
  makePrivate(): void {
    this.#private = true
    for (const attached of [...this.#attached]) if (!this.allows(attached.source)) this.#detach(attached)
    for (const source of peerSources) if (!this.allows(source)) this.#book.forget(source)
  }

  /** Ends all sources; idempotent. Later addresses and errors of these sources are ignored. */
  close(): void {
    this.#closed = true
    for (const attached of [...this.#attached]) this.#detach(attached)
  }

  #detach(attached: Attached): void {
    if (this.#attached.delete(attached)) release(attached.iterator)
  }

  async #run(attached: Attached): Promise<void> {
    const { source, iterator, options } = attached
    try {
      for (let count = 1; ; count++) {
        const { value, done } = await iterator.next()
        if (done === true || !this.#attached.has(attached)) break
        this.#enter(source, value, options)
        if (count % addressesPerSlice === 0) await new Promise((resolve) => setImmediate(resolve))
        if (!this.#attached.has(attached)) break
      }
    } catch (thrown) {
      if (this.#attached.has(attached)) this.#warn(source, thrown)
    }
    this.#attached.delete(attached)
  }

  #enter(source: PeerSource, address: HintedAddress, { toldBy, scope }: SourceOptions): void {
    if (!this.#book.add(address, source, this.#now(), toldBy, scope) || this.#isNotifying) return
    this.#isNotifying = true
    queueMicrotask(() => {
      this.#isNotifying = false
      if (!this.#closed) this.#onPeers()
    })
  }

  #warn(source: PeerSource, thrown: unknown): void {
    const cause = asError(thrown)
    const message = `the peer source '${source}' failed and has ended: ${cause.message}`
    this.#onWarning(
      cause instanceof TorrentError
        ? cause
        : new TorrentError('ERR_DISCOVERY_SOURCE', message, { cause, details: { source } })
    )
  }

  #check(source: PeerSource): void {
    if (this.allows(source)) return
    throw new TorrentError('ERR_DISCOVERY_PRIVATE', `a private torrent takes no peers from '${source}'`, {
      details: { source }
    })
  }
}

/** Ends an iterator without waiting for it; a busy generator ends when its current `await` settles. */
function release(iterator: AsyncIterator<PeerAddress>): void {
  try {
    Promise.resolve(iterator.return?.()).catch(() => {})
  } catch {
    // An iterator whose `return` throws is abandoned.
  }
}
