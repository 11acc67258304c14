import type { WireLimits } from './limits.ts'
import type { HandshakeFlags } from './messages.ts'

/** Our side of a wire: what the peer knows of us, and what we allow it. */
export class OwnState {
  /** The protocols that we speak. */
  readonly flags: HandshakeFlags
  readonly limits: WireLimits
  handshakeSent = false
  choking = true
  interested = false
  /** Pieces that the peer may request while it is choked (BEP 6). */
  granted: Set<number> | undefined
  /** Whether the wire has ended: nothing more is sent or handled. */
  closed = false

  /** A side that has said nothing yet. */
  constructor(flags: HandshakeFlags, limits: WireLimits) {
    this.flags = flags
    this.limits = limits
  }
}
