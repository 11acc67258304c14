import { allBits, bitsOf, countBits, hasBit } from '../util/bits.ts'
import type { DownloadState } from './download-state.ts'
import type { PeerState } from './peer-state.ts'

/** One changed piece costs as much as this many pieces in a full recount. */
const differenceCost = 8

/**
 * Sets the pieces of a peer: a bitfield (spare bits zero, copied), `'all'` or `'none'` (BEP 3, BEP 6). Returns whether anything
 * changed. All pieces are recounted only if many changed or the peer was a seed, so that a peer that repeats itself costs one look
 * at its bits.
 */
export function setPieces(
  state: DownloadState,
  peer: PeerState,
  given: Uint8Array | 'all' | 'none'
): boolean {
  const { pieceCount } = state.layout
  if (peer.seed ? given === 'all' : given === 'none' && peer.bits.length === 0) return false
  const bits = bitfieldOf(given, pieceCount)
  const before = peer.seed ? allBits(pieceCount) : peer.bits
  const changes = new Uint8Array(bits.length)
  for (let at = 0; at < bits.length; at++) changes[at] = (bits[at] ?? 0) ^ (before[at] ?? 0)
  state.looked(bits.length / 8)
  const count = countBits(changes)
  if (count === 0) return false
  if (peer.seed || count * differenceCost > pieceCount) {
    state.uncount(peer)
    peer.bits = bits
    peer.seed = peer.hasAll(pieceCount)
    state.looked(pieceCount)
    state.count(peer)
    return true
  }
  if (peer.bits.length === 0) peer.bits = new Uint8Array(bits.length)
  for (let at = 0; at < changes.length; at++) {
    for (let left = changes[at] ?? 0; left !== 0; ) {
      const bit = Math.clz32(left) - 24
      left &= ~(0x80 >> bit)
      const piece = at * 8 + bit
      if (!hasBit(bits, piece)) state.uncountOne(peer, piece, pieceCount)
      else {
        peer.gain(piece)
        state.countOne(peer, piece)
      }
    }
  }
  return true
}

function bitfieldOf(given: Uint8Array | 'all' | 'none', pieceCount: number): Uint8Array {
  if (given === 'all') return allBits(pieceCount)
  const bits = bitsOf(pieceCount)
  if (given !== 'none') bits.set(given.subarray(0, bits.length))
  return bits
}
