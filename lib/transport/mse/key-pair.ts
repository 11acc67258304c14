import { randomBytes } from 'node:crypto'
import { TorrentError } from '../../util/errors.ts'
import { limits } from './limits.ts'

/** Bytes of a public key and of the shared secret. */
export const keyLength = 96

/** Bytes of a secret: a longer one is no safer with this prime (MSE). */
const secretLength = 20

/** The 768-bit prime of MSE, whose last bytes differ from those of RFC 2409. */
const prime = BigInt(
  '0xFFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A63A36210000000000090563'
)
/** Bits of the exponent that are handled at a time. */
const window = 4n
const windows = (secretLength * 8) / Number(window)

/** A secret and its public key. Made by BigInt, because OpenSSL checks the prime each time, which takes 48 ms. */
export interface KeyPair {
  /** The public key, 96 bytes. */
  readonly publicKey: Uint8Array
  /** Returns the secret that is shared with the owner of another public key, 96 bytes. */
  sharedWith(publicKey: Uint8Array): Uint8Array
}

/** Makes the key pair of a secret, 20 bytes. */
export function keyPairOf(secretBytes: Uint8Array): KeyPair {
  const secret = numberOf(secretBytes)
  return {
    publicKey: bytesOf(powerOfTwo(secret)),
    sharedWith: (publicKey) => {
      const key = numberOf(publicKey)
      if (key < 2n || key > prime - 2n)
        throw new TorrentError('ERR_WIRE_PROTOCOL', "the peer's public key is out of range")
      return bytesOf(power(key, secret))
    }
  }
}

/** Key pairs that are made in advance, one in each turn of the event loop; each is used once. */
export class KeyPairs {
  readonly #ready: KeyPair[] = []
  #isMaking = false

  /** Returns a pair, and has the next one made. */
  take(): KeyPair {
    const pair = this.#ready.pop() ?? makeKeyPair()
    this.#makeMore()
    return pair
  }

  #makeMore(): void {
    if (this.#isMaking) return
    this.#isMaking = true
    // Unreferenced, because an unused pair must not keep the process alive.
    setImmediate(() => {
      this.#isMaking = false
      this.#ready.push(makeKeyPair())
      if (this.#ready.length < limits.keyPairs) this.#makeMore()
    }).unref()
  }
}

/** The key pairs of this process. */
export const keyPairs: KeyPairs = new KeyPairs()

function makeKeyPair(): KeyPair {
  return keyPairOf(randomBytes(secretLength))
}

/** Returns 2 ** exponent: a window is a shift. */
function powerOfTwo(exponent: bigint): bigint {
  let result = 1n
  for (let at = windows - 1; at >= 0; at--) {
    result = fourSquares(result)
    result = (result << ((exponent >> (BigInt(at) * window)) & 15n)) % prime
  }
  return result
}

function power(base: bigint, exponent: bigint): bigint {
  const powers = [1n]
  for (let n = 1; n < 16; n++) powers.push(((powers[n - 1] ?? 1n) * base) % prime)
  let result = 1n
  for (let at = windows - 1; at >= 0; at--) {
    result = fourSquares(result)
    const digit = Number((exponent >> (BigInt(at) * window)) & 15n)
    if (digit !== 0) result = (result * (powers[digit] ?? 1n)) % prime
  }
  return result
}

function fourSquares(number: bigint): bigint {
  let result = number
  for (let n = 0; n < 4; n++) result = (result * result) % prime
  return result
}

function numberOf(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')}`)
}

/** Returns the number as 96 bytes, padded with zeros on the left. */
function bytesOf(number: bigint): Uint8Array {
  return Buffer.from(number.toString(16).padStart(2 * keyLength, '0'), 'hex')
}
