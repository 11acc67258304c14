import { BencodeDict } from '../bencode/bencode-dict.ts'
import { decodePrefix } from '../bencode/decode.ts'
import { encode } from '../bencode/encode.ts'
import { formatCompact, hostOf, type PeerAddress } from '../util/address.ts'
import { TorrentError } from '../util/errors.ts'
import type { ExtendedHandshake } from './extended-handshake.ts'
import type { ExtensionSender, WireExtension } from './extension.ts'
import { pexPeersMax } from './limits.ts'

/** Flags of a {@link PexPeer} (BEP 11); combine them with `|`. */
export const pexFlags = {
  /** It prefers encrypted connections. */
  encryption: 0x01,
  /** It is a seed or will not download any more (BEP 21). */
  uploadOnly: 0x02,
  /** It supports uTP (BEP 29). */
  utp: 0x04,
  /** It supports the holepunch extension (BEP 55). */
  holepunch: 0x08,
  /** The sender has dialled it, so it is reachable. */
  reachable: 0x10
} as const

/** A peer in a PEX message. */
export interface PexPeer {
  /** Where the peer listens. */
  readonly address: PeerAddress
  /** A combination of {@link pexFlags}; unknown bits are kept. */
  readonly flags: number
}

/** Peers that the sender connected to or lost since its last message (BEP 11). */
export interface PexMessage {
  /** Peers that connected since the last message. */
  readonly added: readonly PexPeer[]
  /** Peers that left since the last message. */
  readonly dropped: readonly PeerAddress[]
}

/** Callbacks of a {@link PexExtension}; all are optional. */
export interface PexHandlers {
  /** The peer supports the extension. */
  onReady?(): void
  /** A PEX message arrived. */
  onPeers?(message: PexMessage): void
}

/** Sends and receives `ut_pex` messages (BEP 11). The caller decides which peers to send and when. */
export class PexExtension implements WireExtension {
  readonly name = 'ut_pex'
  /** With `false`, our next extended handshake switches the extension off, and received messages are ignored. */
  announced = true
  readonly #wire: ExtensionSender
  readonly #handlers: PexHandlers
  #supported = false

  /** Creates the extension for one wire; attach it with `wire.use`. */
  constructor(wire: ExtensionSender, handlers: PexHandlers = {}) {
    this.#wire = wire
    this.#handlers = handlers
  }

  /** Whether the peer supports this extension. */
  get supported(): boolean {
    return this.#supported
  }

  /** Sends changes; returns false if there are none or the peer does not support the extension. */
  send(message: PexMessage): boolean {
    if (!this.announced || message.added.length + message.dropped.length === 0) return false
    return this.#wire.extended(this.name, encodePex(message))
  }

  onHandshake(remote: ExtendedHandshake): void {
    const id = remote.extensions.get(this.name)
    if (id !== undefined) this.#supported = id !== 0
    if (this.#supported) this.#handlers.onReady?.()
  }

  onMessage(payload: Uint8Array): void {
    if (this.announced) this.#handlers.onPeers?.(parsePex(payload))
  }
}

/** Encodes the payload of a message; skips addresses that are host names. */
export function encodePex({ added, dropped }: PexMessage): Uint8Array {
  const lists = { 4: [] as number[], 6: [] as number[] }
  const flags = { 4: [] as number[], 6: [] as number[] }
  const gone = { 4: [] as number[], 6: [] as number[] }
  for (const peer of added) {
    const bytes = formatCompact(peer.address)
    if (bytes === undefined) continue
    const family = bytes.length === 6 ? 4 : 6
    lists[family].push(...bytes)
    flags[family].push(peer.flags & 0xff)
  }
  for (const address of dropped) {
    const bytes = formatCompact(address)
    if (bytes !== undefined) gone[bytes.length === 6 ? 4 : 6].push(...bytes)
  }
  return encode({
    added: packed(lists[4]),
    'added.f': packed(flags[4]),
    added6: packed(lists[6]),
    'added6.f': packed(flags[6]),
    dropped: packed(gone[4]),
    dropped6: packed(gone[6])
  })
}

/**
 * Parses the payload of a message. Skips lists of a wrong type, incomplete addresses, addresses with port 0, and bytes after the
 * dictionary. A missing flag is 0.
 * @throws TorrentError ERR_WIRE_PROTOCOL if it is not a bencoded dictionary, ERR_WIRE_LIMIT if it names too many peers
 */
export function parsePex(payload: Uint8Array): PexMessage {
  let dict: unknown
  try {
    dict = decodePrefix(payload, { depth: 4, tokens: 200 }).value
  } catch (cause) {
    throw new TorrentError('ERR_WIRE_PROTOCOL', 'a peer exchange message is malformed', { cause })
  }
  if (!(dict instanceof BencodeDict)) {
    throw new TorrentError('ERR_WIRE_PROTOCOL', 'a peer exchange message is not a dictionary')
  }
  const added: PexPeer[] = []
  const dropped: PeerAddress[] = []
  for (const family of [4, 6] as const) {
    const suffix = family === 4 ? '' : '6'
    const flags = dict.bytes(`added${suffix}.f`)
    readList(dict.bytes(`added${suffix}`), family, (address, n) => {
      added.push({ address, flags: flags?.[n] ?? 0 })
    })
    readList(dict.bytes(`dropped${suffix}`), family, (address) => dropped.push(address))
  }
  return { added, dropped }
}

function readList(
  bytes: Uint8Array | undefined,
  family: 4 | 6,
  take: (address: PeerAddress, n: number) => void
): void {
  if (bytes === undefined) return
  const width = family === 4 ? 6 : 18
  const count = Math.floor(bytes.length / width)
  if (count > pexPeersMax) {
    throw new TorrentError('ERR_WIRE_LIMIT', `a peer exchange message names ${count} peers`, {
      details: { count }
    })
  }
  for (let n = 0; n < count; n++) {
    const at = n * width
    const port = ((bytes[at + width - 2] ?? 0) << 8) | (bytes[at + width - 1] ?? 0)
    if (port !== 0) take({ host: hostOf(bytes.subarray(at, at + width - 2)), port }, n)
  }
}

function packed(bytes: readonly number[]): Uint8Array | undefined {
  return bytes.length === 0 ? undefined : Uint8Array.from(bytes)
}
