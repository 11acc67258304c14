import { BencodeDict } from '../bencode/bencode-dict.ts'
import { decodePrefix } from '../bencode/decode.ts'
import { encode } from '../bencode/encode.ts'
import { hostBytes, hostOf } from '../util/address.ts'

/** A peer's extended handshake (BEP 10); what it left out or got wrong is undefined. */
export interface ExtendedHandshake {
  /** Name and version of its client, without control characters. */
  readonly version: string | undefined
  /** The TCP port on which it listens. */
  readonly port: number | undefined
  /** How many requests it queues (`reqq`). */
  readonly maxRequests: number | undefined
  /** Our address as it sees it. */
  readonly yourIp: string | undefined
  /** Its other addresses. */
  readonly ipv4: string | undefined
  readonly ipv6: string | undefined
  /** Length of the metadata in bytes (BEP 9). */
  readonly metadataSize: number | undefined
  /** Whether it will not download any more (BEP 21). */
  readonly uploadOnly: boolean | undefined
  /** The extensions that it knows and their message ids; an id of 0 switches one off. */
  readonly extensions: ReadonlyMap<string, number>
}

/** The fields of our own extended handshake; everything is optional. */
export interface ExtendedHandshakeFields {
  readonly version?: string | undefined
  readonly port?: number | undefined
  /** Defaults to the wire's request queue. */
  readonly maxRequests?: number | undefined
  /** The peer's address as we see it. */
  readonly yourIp?: string | undefined
  readonly ipv4?: string | undefined
  readonly ipv6?: string | undefined
  readonly metadataSize?: number | undefined
  readonly uploadOnly?: boolean | undefined
}

/** The payload of an extended handshake with the given extensions (name to id). */
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
 * Reads an extended handshake; undefined when it is no bencoded dictionary. Bytes behind the dictionary are ignored, and nothing of
 * `payload` is kept.
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
