import type { WireLimits } from './limits.ts'
import type { HandshakeFlags } from './messages.ts'

/** Our side of a wire: the state that we told the peer, and its limits. */
export class OwnState {
  /** The protocols that we announce. */
  readonly flags: HandshakeFlags
  readonly limits: WireLimits
  handshakeSent = false
  choking = true
  interested = false
  /** Allowed-fast pieces, which the peer may request while it is choked (BEP 6). */
  granted: Set<number> | undefined
  /** Whether the wire is closed; then nothing is sent or handled. */
  closed = false

  /** Creates the state before the handshake. */
  constructor(flags: HandshakeFlags, limits: WireLimits) {
    this.flags = flags
    this.limits = limits
  }
}
