import { hashOf } from '../hash/running-hash.ts'
import { blockLength } from '../metainfo/layout.ts'
import { shareTurn } from '../util/turn-share.ts'

/** Blocks that are digested without a pause. */
const blocksOfTurn = 64

/** The SHA-1 of each block of a piece, when it is asked for. */
export function blockDigests(bytes: Uint8Array): (block: number) => Uint8Array {
  return (block) => digest(bytes, block)
}

/** The same, all of them made before, in as many turns of the event loop as that takes. */
export async function blockDigestsInTurns(bytes: Uint8Array): Promise<(block: number) => Uint8Array> {
  const digests: Uint8Array[] = []
  const count = Math.ceil(bytes.length / blockLength)
  while (digests.length < count) {
    await shareTurn()
    const end = Math.min(count, digests.length + blocksOfTurn)
    while (digests.length < end) digests.push(digest(bytes, digests.length))
  }
  return (block) => digests[block] ?? digest(bytes, block)
}

function digest(bytes: Uint8Array, block: number): Uint8Array {
  return hashOf('sha1', bytes.subarray(block * blockLength, (block + 1) * blockLength))
}
