import { BencodeDict } from '../bencode/bencode-dict.ts'
import { decodePrefix } from '../bencode/decode.ts'
import { encode } from '../bencode/encode.ts'
import { TorrentError } from '../util/errors.ts'
import type { ExtendedHandshake } from './extended-handshake.ts'
import type { ExtensionSender, WireExtension } from './extension.ts'
import { metadataLengthMax, metadataPieceLength } from './limits.ts'

const types = { request: 0, data: 1, reject: 2 } as const
const pieceCountMax = metadataLengthMax / metadataPieceLength

/** Callbacks of a {@link MetadataExtension}; all are optional. */
export interface MetadataHandlers {
  /** The peer supports the extension; `size` is the length of the metadata in bytes, if the peer has it. */
  onReady?(size: number | undefined): void
  /** The peer requests a piece: answer with `data` or `reject`. Without this handler it is rejected. */
  onRequest?(piece: number): void
  /** A piece of the right length arrived, requested or not; `bytes` are borrowed for the call. */
  onData?(piece: number, totalSize: number, bytes: Uint8Array): void
  /** The peer rejected a request. */
  onReject?(piece: number): void
  /** The wire has closed. */
  onClose?(): void
}

/** Sends and receives `ut_metadata` messages, which transfer the `info` dictionary in pieces of 16 KiB (BEP 9). */
export class MetadataExtension implements WireExtension {
  readonly name = 'ut_metadata'
  readonly #wire: ExtensionSender
  readonly #handlers: MetadataHandlers
  #size: number | undefined
  #supported = false

  /** Creates the extension for one wire; attach it with `wire.use`. */
  constructor(wire: ExtensionSender, handlers: MetadataHandlers = {}) {
    this.#wire = wire
    this.#handlers = handlers
  }

  /** Announced length of the metadata in bytes; undefined if the peer has none or announced more than 32 MiB. */
  get size(): number | undefined {
    return this.#size
  }

  /** Whether the peer supports this extension. */
  get supported(): boolean {
    return this.#supported
  }

  /** Requests a piece; returns false if the peer does not support the extension. */
  request(piece: number): boolean {
    return this.#send({ msg_type: types.request, piece })
  }

  /** Sends a piece (copied) of metadata of `totalSize` bytes; returns false if the peer does not support the extension. */
  data(piece: number, totalSize: number, bytes: Uint8Array): boolean {
    const head = encode({ msg_type: types.data, piece, total_size: totalSize })
    const payload = new Uint8Array(head.length + bytes.length)
    payload.set(head)
    payload.set(bytes, head.length)
    return this.#wire.extended(this.name, payload)
  }

  /** Rejects the request for a piece; returns false if the peer does not support the extension. */
  reject(piece: number): boolean {
    return this.#send({ msg_type: types.reject, piece })
  }

  onHandshake(remote: ExtendedHandshake): void {
    const id = remote.extensions.get(this.name)
    if (id !== undefined) this.#supported = id !== 0
    const size = remote.metadataSize
    if (size !== undefined && size <= metadataLengthMax) this.#size = size
    if (this.#supported) this.#handlers.onReady?.(this.#size)
  }

  onMessage(payload: Uint8Array): void {
    const { dict, end, type, piece } = parse(payload)
    if (type === types.request) {
      if (this.#handlers.onRequest === undefined || piece >= pieceCountMax) this.reject(piece)
      else this.#handlers.onRequest(piece)
    } else if (type === types.data) {
      const totalSize = dict.integer('total_size') ?? this.#size
      const bytes = payload.subarray(end)
      checkData(piece, totalSize, bytes.length)
      this.#handlers.onData?.(piece, totalSize, bytes)
    } else if (type === types.reject) {
      this.#handlers.onReject?.(piece)
    }
  }

  onClose(): void {
    this.#handlers.onClose?.()
  }

  #send(message: { readonly msg_type: number; readonly piece: number }): boolean {
    return this.#wire.extended(this.name, encode(message))
  }
}

/**
 * Formats a message without its data, such as `data 3`.
 * @throws TorrentError ERR_WIRE_PROTOCOL if it is malformed
 */
export function describeMetadata(payload: Uint8Array): string {
  const { type, piece } = parse(payload)
  const [name] = Object.entries(types).find(([, id]) => id === type) ?? [`type ${type}`]
  return `${name} ${piece}`
}

function parse(payload: Uint8Array): { dict: BencodeDict; end: number; type: number; piece: number } {
  const { dict, end } = parseHead(payload)
  const type = dict.integer('msg_type')
  const piece = dict.integer('piece')
  if (type === undefined || piece === undefined || piece < 0) throw malformed('a type or piece is missing')
  return { dict, end, type, piece }
}

function parseHead(payload: Uint8Array): { dict: BencodeDict; end: number } {
  try {
    const { value, end } = decodePrefix(payload, { depth: 4, tokens: 100 })
    if (value instanceof BencodeDict) return { dict: value, end }
  } catch (cause) {
    throw malformed('it is not bencoded', cause)
  }
  throw malformed('it is not a dictionary')
}

function checkData(
  piece: number,
  totalSize: number | undefined,
  length: number
): asserts totalSize is number {
  if (totalSize === undefined || totalSize < 1) throw malformed('its total size is missing')
  if (totalSize > metadataLengthMax) {
    throw new TorrentError('ERR_WIRE_LIMIT', `metadata of ${totalSize} bytes is too long`, {
      details: { totalSize }
    })
  }
  const expected = Math.min(metadataPieceLength, totalSize - piece * metadataPieceLength)
  if (length !== expected) throw malformed(`piece ${piece} has ${length} bytes, of ${totalSize} in all`)
}

function malformed(what: string, cause?: unknown): TorrentError {
  return new TorrentError('ERR_WIRE_PROTOCOL', `a metadata message is malformed: ${what}`, { cause })
}
