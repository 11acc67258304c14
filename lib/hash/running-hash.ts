import { createHash, type Hash, hash } from 'node:crypto'

/** SHA-1 is what v1 pieces use (BEP 3), SHA-256 what v2 uses (BEP 52). */
export type HashAlgorithm = 'sha1' | 'sha256'

/** Bytes of a digest. */
export function digestLength(algorithm: HashAlgorithm): number {
  return algorithm === 'sha1' ? 20 : 32
}

/** A hash that is fed in parts, for pieces that are hashed while they come in. */
export class RunningHash {
  readonly #hash: Hash

  /** A hash of nothing yet. */
  constructor(algorithm: HashAlgorithm) {
    this.#hash = createHash(algorithm)
  }

  /** Feeds the next bytes; they are only borrowed for the call. */
  update(bytes: Uint8Array): void {
    this.#hash.update(bytes)
  }

  /** The digest of all that was fed, in memory of its own; to be called once, nothing can follow. */
  digest(): Uint8Array {
    return fromText(this.#hash.digest('binary'))
  }
}

/** The digest of bytes that are all there, faster than a {@link RunningHash}; in memory of its own. */
export function hashOf(algorithm: HashAlgorithm, bytes: Uint8Array): Uint8Array {
  return fromText(hash(algorithm, bytes, 'binary'))
}

/** The bytes of a text that has a character for each: Node makes that in half the time of a buffer, whose memory is not on the heap. */
function fromText(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length)
  for (let at = 0; at < bytes.length; at++) bytes[at] = text.charCodeAt(at)
  return bytes
}
