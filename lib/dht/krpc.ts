import { BencodeDict } from '../bencode/bencode-dict.ts'
import { decodePrefix } from '../bencode/decode.ts'
import { type BencodeInput, encode } from '../bencode/encode.ts'
import { formatCompact, type PeerAddress, parseCompact } from '../util/address.ts'
import { isBytes, toText } from '../util/bytes.ts'
import { limits } from './limits.ts'
import { idLength } from './node-id.ts'

/** A query from another node (BEP 5). Byte strings are views into the datagram. */
export interface KrpcQuery {
  readonly kind: 'query'
  readonly transaction: Uint8Array
  readonly method: string
  /** Id of the querying node, 20 bytes. */
  readonly id: Uint8Array
  readonly args: BencodeDict
  /** Whether the querying node answers no queries itself (BEP 43). */
  readonly readOnly: boolean
}

/** A response. Byte strings are views into the datagram. */
export interface KrpcResponse {
  readonly kind: 'response'
  readonly transaction: Uint8Array
  /** Id of the responding node, 20 bytes. */
  readonly id: Uint8Array
  readonly values: BencodeDict
  /** Our external address as the responding node sees it (BEP 42). */
  readonly ip: PeerAddress | undefined
}

/** An error reply. */
export interface KrpcError {
  readonly kind: 'error'
  readonly transaction: Uint8Array
  /** 201 generic, 202 server, 203 protocol, 204 method unknown; for 205 to 302 see BEP 44. */
  readonly code: number
  /** Text for humans, at most 200 characters. */
  readonly message: string
  readonly ip: PeerAddress | undefined
}

/** A reply to a query. */
export type KrpcReply = KrpcResponse | KrpcError

/** A message of any kind. */
export type KrpcMessage = KrpcQuery | KrpcReply

/** Decodes the message at the start of a datagram. Returns undefined if there is none; never throws, because anyone can send datagrams. */
export function decodeKrpc(bytes: Uint8Array): KrpcMessage | undefined {
  if (bytes[0] !== 0x64 || bytes.length > limits.datagramBytes) return undefined
  let message: unknown
  try {
    message = decodePrefix(bytes, limits.decode).value
  } catch {
    return undefined
  }
  if (!(message instanceof BencodeDict)) return undefined
  const transaction = message.bytes('t')
  if (transaction === undefined || transaction.length > limits.transactionBytes) return undefined
  switch (message.text('y')) {
    case 'q':
      return query(message, transaction)
    case 'r': {
      const values = message.dict('r')
      const id = values?.bytes('id')
      if (values === undefined || id?.length !== idLength) return undefined
      return { kind: 'response', transaction, id, values, ip: seenAs(message) }
    }
    case 'e': {
      const [code, text] = message.list('e') ?? []
      if (typeof code !== 'number') return undefined
      const words = isBytes(text) ? (toText(text) ?? '') : ''
      return { kind: 'error', transaction, code, message: words.slice(0, 200), ip: seenAs(message) }
    }
    default:
      return undefined
  }
}

function query(message: BencodeDict, transaction: Uint8Array): KrpcQuery | undefined {
  const method = message.text('q')
  const args = message.dict('a')
  const id = args?.bytes('id')
  if (method === undefined || args === undefined || id?.length !== idLength) return undefined
  return { kind: 'query', transaction, method, id, args, readOnly: message.integer('ro') === 1 }
}

function seenAs(message: BencodeDict): PeerAddress | undefined {
  const ip = message.bytes('ip')
  if (ip?.length !== 6 && ip?.length !== 18) return undefined
  return parseCompact(ip, ip.length === 6 ? 4 : 6)[0]
}

/** Named values of a query or a response; undefined ones are left out. */
export type KrpcValues = Readonly<Record<string, BencodeInput | undefined>>

/** Encodes a query. `args` must contain our id. */
export function encodeQuery(
  transaction: Uint8Array,
  method: string,
  args: KrpcValues,
  readOnly = false
): Uint8Array {
  return encode({ a: args, q: method, ro: readOnly ? 1 : undefined, t: transaction, v: version, y: 'q' })
}

/** Encodes a response to the node at `to`, and tells it its external address (BEP 42). */
export function encodeResponse(transaction: Uint8Array, values: KrpcValues, to: PeerAddress): Uint8Array {
  return encode({ ip: formatCompact(to), r: values, t: transaction, v: version, y: 'r' })
}

/** Encodes an error reply. */
export function encodeError(
  transaction: Uint8Array,
  code: number,
  message: string,
  to: PeerAddress
): Uint8Array {
  return encode({ e: [code, message], ip: formatCompact(to), t: transaction, v: version, y: 'e' })
}

/** Client id `pw` and two bytes of version (BEP 5 recommends the field). */
const version = Uint8Array.of(0x70, 0x77, 0, 1)
