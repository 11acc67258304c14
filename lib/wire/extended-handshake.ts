import { BencodeDict } from '../bencode/bencode-dict.ts'
import { decodePrefix } from '../bencode/decode.ts'
import { encode } from '../bencode/encode.ts'
import { hostBytes, hostOf } from '../util/address.ts'

/** A peer's extended handshake (BEP 10); missing and invalid fields are undefined. */
export interface ExtendedHandshake {
  /** Name and version of its client, without control characters. */
  readonly version: string | undefined
  /** Its listening TCP port. */
  readonly port: number | undefined
  /** Length of its request queue (`reqq`). */
  readonly maxRequests: number | undefined
  /** Our address as the peer sees it. */
  readonly yourIp: string | undefined
  /** The peer's IPv4 address, as it says. */
  readonly ipv4: string | undefined
  /** The peer's IPv6 address, as it says. */
  readonly ipv6: string | undefined
  /** Length of the metadata in bytes (BEP 9). */
  readonly metadataSize: number | undefined
  /** Whether it will not download any more (BEP 21). */
  readonly uploadOnly: boolean | undefined
  /** Message ids by extension name; id 0 switches an extension off. */
  readonly extensions: ReadonlyMap<string, number>
}

/** Fields of our extended handshake; all are optional. */
export interface ExtendedHandshakeFields {
  /** Name and version of the client. */
  readonly version?: string | undefined
  /** TCP port on which we listen. */
  readonly port?: number | undefined
  /** Defaults to the wire's `requestQueue`. */
  readonly maxRequests?: number | undefined
  /** The peer's address as we see it. */
  readonly yourIp?: string | undefined
  /** Our IPv4 address. */
  readonly ipv4?: string | undefined
  /** Our IPv6 address. */
  readonly ipv6?: string | undefined
  /** Bytes of the metadata (BEP 9). */
  readonly metadataSize?: number | undefined
  /** Whether we download nothing any more (BEP 21). */
  readonly uploadOnly?: boolean | undefined
}

/** Returns the payload of an extended handshake; `extensions` maps names to message ids. */
export function encodeExtendedHandshake(
  fields: ExtendedHandshakeFields,
  extensions: ReadonlyMap<string, number>
): Uint8Array {
  return encode({
    m: extensions,
    v: fields.version,
    p: fields.port,
    reqq: fields.maxRequests,
    yourip: addressBytes(fields.yourIp),
    ipv4: addressBytes(fields.ipv4),
    ipv6: addressBytes(fields.ipv6),
    metadata_size: fields.metadataSize,
    upload_only: fields.uploadOnly === undefined ? undefined : Number(fields.uploadOnly)
  })
}

/**
 * Parses an extended handshake; returns undefined if it is not a bencoded dictionary. Keeps at most `extensionNames` extensions, and
 * no reference to `payload`. Bytes after the dictionary are ignored.
 */
export function parseExtendedHandshake(
  payload: Uint8Array,
  extensionNames: number
): ExtendedHandshake | undefined {
  let dict: unknown
  try {
    dict = decodePrefix(payload, { depth: 10, tokens: 2000 }).value
  } catch {
    return undefined
  }
  if (!(dict instanceof BencodeDict)) return undefined
  const within = (key: string, min: number, max: number): number | undefined => {
    const value = dict.integer(key)
    return value !== undefined && value >= min && value <= max ? value : undefined
  }
  const address = (key: string, ...lengths: number[]): string | undefined => {
    const bytes = dict.bytes(key)
    return bytes !== undefined && lengths.includes(bytes.length) ? hostOf(bytes) : undefined
  }
  const extensions = new Map<string, number>()
  const names = dict.dict('m')
  if (names !== undefined) {
    for (const name of names.keys()) {
      const id = names.integer(name)
      if (id === undefined || id < 0 || id > 255 || name.length > 64) continue
      if (extensions.size >= extensionNames) break
      extensions.set(name, id)
    }
  }
  const uploadOnly = dict.integer('upload_only')
  return {
    version: printable(dict.text('v')),
    port: within('p', 1, 65535),
    maxRequests: within('reqq', 1, 0x7fffffff),
    yourIp: address('yourip', 4, 16),
    ipv4: address('ipv4', 4),
    ipv6: address('ipv6', 16),
    metadataSize: within('metadata_size', 1, Number.MAX_SAFE_INTEGER),
    uploadOnly: uploadOnly === undefined ? undefined : uploadOnly !== 0,
    extensions
  }
}

function addressBytes(host: string | undefined): Uint8Array | undefined {
  return host === undefined ? undefined : hostBytes(host)
}

function printable(text: string | undefined): string | undefined {
  const clean = text?.replace(/[\p{C}]/gu, '').slice(0, 64)
  return clean === '' ? undefined : clean
}
