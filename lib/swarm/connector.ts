import { setMaxListeners } from 'node:events'
import type { Candidate } from '../discovery/address-book.ts'
import { type DialEnd, type DialVariant, variantsAfter } from '../discovery/dial-variant.ts'
import { type InfoHashes, isNamedBy, wireHash } from '../metainfo/info-hashes.ts'
import type { Connection } from '../net/connection.ts'
import type { MseMethod } from '../transport/mse/encryption.ts'
import { MseInitiator } from '../transport/mse/initiator.ts'
import { keyPairs } from '../transport/mse/key-pair.ts'
import { MseConnection } from '../transport/mse/mse-connection.ts'
import { ThrottledConnection, type Throttles } from '../transport/throttled.ts'
import { formatAddress, type PeerAddress } from '../util/address.ts'
import { debug } from '../util/debug.ts'
import { asError, TorrentError } from '../util/errors.ts'
import { Wire } from '../wire/wire.ts'
import type { WireOptions } from '../wire/wire-events.ts'
import { type PeerConnection, PendingHandshakes } from './pending-handshakes.ts'

const log = debug('dial')

/** The methods that each kind of MSE dial offers. */
const offers: Record<'mse' | 'rc4', readonly MseMethod[]> = { mse: ['plain', 'rc4'], rc4: ['rc4'] }

/** Options of a {@link Connector}. */
export interface ConnectorOptions {
  readonly infoHashes: InfoHashes
  /** Own peer id, 20 bytes. */
  readonly peerId: Uint8Array
  /** Rate limits that all connections share. */
  readonly throttles: Throttles
  /** Connects to an address; rejects when the connection fails or `signal` aborts. */
  dial(address: PeerAddress, variant: DialVariant, signal: AbortSignal): Promise<Connection>
  /** Handshake timeout in milliseconds; default 10 s. */
  readonly timeoutMs?: number | undefined
}

/** Callbacks of a {@link Connector}. Each candidate ends with exactly one of `onConnected`, `onSelf`, `onFailed` and `onPostponed`. */
export interface ConnectorEvents {
  /** Returns the options for new wires, as far as they are known. */
  wireOptions(): WireOptions
  /** Whether the candidate is still wanted; asked once its connection is open. */
  isWanted(candidate: Candidate): boolean
  /** Called before the next variant of a candidate is dialled, to count that dial; returns false if the peer has connected meanwhile. */
  onRetry(candidate: Candidate): boolean
  /** The handshake arrived. Listeners for later messages must be attached before this returns. */
  onConnected(candidate: Candidate, variant: DialVariant, peer: PeerConnection): void
  /** The candidate is this client. */
  onSelf(candidate: Candidate): void
  /** No variant led to a handshake for this torrent, the candidate is not wanted any more, or the connector is closed. */
  onFailed(candidate: Candidate): void
  /** The candidate was not dialled, because our proxy failed; it is not at fault. */
  onPostponed(candidate: Candidate): void
}

/**
 * Dials candidates, one variant after another, and waits for the handshake. If an address cannot be reached, the next variant with
 * another transport follows. If the peer closes the connection before its handshake, the next variant that may succeed follows, because
 * clients that require or refuse encryption do so. A peer that stays silent or has begun to answer is not dialled again.
 */
export class Connector {
  readonly #options: ConnectorOptions
  readonly #events: ConnectorEvents
  readonly #pending: PendingHandshakes
  /** Created with the first dial, because most torrents of a large client have no candidates. */
  #abort: AbortController | undefined
  #closed = false

  constructor(options: ConnectorOptions, events: ConnectorEvents) {
    this.#options = options
    this.#events = events
    this.#pending = new PendingHandshakes(options)
  }

  /** Dials a candidate with its variants, in their order. */
  connect(candidate: Candidate): void {
    const { address, source, variants } = candidate
    if (log.enabled) log('dial %s, named by %s', formatAddress(address), source)
    this.#next(candidate, variants)
  }

  /** Aborts all dials and handshakes, and starts no more; idempotent. */
  close(): void {
    this.#closed = true
    this.#abort?.abort(new TorrentError('ERR_TORRENT_CLOSED', 'the torrent is closed'))
    this.#pending.close()
  }

  #next(candidate: Candidate, [variant, ...others]: readonly DialVariant[]): void {
    if (variant === undefined || this.#closed) this.#events.onFailed(candidate)
    else void this.#dial(candidate, variant, others)
  }

  #retry(candidate: Candidate, failed: DialVariant, left: readonly DialVariant[], end: DialEnd): void {
    const variants = variantsAfter(failed, left, end)
    const goesOn = variants.length > 0 && !this.#closed && this.#events.onRetry(candidate)
    this.#next(candidate, goesOn ? variants : [])
  }

  async #dial(candidate: Candidate, variant: DialVariant, others: readonly DialVariant[]): Promise<void> {
    const { address } = candidate
    let connection: Connection
    try {
      connection = await this.#options.dial(address, variant, this.#signal)
    } catch (error) {
      if (log.enabled) log('dial %s failed: %s', formatAddress(address), asError(error).message)
      // The proxy's fault says nothing of the peer.
      if (error instanceof TorrentError && error.code === 'ERR_TRANSPORT_PROXY') {
        this.#events.onPostponed(candidate)
        return
      }
      this.#retry(candidate, variant, others, 'unreachable')
      return
    }
    if (this.#closed || !this.#events.isWanted(candidate)) {
      connection.close()
      this.#events.onFailed(candidate)
    } else this.#shakeHands(connection, candidate, variant, others)
  }

  /** Sends our handshake and waits for the peer's. */
  #shakeHands(
    connection: Connection,
    candidate: Candidate,
    variant: DialVariant,
    others: readonly DialVariant[]
  ): void {
    const { infoHashes, peerId, throttles } = this.#options
    const wire = Wire.ofClient(this.#events.wireOptions())
    const encrypted = this.#encrypt(connection, variant)
    /** Whether we closed the wire ourselves; then another variant would not help. */
    let isOurs = false
    const onError = (error: Error): void => {
      isOurs = error instanceof TorrentError
    }
    wire.on('error', onError)
    let isSelf = false
    this.#pending
      .begin(connection)
      .listen(new ThrottledConnection(encrypted ?? connection, throttles), wire, {
        onHandshake: (peer) => {
          wire.off('error', onError)
          if (isNamedBy(infoHashes, peer.infoHash)) this.#events.onConnected(candidate, variant, peer)
          else {
            wire.once('close', () => this.#events.onFailed(candidate))
            wire.destroy(new TorrentError('ERR_WIRE_PROTOCOL', 'the peer answered for another torrent'))
          }
        },
        onSelf: () => {
          isSelf = true
          wire.destroy(new TorrentError('ERR_WIRE_CLOSED', 'the peer is this client'))
        },
        onEnd: () => {
          if (isSelf) this.#events.onSelf(candidate)
          else {
            const end = isOurs || wire.received > 0 ? 'answered' : endOf(encrypted)
            if (log.enabled) log('%s %s', formatAddress(candidate.address), explain(variant, end))
            this.#retry(candidate, variant, others, end)
          }
        }
      })
    wire.handshake(wireHash(infoHashes), peerId)
  }

  #encrypt(connection: Connection, { encryption }: DialVariant): MseConnection | undefined {
    if (encryption === 'plain') return undefined
    const infoHash = wireHash(this.#options.infoHashes)
    const methods = offers[encryption]
    return new MseConnection(connection, new MseInitiator({ infoHash, methods, keyPair: keyPairs.take() }))
  }

  get #signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController()
      // Each pending dial adds a listener, so Node's warning limit does not apply.
      setMaxListeners(0, this.#abort.signal)
    }
    return this.#abort.signal
  }
}

/** Returns how far a dial came that the peer ended without a byte of the BitTorrent protocol. */
function endOf(encrypted: MseConnection | undefined): DialEnd {
  if (encrypted === undefined || encrypted.heard === 'nothing') return 'closed'
  return encrypted.heard === 'key' ? 'key' : 'answered'
}

function explain({ transport, encryption }: DialVariant, end: DialEnd): string {
  const how = `${transport} ${encryption}`
  if (end === 'closed') return `closed ${how} without an answer`
  return end === 'key' ? `closed ${how} after its key` : `did not shake hands by ${how}`
}
