import type { PeerAddress } from '../util/address.ts'
import { AsyncQueue, type QueueReader } from '../util/async-queue.ts'
import { asError, TorrentError } from '../util/errors.ts'
import type { AddressBook } from './address-book.ts'
import type { AddressScope } from './address-scope.ts'
import type { HintedAddress } from './hints.ts'
import { type PeerSource, peerSources } from './peer-source.ts'

/** What a {@link Discovery} is made of. */
export interface DiscoveryOptions {
  /** Where the addresses go. */
  readonly book: AddressBook
  /** Peers only from trackers and people (BEP 27). */
  readonly private?: boolean
  /** The time in milliseconds, as the book and its dialer have it. */
  readonly now: () => number
  /** There is something new to dial; called once for all that comes in one turn. */
  readonly onPeers: () => void
  /** A source failed and has ended. */
  readonly onWarning: (error: TorrentError) => void
}

/** What one attached source may say about itself. */
export interface SourceOptions {
  /** The host that tells the addresses and answers for all of them, for PEX; see `AddressBook.add`. */
  readonly toldBy?: string
  /** The scope of their source, for PEX and DHT; default that of this host, or public without one. */
  readonly scope?: AddressScope
}

const privateSources: readonly PeerSource[] = ['manual', 'tracker', 'incoming', 'magnet', 'resume']

/** After so many addresses in a row a source that never waits lets the rest of the program run. */
const addressesPerTurn = 256

/** What a source does with a {@link Discovery}. */
interface SourceSink {
  enter(attached: Attached, address: PeerAddress): void
  end(attached: Attached, error: unknown): void
}

/** A source that runs; reads it itself when it is a queue. */
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

/** Lets sources of peers run until they end or are closed, and enters what they tell in the address book. */
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
      // Not within the source, which is in the middle of its own change.
      queueMicrotask(() => {
        if (this.#attached.delete(attached) && error !== undefined) this.#warn(attached.source, error)
      })
    }
  }
  #private: boolean
  #told = false
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

  /** Sources that still run. */
  get size(): number {
    return this.#attached.size
  }

  /** Whether a source of this kind may be used: a private torrent has only trackers, people, and who comes by itself. */
  allows(source: PeerSource): boolean {
    return !this.#private || privateSources.includes(source)
  }

  /**
   * Reads a source until it ends; the function returned ends it early. After `close` the source is ended at once.
   * @throws TorrentError ERR_DISCOVERY_PRIVATE when the torrent is private and the source is not for it.
   */
  attach(source: PeerSource, addresses: AsyncIterable<PeerAddress>, options: SourceOptions = {}): () => void {
    this.#check(source)
    const iterator = addresses[Symbol.asyncIterator]()
    const attached = new Attached(this.#sink, source, iterator, options)
    if (this.#closed) release(iterator)
    else {
      this.#attached.add(attached)
      // Most sources are queues, which need not be waited for one value after the other.
      if (iterator instanceof AsyncQueue) iterator.readBy(attached)
      else void this.#run(attached)
    }
    return () => this.#detach(attached)
  }

  /**
   * Enters addresses that came at once, as from a PEX message.
   * @throws TorrentError ERR_DISCOVERY_PRIVATE as `attach` does.
   */
  add(source: PeerSource, addresses: Iterable<HintedAddress>, options: SourceOptions = {}): void {
    this.#check(source)
    if (this.#closed) return
    for (const address of addresses) this.#enter(source, address, options)
  }

  /** The metadata says that the torrent is private: ends the sources that it must not have and forgets their peers. */
  makePrivate(): void {
    this.#private = true
    for (const attached of [...this.#attached]) if (!this.allows(attached.source)) this.#detach(attached)
    for (const source of peerSources) if (!this.allows(source)) this.#book.forget(source)
  }

  /** Ends all sources; idempotent. What they still tell or how they fail is ignored. */
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
        if (count % addressesPerTurn === 0) await new Promise((resolve) => setImmediate(resolve))
        if (!this.#attached.has(attached)) break
      }
    } catch (thrown) {
      if (this.#attached.has(attached)) this.#warn(source, thrown)
    }
    this.#attached.delete(attached)
  }

  #enter(source: PeerSource, address: HintedAddress, { toldBy, scope }: SourceOptions): void {
    if (!this.#book.add(address, source, this.#now(), toldBy, scope) || this.#told) return
    this.#told = true
    queueMicrotask(() => {
      this.#told = false
      if (!this.#closed) this.#onPeers()
    })
  }

  #warn(source: PeerSource, thrown: unknown): void {
    const cause = asError(thrown)
    const message = `peers from ${source}: ${cause.message}`
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

/** Ends an iterator without waiting for it: a generator that is busy ends when its own wait does. */
function release(iterator: AsyncIterator<PeerAddress>): void {
  try {
    Promise.resolve(iterator.return?.()).catch(() => {})
  } catch {
    // An iterator that cannot even be asked to end is left alone.
  }
}
