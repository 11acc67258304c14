import type { Sniff } from '../net/connection.ts'
import type { Encryption } from '../transport/mse/encryption.ts'
import { keyLength } from '../transport/mse/key-pair.ts'
import { protocolHeader } from '../wire/messages.ts'
import { sniffHandshake } from '../wire/sniff-handshake.ts'

/** Returns whether bytes are the start of a BitTorrent handshake, as far as they go. */
export function isPlain(head: Uint8Array): boolean {
  for (let at = Math.min(head.length, protocolHeader.length) - 1; at >= 0; at--) {
    if (head[at] !== protocolHeader[at]) return false
  }
  return true
}

/**
 * Returns a function that checks the first bytes of incoming connections. Unless `encryption` is false, it also
 * accepts the public key of an MSE handshake, which may be any 96 bytes; with `'require'`, nothing else.
 */
export function peerSniffer(encryption: Encryption): Sniff {
  if (encryption === false) return sniffHandshake
  const isPlainRefused = encryption === 'require'
  return (head) => {
    if (!isPlain(head)) return head.length < keyLength ? 'wait' : 'take'
    if (!isPlainRefused) return sniffHandshake(head)
    return head.length < protocolHeader.length ? 'wait' : 'refuse'
  }
}
