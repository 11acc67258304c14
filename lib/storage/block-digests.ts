import { hashOf } from '../hash/running-hash.ts'
import { blockLength } from '../metainfo/layout.ts'
import { yieldToEventLoop } from '../util/slices.ts'

/** Blocks that are hashed before yielding to the event loop. */
const blocksPerSlice = 64
/** Pieces up to this size, in bytes, are hashed without yielding to the event loop. */
const digestedAtOnce = 8 << 20

/** Returns the SHA-1 of a block of a piece; undefined beyond its end. */
export type BlockDigests = (block: number) => Uint8Array | undefined

/**
 * Returns the SHA-1 of each block of a piece. Blocks of small pieces are hashed on demand; those of a large piece in advance, in slices
 * that yield to the event loop.
 */
export function digestsOf(bytes: Uint8Array): BlockDigests | Promise<BlockDigests> {
  return bytes.length <= digestedAtOnce ? blockDigests(bytes) : blockDigestsInSlices(bytes)
}

/** Returns a function that hashes a block of `bytes` with SHA-1 on demand. */
export function blockDigests(bytes: Uint8Array): BlockDigests {
  return (block) => {
    const part = bytes.subarray(block * blockLength, (block + 1) * blockLength)
    return part.length === 0 ? undefined : hashOf('sha1', part)
  }
}

async function blockDigestsInSlices(bytes: Uint8Array): Promise<BlockDigests> {
  const digestOf = blockDigests(bytes)
  const digests: (Uint8Array | undefined)[] = []
  const count = Math.ceil(bytes.length / blockLength)
  while (digests.length < count) {
    await yieldToEventLoop()
    const end = Math.min(count, digests.length + blocksPerSlice)
    while (digests.length < end) digests.push(digestOf(digests.length))
  }
  return (block) => digests[block]
}
