import { countBits } from '../util/bits.ts'
import { show } from '../util/show.ts'
import { clientName } from './client-name.ts'
import { parseExtendedHandshake } from './extended-handshake.ts'
import { defaultWireLimits } from './limits.ts'
import { messageIds, parseReserved, uint32 } from './messages.ts'
import { describeMetadata } from './ut-metadata.ts'
import { parsePex } from './ut-pex.ts'

const names: Readonly<Record<number, string>> = {
  [messageIds.choke]: 'choke',
  [messageIds.unchoke]: 'unchoke',
  [messageIds.interested]: 'interested',
  [messageIds.notInterested]: 'not-interested',
  [messageIds.have]: 'have',
  [messageIds.bitfield]: 'bitfield',
  [messageIds.request]: 'request',
  [messageIds.piece]: 'piece',
  [messageIds.cancel]: 'cancel',
  [messageIds.port]: 'port',
  [messageIds.suggest]: 'suggest',
  [messageIds.haveAll]: 'have-all',
  [messageIds.haveNone]: 'have-none',
  [messageIds.reject]: 'reject',
  [messageIds.allowedFast]: 'allowed-fast'
}

/** Formatters for the payloads of known extensions; each may throw. */
const extensions: Readonly<Record<string, (payload: Uint8Array) => string>> = {
  ut_metadata: describeMetadata,
  ut_pex(payload) {
    const { added, dropped } = parsePex(payload)
    return `added ${added.length} dropped ${dropped.length}`
  },
  lt_donthave: (payload) => (payload.length === 4 ? `${uint32(payload, 0)}` : lengthOf(payload)),
  upload_only: (payload) => (payload.length > 0 ? `${payload[0]}` : lengthOf(payload))
}

/**
 * Formats a message that consists of numbers: `choke`, `have 7`, `request 7 offset 0 length 16384`. A piece message is formatted like
 * its request.
 */
export function formatNumbers(id: number, first?: number, offset?: number, length?: number): string {
  const name = names[id] ?? `message ${id}`
  if (first === undefined) return name
  return offset === undefined ? `${name} ${first}` : `${name} ${first} offset ${offset} length ${length}`
}

export function formatKeepAlive(): string {
  return 'keep-alive'
}

/** Formats a bitfield as the number of its pieces and its length. */
export function formatBitfield(bytes: Uint8Array): string {
  return `${names[messageIds.bitfield]} ${countBits(bytes)} pieces, ${lengthOf(bytes)}`
}

/** Formats a handshake: info hash and peer id in hexadecimal, and the announced protocols. */
export function formatHandshake(reserved: Uint8Array, infoHash: Uint8Array, peerId: Uint8Array): string {
  const flags = Object.entries(parseReserved(reserved)).flatMap(([name, isSet]) => (isSet ? [name] : []))
  const client = clientName(peerId)
  const peer = `${hex(peerId)}${client === undefined ? '' : ` (${client})`}`
  return ['handshake of', hex(infoHash), 'peer', peer, ...flags].join(' ')
}

/** Formats an extended handshake (BEP 10), without addresses. */
export function formatExtendedHandshake(payload: Uint8Array): string {
  const remote = parseExtendedHandshake(payload, defaultWireLimits.extensionNames)
  if (remote === undefined) return `extended-handshake malformed, ${lengthOf(payload)}`
  const { version, port, maxRequests, metadataSize, uploadOnly, extensions } = remote
  const fields = { port, reqq: maxRequests, metadata_size: metadataSize, upload_only: uploadOnly }
  return [
    'extended-handshake',
    ...(version === undefined ? [] : [show(version)]),
    ...Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [name, value])),
    ...[...extensions].map(([name, id]) => `${printable(name)}=${id}`)
  ].join(' ')
}

/** Formats a message of an extension (BEP 10): its numbers if the extension is known, otherwise its length; never its payload. */
export function formatExtended(name: string, payload: Uint8Array): string {
  const describe = Object.hasOwn(extensions, name) ? extensions[name] : undefined
  try {
    return `${printable(name)} ${describe?.(payload) ?? lengthOf(payload)}`
  } catch {
    return `${printable(name)} malformed, ${lengthOf(payload)}`
  }
}

function lengthOf(bytes: Uint8Array): string {
  return `${bytes.length} bytes`
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')
}

/** Replaces special characters in a name from the peer, so that it cannot forge log lines. */
function printable(name: string): string {
  return name.replace(/[^\w.-]/g, '?')
}
