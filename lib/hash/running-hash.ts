import { createHash, type Hash, hash } from 'node:crypto'

/** SHA-1 is used by v1 pieces (BEP 3), SHA-256 by v2 (BEP 52). */
export type HashAlgorithm = 'sha1' | 'sha256'

/** Returns the length of a digest in bytes. */
export function digestLength(algorithm: HashAlgorithm): number {
  return algorithm === 'sha1' ? 20 : 32
}

/** An incremental hash, for pieces that are hashed while their blocks arrive. */
export class RunningHash {
  readonly #hash: Hash

  /** Makes a hash of no bytes. */
  constructor(algorithm: HashAlgorithm) {
    this.#hash = createHash(algorithm)
  }

  /** Adds bytes; they may be changed after the call. */
  update(bytes: Uint8Array): void {
    this.#hash.update(bytes)
  }

  /** Returns the digest of all bytes, in memory of its own; may be called once. */
  digest(): Uint8Array {
    return fromText(this.#hash.digest('binary'))
  }
}

/** Returns the digest of bytes in memory of its own; faster than a {@link RunningHash}. */
export function hashOf(algorithm: HashAlgorithm, bytes: Uint8Array): Uint8Array {
  return fromText(hash(algorithm, bytes, 'binary'))
}

/** Converts a latin1 string to bytes. Node makes the string in half the time of a Buffer, whose memory is off the heap. */
function fromText(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length)
  for (let at = 0; at < bytes.length; at++) bytes[at] = text.charCodeAt(at)
  return bytes
}
