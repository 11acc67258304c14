import { handshakeLength, protocolHeader } from './messages.ts'

/**
 * Checks the first bytes of an incoming connection: `take` once they hold a complete handshake (BEP 3), which a dialling peer sends at
 * once; `refuse` if they cannot become one.
 */
export function sniffHandshake(head: Uint8Array): 'take' | 'wait' | 'refuse' {
  for (let n = Math.min(head.length, protocolHeader.length) - 1; n >= 0; n--) {
    if (head[n] !== protocolHeader[n]) return 'refuse'
  }
  return head.length < handshakeLength ? 'wait' : 'take'
}
