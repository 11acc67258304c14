import { fromText, randomBytes } from '../util/bytes.ts'
import { version } from '../util/version.ts'

/** Returns a new Azureus-style peer id (BEP 20): `-PW`, the version, and 12 random bytes. */
export function makePeerId(): Uint8Array {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map((part) => Number.parseInt(part, 10))
  const digits = [major, minor, patch, 0]
    .map((part) => Math.min(part, 35).toString(36).toUpperCase())
    .join('')
  const peerId = randomBytes(20)
  peerId.set(fromText(`-PW${digits}-`))
  return peerId
}
