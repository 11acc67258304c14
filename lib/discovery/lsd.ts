import { keyOfHash } from '../metainfo/info-hashes.ts'
import type { MulticastOptions, MulticastPort } from '../net/multicast-port.ts'
import { canonicalHost, formatAddress, type PeerAddress } from '../util/address.ts'
import { AsyncQueue } from '../util/async-queue.ts'
import { randomBytes, toHex } from '../util/bytes.ts'
import { debug } from '../util/debug.ts'
import { asError, TorrentError } from '../util/errors.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import { systemTimers, type Timers } from '../util/timers.ts'
import { isOnLocalNetwork } from './local-network.ts'
import { formatLsd, lsdCapacity, parseLsd } from './lsd-message.ts'

const log = debug('lsd')
const groups = { 4: '239.192.152.143', 6: 'ff15::efc0:988f' } as const
const groupPort = 6771
/** Interval between two announces of one torrent (BEP 14). */
const announceEveryMs = 300_000
/** Minimum interval between two announces of any torrents (BEP 14). */
const packetEveryMs = 60_000
/** Delay that lets torrents added at the same time share one announce. */
const gatherMs = 100
/** Span for the limits on announces heard: per torrent, and per host and torrent. */
const hearEveryMs = 60_000
const mostHeard = 64
const mostPerHost = 8

/** The part of a {@link MulticastPort} that LSD uses. */
export type LsdPort = Pick<MulticastPort, 'send' | 'refresh' | 'close'>

/** Options of an {@link Lsd}. */
export interface LsdOptions {
  /** Returns the port on which peers reach us; while it is 0, nothing is announced. */
  readonly port: () => number
  /** Called when the multicast group cannot be used in one address family. */
  readonly onWarning?: ((error: TorrentError) => void) | undefined
  /** Clock and timers; default the system's. */
  readonly timers?: Timers | undefined
  /** Opens the socket of one address family; resolves to undefined if that family has no interface. */
  open(options: MulticastOptions): Promise<LsdPort | undefined>
}

interface Announced {
  readonly queues: Set<AsyncQueue<PeerAddress>>
  announcedAt: number
  /** Announces heard from each host since `heardSince`; `heardCount` is their sum. */
  readonly heard: Map<string, number>
  heardCount: number
  heardSince: number
}

/**
 * Local service discovery (BEP 14): announces our torrents to the local network and collects the peers that
 * announce them. Uses one socket per address family for all torrents; the first torrent opens them.
 */
export class Lsd {
  readonly #options: LsdOptions
  readonly #timers: Timers
  readonly #cookie = `pw-${toHex(randomBytes(8))}`
  readonly #torrents = new Map<string, Announced>()
  readonly #ports = new Map<4 | 6, LsdPort>()
  #opening: Promise<void> | undefined
  #closing: Promise<void> | undefined
  #sentAt = Number.NEGATIVE_INFINITY
  #cancel: (() => void) | undefined

  constructor(options: LsdOptions) {
    this.#options = options
    this.#timers = options.timers ?? systemTimers
  }

  /**
   * Announces a torrent soon and then every 5 minutes (less often with more than a hundred torrents), and
   * yields local peers that announce it. A peer may be yielded repeatedly. Leaving the loop or calling
   * `return()` stops both.
   */
  peers(infoHash: Uint8Array): AsyncIterableIterator<PeerAddress> {
    const key = keyOfHash(infoHash)
    const queue: AsyncQueue<PeerAddress> = new AsyncQueue(mostHeard, { close: () => this.#leave(key, queue) })
    if (this.#closing !== undefined) {
      queue.end()
      return queue
    }
    const known = this.#torrents.get(key)
    if (known !== undefined) known.queues.add(queue)
    else {
      this.#torrents.set(key, {
        queues: new Set([queue]),
        announcedAt: Number.NEGATIVE_INFINITY,
        heard: new LazyMap(),
        heardCount: 0,
        heardSince: Number.NEGATIVE_INFINITY
      })
    }
    this.#opening ??= this.#open()
    this.#arm()
    return queue
  }

  /** Ends all iterators and closes the sockets; idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #open(): Promise<void> {
    await Promise.all([this.#openFamily(4), this.#openFamily(6)])
    this.#arm()
  }

  async #openFamily(family: 4 | 6): Promise<void> {
    const { onWarning, open } = this.#options
    try {
      const port = await open({
        family,
        group: groups[family],
        port: groupPort,
        accepts: isOnLocalNetwork,
        onMessage: (message, from) => this.#hear(message, from)
      })
      if (port !== undefined) this.#ports.set(family, port)
    } catch (thrown) {
      const cause = asError(thrown)
      const message = `local service discovery cannot be used over IPv${family}: ${cause.message}`
      if (this.#closing === undefined)
        onWarning?.(new TorrentError('ERR_DISCOVERY_LSD', message, { cause, details: { family } }))
    }
  }

  async #close(): Promise<void> {
    this.#cancel?.()
    for (const { queues } of this.#torrents.values()) for (const queue of queues) queue.end()
    this.#torrents.clear()
    await this.#opening
    await Promise.all([...this.#ports.values()].map((port) => port.close()))
  }

  #leave(key: string, queue: AsyncQueue<PeerAddress>): void {
    const torrent = this.#torrents.get(key)
    torrent?.queues.delete(queue)
    if (torrent?.queues.size === 0) this.#torrents.delete(key)
    this.#arm()
  }

  /** Schedules the next announce. */
  #arm(): void {
    this.#cancel?.()
    this.#cancel = undefined
    if (this.#closing !== undefined || this.#ports.size === 0) return
    let oldest = Number.POSITIVE_INFINITY
    for (const { announcedAt } of this.#torrents.values()) oldest = Math.min(oldest, announcedAt)
    if (oldest === Number.POSITIVE_INFINITY) return
    const now = this.#timers.now()
    const dueAt = Math.max(oldest + announceEveryMs, this.#sentAt + packetEveryMs, now + gatherMs)
    this.#cancel = this.#timers.after(dueAt - now, () => this.#announce())
  }

  #announce(): void {
    const now = this.#timers.now()
    const port = this.#options.port()
    if (port !== 0) {
      const due = [...this.#torrents]
        .filter(([, { announcedAt }]) => now - announcedAt >= announceEveryMs)
        .sort(([, a], [, b]) => (a.announcedAt === b.announcedAt ? 0 : a.announcedAt - b.announcedAt))
      const host = (family: 4 | 6): string => formatAddress({ host: groups[family], port: groupPort })
      const sent = due.slice(0, lsdCapacity(host(6), port, this.#cookie))
      for (const [family, socket] of this.#ports) {
        socket.refresh()
        const infoHashes = sent.map(([infoHash]) => infoHash)
        socket.send(formatLsd(host(family), { port, infoHashes, cookie: this.#cookie }))
      }
      for (const [, torrent] of sent) torrent.announcedAt = now
    }
    this.#sentAt = now
    this.#arm()
  }

  #hear(bytes: Uint8Array, from: PeerAddress): void {
    const message = parseLsd(bytes)
    if (message === undefined || message.cookie === this.#cookie) return
    const address = {
      host: from.host.includes('%') ? from.host : canonicalHost(from.host),
      port: message.port
    }
    for (const infoHash of message.infoHashes) {
      const torrent = this.#torrents.get(infoHash)
      if (torrent === undefined || !this.#believes(torrent, address.host)) continue
      if (log.enabled) log('%s is here: %s', infoHash, formatAddress(address))
      for (const queue of torrent.queues) queue.push(address)
    }
  }

  /**
   * Counts an announce of a host; returns whether it is within the limits, which matter because source
   * addresses can be forged.
   */
  #believes(torrent: Announced, host: string): boolean {
    const now = this.#timers.now()
    if (now - torrent.heardSince >= hearEveryMs) {
      torrent.heardSince = now
      torrent.heard.clear()
      torrent.heardCount = 0
    }
    const count = torrent.heard.get(host) ?? 0
    if (count >= mostPerHost || torrent.heardCount >= mostHeard) return false
    torrent.heard.set(host, count + 1)
    torrent.heardCount++
    return true
  }
}
