import { createHash } from 'node:crypto'
import { canonicalHost, hostBytes } from '../util/address.ts'

/**
 * Returns the allowed-fast set of a peer (BEP 6): pieces that it may request while choked. The set depends only on the arguments.
 * `host` is the peer's IPv4 address, and any other host gives an empty list; `infoHash` has 20 bytes; `size` is the maximum number of
 * pieces, 10 by default.
 */
export function allowedFastSet(
  host: string,
  infoHash: Uint8Array,
  pieceCount: number,
  size: number = 10
): number[] {
  const address = hostBytes(canonicalHost(host))
  if (address?.length !== 4) return []
  const wanted = Math.min(size, pieceCount)
  const pieces = new Set<number>()
  // BEP 6 masks the last byte, so that all addresses of a /24 get the same set.
  let digest = createHash('sha1')
    .update(Uint8Array.of(...address.subarray(0, 3), 0))
    .update(infoHash)
    .digest()
  while (pieces.size < wanted) {
    for (let at = 0; at < 20 && pieces.size < wanted; at += 4)
      pieces.add(digest.readUInt32BE(at) % pieceCount)
    digest = createHash('sha1').update(digest).digest()
  }
  return [...pieces]
}
