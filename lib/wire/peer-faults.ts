import { TorrentError } from '../util/errors.ts'
import type { WireLimits } from './limits.ts'
import type { FaultCounter } from './peer-messages.ts'
import type { PeerPiecesMediator } from './peer-pieces.ts'
import { protocolError } from './protocol-error.ts'
import { RepeatedMessages } from './repeated-messages.ts'
import { log } from './trace.ts'

/** Counts messages that a peer may send occasionally but not continually; throws above the limits. */
export class PeerFaults implements FaultCounter, PeerPiecesMediator {
  readonly #id: number
  readonly #limits: WireLimits
  readonly #odd: RepeatedMessages
  readonly #bulk: RepeatedMessages
  readonly #chokes: RepeatedMessages
  readonly #handshakes: RepeatedMessages

  /** `id` identifies the wire in logs. */
  constructor(limits: WireLimits, id: number) {
    this.#id = id
    this.#limits = limits
    this.#odd = new RepeatedMessages(limits.oddMessages, limits.oddMessageMs)
    this.#bulk = new RepeatedMessages(limits.bulkMessages, limits.bulkMessageMs)
    this.#chokes = new RepeatedMessages(limits.chokes, limits.chokeMs)
    this.#handshakes = new RepeatedMessages(limits.extendedHandshakes, limits.extendedHandshakeMs)
  }

  oddMessage(what: string): void {
    if (log.enabled) log('%d ignored: %s', this.#id, what)
    if (this.#odd.add()) return
    const { oddMessages } = this.#limits
    throw protocolError(`the peer sent more than ${oddMessages} invalid messages; the last: ${what}`)
  }

  bulkMessage(): void {
    if (!this.#bulk.add()) throw tooMany(this.#limits.bulkMessages, 'messages that list all pieces')
  }

  choke(): void {
    if (!this.#chokes.add()) throw tooMany(this.#limits.chokes, 'chokes')
  }

  extendedHandshake(): void {
    if (!this.#handshakes.add()) throw tooMany(this.#limits.extendedHandshakes, 'extended handshakes')
  }
}

function tooMany(most: number, what: string): TorrentError {
  return new TorrentError('ERR_WIRE_LIMIT', `the peer sent more than ${most} ${what} in a short time`)
}
