import { asError, TorrentError } from '../util/errors.ts'
import { WireDecoder, type WireDecoderHandler } from './decoder.ts'
import { Handling } from './handling.ts'
import type { Outbox } from './outbox.ts'
import type { OwnState } from './own-state.ts'
import { checkBytes } from './wire-arguments.ts'
import type { WireEvents } from './wire-events.ts'

/** Units of work between checks of the limits per turn. */
const workStep = 100

/** The part of a wire that an {@link Inbox} uses. */
export interface InboxMediator {
  emit<E extends keyof WireEvents>(name: E, ...values: WireEvents[E]): unknown
  destroy(error: Error): void
  readonly onHandled: ((ms: number) => number) | undefined
}

/** Decodes the bytes of a peer within the limits per turn of the event loop; the rest waits for later turns. */
export class Inbox {
  /** Total bytes received. */
  received = 0
  readonly #own: OwnState
  readonly #decoder: WireDecoder
  readonly #handling: Handling
  readonly #outbox: Outbox
  readonly #wire: InboxMediator
  /** Received bytes that wait for a later turn of the event loop. */
  #rest: Uint8Array | undefined
  #restTimer: NodeJS.Timeout | undefined
  /** Whether receiving is paused until the outbox shrinks. */
  #held = false
  #whenReceivable: (() => void) | undefined

  /** Creates an inbox that expects the peer's handshake first. */
  constructor(own: OwnState, messages: WireDecoderHandler, outbox: Outbox, wire: InboxMediator) {
    this.#own = own
    this.#decoder = new WireDecoder(messages, own.limits)
    this.#handling = new Handling(own.limits)
    this.#outbox = outbox
    this.#wire = wire
  }

  /** Decodes a chunk, which is borrowed for the call. False asks the caller to wait for `receivable` before the next one. */
  receive(chunk: Uint8Array): boolean {
    checkBytes('chunk', chunk)
    if (this.#own.closed) return true
    this.received += chunk.length
    if (this.#rest === undefined) return this.#decode(chunk, false)
    this.#rest = Buffer.concat([this.#rest, chunk])
    return false
  }

  /** Calls `callback` once, before the next `receivable` or when the wire closes. */
  whenReceivable(callback: () => void): void {
    this.#whenReceivable = callback
  }

  /** Resumes receiving after the outbox has handed messages to the reader. */
  outboxDrained(): void {
    if (!this.#held) return
    this.#held = false
    this.#offer()
  }

  /** Detaches the block being received from the memory of `blockTarget`. */
  detachBlock(): void {
    this.#decoder.detach()
  }

  /** Discards waiting bytes and ignores later ones. */
  close(): void {
    this.#decoder.stop()
    this.#rest = undefined
    clearTimeout(this.#restTimer)
    this.#callBack()
  }

  /** Decodes until the chunk ends or the limits per turn are reached. Returns whether the next chunk may come. Copies the rest unless `owned`. */
  #decode(chunk: Uint8Array, owned: boolean): boolean {
    const decoder = this.#decoder
    const handling = this.#handling
    let at = 0
    decoder.work = decoder.creditBytes = 0
    handling.begin()
    try {
      for (;;) {
        decoder.workMax = decoder.work + workStep
        at = decoder.push(chunk, at)
        if (at >= chunk.length || handling.isTurnOver(decoder.work)) break
      }
    } catch (error) {
      this.#wire.destroy(asError(error))
    }
    const ms = handling.end(at, decoder.work, decoder.creditBytes)
    const waitMs = ms > 0 ? (this.#wire.onHandled?.(ms) ?? 0) : 0
    if (this.#own.closed) return true
    if (waitMs === Number.POSITIVE_INFINITY) {
      this.#wire.destroy(
        new TorrentError('ERR_WIRE_LIMIT', 'handling the messages of the peer takes too much CPU time')
      )
      return true
    }
    if (at < chunk.length || waitMs > 0) {
      this.#rest = owned ? chunk.subarray(at) : new Uint8Array(chunk.subarray(at))
      if (waitMs === 0) setImmediate(() => this.#goOn())
      else this.#restTimer = setTimeout(() => this.#goOn(), waitMs).unref()
      return false
    }
    if (this.#outbox.length <= this.#own.limits.controlLength) return true
    this.#held = true
    return false
  }

  /** Decodes the bytes that waited for this turn. */
  #goOn(): void {
    const rest = this.#rest
    this.#rest = undefined
    if (rest !== undefined && this.#decode(rest, true)) this.#offer()
  }

  #offer(): void {
    this.#callBack()
    if (!this.#own.closed) this.#wire.emit('receivable')
  }

  #callBack(): void {
    const callback = this.#whenReceivable
    this.#whenReceivable = undefined
    callback?.()
  }
}
