import { hashOf } from '../hash/running-hash.ts'
import { blockLength } from '../metainfo/layout.ts'
import { shareTurn } from '../util/turn-share.ts'

/** Blocks that are digested without a pause. */
const blocksOfTurn = 64
/** The blocks of a piece up to this size are digested in one turn of the event loop, in bytes. */
const digestedAtOnce = 8 << 20

/** The SHA-1 of each block of a piece; undefined for bytes that are not there. */
export type BlockDigests = (block: number) => Uint8Array | undefined

/** The SHA-1 of each block of a piece: when it is asked for, or of a large piece all of them before, yielding to the event loop. */
export function digestsOf(bytes: Uint8Array): BlockDigests | Promise<BlockDigests> {
  return bytes.length <= digestedAtOnce ? blockDigests(bytes) : blockDigestsInTurns(bytes)
}

/** The SHA-1 of each block of some bytes, when it is asked for. */
export function blockDigests(bytes: Uint8Array): BlockDigests {
  return (block) => {
    const part = bytes.subarray(block * blockLength, (block + 1) * blockLength)
    return part.length === 0 ? undefined : hashOf('sha1', part)
  }
}

async function blockDigestsInTurns(bytes: Uint8Array): Promise<BlockDigests> {
  const digestOf = blockDigests(bytes)
  const digests: (Uint8Array | undefined)[] = []
  const count = Math.ceil(bytes.length / blockLength)
  while (digests.length < count) {
    await shareTurn()
    const end = Math.min(count, digests.length + blocksOfTurn)
    while (digests.length < end) digests.push(digestOf(digests.length))
  }
  return (block) => digests[block]
}
