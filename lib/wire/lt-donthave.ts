import type { WireExtension } from './extension.ts'
import { uint32 } from './messages.ts'
import type { Wire } from './wire.ts'

/**
 * Messages by which a peer says that it has a piece no longer (BEP 54). What the peer lost is taken out of the wire's
 * `peerPieces`, and the wire emits `dont-have`.
 */
export class DontHaveExtension implements WireExtension {
  readonly name = 'lt_donthave'
  readonly #wire: Pick<Wire, 'extended' | 'peerLost' | 'oddMessage'>

  /** An extension for one wire, to be given to its `use`. */
  constructor(wire: Pick<Wire, 'extended' | 'peerLost' | 'oddMessage'>) {
    this.#wire = wire
  }

  /** Tells the peer that we have a piece no longer; false when it does not know the extension. */
  dontHave(piece: number): boolean {
    const payload = new Uint8Array(4)
    new DataView(payload.buffer).setUint32(0, piece)
    return this.#wire.extended(this.name, payload)
  }

  onMessage(payload: Uint8Array): void {
    if (payload.length !== 4) this.#wire.oddMessage(`a lt_donthave message of ${payload.length} bytes`)
    else this.#wire.peerLost(uint32(payload, 0))
  }
}
