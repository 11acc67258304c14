import { createHash } from 'node:crypto'

/** Returns the SHA-1 of each piece. */
export function pieceHashes(data: Uint8Array, pieceLength: number): Buffer {
  const hashes: Buffer[] = []
  for (let at = 0; at < data.length; at += pieceLength)
    hashes.push(
      createHash('sha1')
        .update(data.subarray(at, at + pieceLength))
        .digest()
    )
  return Buffer.concat(hashes)
}
