import type { WireExtension } from './extension.ts'
import { uint32 } from './messages.ts'
import type { Wire } from './wire.ts'

/**
 * Sends and receives `lt_donthave`: the sender no longer has a piece (BEP 54). A received message removes the piece from the wire's
 * `peerPieces`, and the wire emits `dont-have`.
 */
export class DontHaveExtension implements WireExtension {
  readonly name = 'lt_donthave'
  readonly #wire: Pick<Wire, 'extended' | 'peerLost' | 'oddMessage'>

  /** Creates the extension for one wire; attach it with `wire.use`. */
  constructor(wire: Pick<Wire, 'extended' | 'peerLost' | 'oddMessage'>) {
    this.#wire = wire
  }

  /** Tells the peer that we no longer have a piece; returns false if it does not support the extension. */
  dontHave(piece: number): boolean {
    const payload = new Uint8Array(4)
    new DataView(payload.buffer).setUint32(0, piece)
    return this.#wire.extended(this.name, payload)
  }

  onMessage(payload: Uint8Array): void {
    if (payload.length !== 4) this.#wire.oddMessage(`an lt_donthave message of ${payload.length} bytes`)
    else this.#wire.peerLost(uint32(payload, 0))
  }
}
