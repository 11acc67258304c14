import { createHash } from 'node:crypto'
import { canonicalHost, hostBytes } from '../util/address.ts'

/**
 * The pieces that a choked peer may request (BEP 6): a peer that connects again gets the same ones.
 * @param host the peer's address; anything but IPv4 has no such set and gives an empty list
 * @param infoHash 20 bytes
 * @param size how many; fewer when there are fewer pieces
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
  // The last byte is left out, so that all addresses of a /24 get one set.
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
