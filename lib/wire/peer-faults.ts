import type { WireLimits } from './limits.ts'
import { OddMessages } from './odd-messages.ts'
import type { FaultCounter } from './peer-messages.ts'
import type { PeerPiecesMediator } from './peer-pieces.ts'
import { RepeatedMessages } from './repeated-messages.ts'
import { log } from './trace.ts'

/** Counts what a peer may do now and then, but not all the time. */
export class PeerFaults implements FaultCounter, PeerPiecesMediator {
  readonly #id: number
  readonly #odd: OddMessages
  readonly #bulk: RepeatedMessages
  readonly #chokes: RepeatedMessages
  readonly #handshakes: RepeatedMessages

  /** No faults yet; `id` names the wire in logs. */
  constructor(limits: WireLimits, id: number) {
    const { bulkMessages, bulkMessageMs, chokes, chokeMs, extendedHandshakes, extendedHandshakeMs } = limits
    this.#id = id
    this.#odd = new OddMessages(limits)
    this.#bulk = new RepeatedMessages('messages that list all pieces', bulkMessages, bulkMessageMs)
    this.#chokes = new RepeatedMessages('chokes', chokes, chokeMs)
    this.#handshakes = new RepeatedMessages('extended handshakes', extendedHandshakes, extendedHandshakeMs)
  }

  odd(what: string): void {
    if (log.enabled) log('%d ignored: %s', this.#id, what)
    this.#odd.add(what)
  }

  listed(): void {
    this.#bulk.add()
  }

  choked(): void {
    this.#chokes.add()
  }

  introduced(): void {
    this.#handshakes.add()
  }
}
