import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { isBytes } from '../util/bytes.ts'
import { TorrentError } from '../util/errors.ts'
import { show } from '../util/show.ts'
import { limits } from './limits.ts'

/** An item as it is stored and sent (BEP 44); immutable without a `mutable` part. */
export interface Item {
  /** The bencoded value, at most 1000 bytes. */
  readonly encoded: Uint8Array
  readonly mutable?: MutablePart | undefined
}

/** The part of a mutable item besides its value. */
export interface MutablePart {
  /** Ed25519 public key, 32 bytes. */
  readonly publicKey: Uint8Array
  /** At most 64 bytes; empty means none. */
  readonly salt: Uint8Array
  /** Sequence number, 0 to 2^53 - 1; grows with every change. */
  readonly seq: number
  /** 64 bytes. */
  readonly signature: Uint8Array
}

// DER headers (RFC 8410) before the 32 bytes of a key.
const privatePrefix = Buffer.from('302e020100300506032b657004220420', 'hex')
const publicPrefix = Buffer.from('302a300506032b6570032100', 'hex')

/** Returns the target of an immutable item: the SHA-1 of its bencoded value. */
export function immutableTarget(encoded: Uint8Array): Uint8Array {
  checkBytes('encoded', encoded)
  return new Uint8Array(createHash('sha1').update(encoded).digest())
}

/** Returns the target of a mutable item: the SHA-1 of public key and salt (BEP 44). BEP 46 magnet links contain both. */
export function mutableTarget(publicKey: Uint8Array, salt: Uint8Array = new Uint8Array()): Uint8Array {
  checkBytes('publicKey', publicKey)
  checkBytes('salt', salt)
  return new Uint8Array(createHash('sha1').update(publicKey).update(salt).digest())
}

function checkBytes(name: string, value: unknown): void {
  if (!isBytes(value)) throw new TorrentError('ERR_DHT_OPTION', `${name}: ${show(value)} is not bytes`)
}

export function itemTarget({ encoded, mutable }: Item): Uint8Array {
  return mutable === undefined ? immutableTarget(encoded) : mutableTarget(mutable.publicKey, mutable.salt)
}

/** Returns the bytes that the signature of a mutable item covers. */
export function signedBytes(encoded: Uint8Array, seq: number, salt: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = []
  if (salt.length > 0) parts.push(Buffer.from(`4:salt${salt.length}:`), salt)
  parts.push(Buffer.from(`3:seqi${seq}e1:v`), encoded)
  return Buffer.concat(parts)
}

/** Whether value, sequence number and salt were signed with the public key. */
export function verifyItem(encoded: Uint8Array, { publicKey, salt, seq, signature }: MutablePart): boolean {
  if (publicKey.length !== 32 || signature.length !== 64 || salt.length > limits.saltBytes) return false
  if (!Number.isSafeInteger(seq) || seq < 0) return false
  try {
    const key = createPublicKey({
      key: Buffer.concat([publicPrefix, publicKey]),
      format: 'der',
      type: 'spki'
    })
    return verify(null, signedBytes(encoded, seq, salt), key, signature)
  } catch {
    return false
  }
}

/**
 * Returns a private key for signatures.
 * @throws TorrentError ERR_DHT_ITEM if it is neither a 32-byte seed nor an Ed25519 private key.
 */
export function privateKeyOf(key: KeyObject | Uint8Array): KeyObject {
  if (isBytes(key)) {
    if (key.length !== 32) throw new TorrentError('ERR_DHT_ITEM', `privateKey: ${key.length} bytes, not 32`)
    return createPrivateKey({ key: Buffer.concat([privatePrefix, key]), format: 'der', type: 'pkcs8' })
  }
  const given: unknown = key
  if (typeof given !== 'object' || given === null)
    throw new TorrentError('ERR_DHT_ITEM', `privateKey: ${show(given)} is neither a key object nor 32 bytes`)
  if (key.type !== 'private' || key.asymmetricKeyType !== 'ed25519') {
    throw new TorrentError('ERR_DHT_ITEM', 'privateKey: a mutable item needs an Ed25519 private key')
  }
  return key
}

/** Returns the public key of a private key, 32 bytes. */
export function publicKeyOf(privateKey: KeyObject): Uint8Array {
  const der = createPublicKey(privateKey).export({ format: 'der', type: 'spki' })
  return new Uint8Array(der.subarray(publicPrefix.length))
}

/** Signs a mutable item. */
export function signItem(
  encoded: Uint8Array,
  seq: number,
  salt: Uint8Array,
  privateKey: KeyObject
): MutablePart {
  const signature = new Uint8Array(sign(null, signedBytes(encoded, seq, salt), privateKey))
  return { publicKey: publicKeyOf(privateKey), salt, seq, signature }
}
