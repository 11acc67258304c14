import { createHash } from 'node:crypto'
import { Rc4 } from './rc4.ts'

/** Bytes of each RC4 stream that are dropped, because they tell about the key. */
const droppedBytes = 1024

/** Bytes of SHA-1. */
export const hashLength = 20

function hash(label: string, ...parts: readonly Uint8Array[]): Uint8Array {
  const running = createHash('sha1').update(label)
  for (const part of parts) running.update(part)
  return running.digest()
}

/** Returns the hash that marks the end of PadA, from the shared secret. */
export function markOf(shared: Uint8Array): Uint8Array {
  return hash('req1', shared)
}

/** Returns the hash by which the dialled side finds the torrent of an info hash (20 bytes). */
export function nameOf(infoHash: Uint8Array): Uint8Array {
  return hash('req2', infoHash)
}

/** Hides the name of a torrent by the shared secret, or shows a hidden one. */
export function hideName(name: Uint8Array, shared: Uint8Array): Uint8Array {
  const mask = hash('req3', shared)
  return mask.map((byte, at) => byte ^ (name[at] ?? 0))
}

/** The two RC4 streams of a connection. */
export interface Streams {
  /** Bytes of the side that dialled. */
  readonly dialler: Rc4
  /** Bytes of the side that was dialled. */
  readonly dialled: Rc4
}

/** Returns new streams from the shared secret and the torrent's info hash. */
export function streamsOf(shared: Uint8Array, infoHash: Uint8Array): Streams {
  return {
    dialler: new Rc4(hash('keyA', shared, infoHash), droppedBytes),
    dialled: new Rc4(hash('keyB', shared, infoHash), droppedBytes)
  }
}
