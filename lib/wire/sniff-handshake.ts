import { handshakeLength, protocolHeader } from './messages.ts'

/**
 * Judges the first bytes of an incoming connection: `take` once the handshake is whole (BEP 3), which a peer that dials sends at once,
 * `refuse` when it cannot become one.
 */
export function sniffHandshake(head: Uint8Array): 'take' | 'wait' | 'refuse' {
  for (let n = Math.min(head.length, protocolHeader.length) - 1; n >= 0; n--) {
    if (head[n] !== protocolHeader[n]) return 'refuse'
  }
  return head.length < handshakeLength ? 'wait' : 'take'
}
