import { allBits, bitsOf, countBits, hasBit } from '../util/bits.ts'
import type { DownloadState } from './download-state.ts'
import type { PeerState } from './peer-state.ts'

/** One difference costs as much as this many pieces do where all of them are counted anew. */
const differenceCost = 8

/**
 * Sets which pieces a peer has: a bitfield (spare bits zero, copied), or `'all'` or `'none'`. Returns whether anything has changed. All
 * pieces are counted only when many have changed, so that a peer that repeats itself costs one look at its bits (BEP 3, BEP 6).
 */
export function setPieces(
  state: DownloadState,
  peer: PeerState,
  given: Uint8Array | 'all' | 'none'
): boolean {
  const { pieceCount } = state.layout
  if (peer.seed ? given === 'all' : given === 'none' && peer.bits.length === 0) return false
  const bits = spelledOut(given, pieceCount)
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

function spelledOut(given: Uint8Array | 'all' | 'none', pieceCount: number): Uint8Array {
  if (given === 'all') return allBits(pieceCount)
  const bits = bitsOf(pieceCount)
  if (given !== 'none') bits.set(given.subarray(0, bits.length))
  return bits
}
