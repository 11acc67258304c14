import { parseCompact } from '../util/address.ts'
import { fromText } from '../util/bytes.ts'
import { TorrentError } from '../util/errors.ts'
import { limits } from './limits.ts'
import { quote } from './quote.ts'
import type { AnnounceEvent, AnnounceParameters, ScrapeResult, TrackerReply } from './request.ts'

/** Actions of BEP 15. */
const udpAction = { connect: 0, announce: 1, scrape: 2, error: 3 } as const

const protocolId = 0x41727101980n
const eventNumbers: Record<NonNullable<AnnounceEvent>, number> = { completed: 1, started: 2, stopped: 3 }
const urlDataOption = 2

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Returns whether a datagram may be a tracker's answer: at least 8 bytes, with an action from 0 to 3. */
export function isUdpReply(message: Uint8Array): boolean {
  return (
    message.length >= 8 &&
    (message[0] ?? 1) + (message[1] ?? 1) + (message[2] ?? 1) === 0 &&
    (message[3] ?? 4) <= 3
  )
}

/** Returns the transaction id of an answer that passed {@link isUdpReply}. */
export function transactionOf(message: Uint8Array): number {
  return view(message).getUint32(4)
}

/** Encodes a connect request (BEP 15). */
export function encodeConnect(transactionId: number): Uint8Array {
  const packet = new Uint8Array(16)
  const out = view(packet)
  out.setBigUint64(0, protocolId)
  out.setUint32(8, udpAction.connect)
  out.setUint32(12, transactionId)
  return packet
}

/** Encodes an announce request (BEP 15); path and query of the URL follow as options (BEP 41). */
export function encodeAnnounce(
  connectionId: bigint,
  transactionId: number,
  parameters: AnnounceParameters,
  pathAndQuery = ''
): Uint8Array {
  const { infoHash, peerId, downloaded, left, uploaded, event, key, numwant, port } = parameters
  const options = encodeUrlData(pathAndQuery)
  const packet = new Uint8Array(98 + options.length)
  const out = view(packet)
  out.setBigUint64(0, connectionId)
  out.setUint32(8, udpAction.announce)
  out.setUint32(12, transactionId)
  packet.set(infoHash, 16)
  packet.set(peerId, 36)
  out.setBigUint64(56, BigInt(downloaded))
  out.setBigUint64(64, BigInt(left))
  out.setBigUint64(72, BigInt(uploaded))
  out.setUint32(80, event === undefined ? 0 : eventNumbers[event])
  // Bytes 84 to 87 stay 0: the tracker takes the sender's address.
  out.setUint32(88, key)
  out.setInt32(92, numwant)
  out.setUint16(96, port)
  packet.set(options, 98)
  return packet
}

function encodeUrlData(text: string): Uint8Array {
  const data = text === '/' ? new Uint8Array(0) : fromText(text)
  const count = Math.ceil(data.length / 255)
  const out = new Uint8Array(data.length + 2 * count)
  for (let n = 0; n < count; n++) {
    const part = data.subarray(255 * n, 255 * (n + 1))
    out.set([urlDataOption, part.length], 257 * n)
    out.set(part, 257 * n + 2)
  }
  return out
}

/** Encodes a scrape request for up to 74 info hashes (BEP 15). */
export function encodeScrape(
  connectionId: bigint,
  transactionId: number,
  infoHashes: readonly Uint8Array[]
): Uint8Array {
  const packet = new Uint8Array(16 + 20 * infoHashes.length)
  const out = view(packet)
  out.setBigUint64(0, connectionId)
  out.setUint32(8, udpAction.scrape)
  out.setUint32(12, transactionId)
  infoHashes.forEach((infoHash, n) => {
    packet.set(infoHash, 16 + 20 * n)
  })
  return packet
}

/** Checks an answer: throws if it is an error, has another action, or is shorter than `length` bytes. */
function expectReply(message: Uint8Array, action: number, length: number): DataView {
  const got = message.length >= 4 ? view(message).getUint32(0) : -1
  if (got === udpAction.error) {
    const reason = quote(message.subarray(8))
    throw new TorrentError(
      'ERR_TRACKER_FAILURE',
      `the tracker refused: ${reason === '' ? 'no reason given' : reason}`,
      {
        details: { reason }
      }
    )
  }
  if (got !== action || message.length < length) {
    const what =
      got !== action
        ? `action ${got} instead of ${action}`
        : `${message.length} bytes instead of at least ${length}`
    throw new TorrentError('ERR_TRACKER_RESPONSE', `the tracker answered with ${what}`, {
      details: { action: got }
    })
  }
  return view(message)
}

/**
 * Returns the connection id of a connect answer.
 * @throws TorrentError ERR_TRACKER_FAILURE for an error answer, ERR_TRACKER_RESPONSE for a malformed one.
 */
export function parseConnect(message: Uint8Array): bigint {
  return expectReply(message, udpAction.connect, 16).getBigUint64(8)
}

/**
 * Parses an announce answer; its peers have the address family that it came by.
 * @throws TorrentError ERR_TRACKER_FAILURE for an error answer, ERR_TRACKER_RESPONSE for a malformed one.
 */
export function parseAnnounce(message: Uint8Array, family: 4 | 6): TrackerReply {
  const reply = expectReply(message, udpAction.announce, 20)
  const seconds = reply.getInt32(8)
  const count = (at: number): number | undefined => (reply.getInt32(at) >= 0 ? reply.getInt32(at) : undefined)
  const peers = message.subarray(20, 20 + limits.peersPerReply * (family === 4 ? 6 : 18))
  return {
    peers: parseCompact(peers, family),
    intervalMs: seconds > 0 ? seconds * 1000 : undefined,
    minIntervalMs: undefined,
    complete: count(16),
    incomplete: count(12),
    downloaded: undefined,
    warning: undefined,
    externalHost: undefined,
    trackerId: undefined
  }
}

/**
 * Parses a scrape answer for `count` info hashes, in their order.
 * @throws TorrentError ERR_TRACKER_FAILURE for an error answer, ERR_TRACKER_RESPONSE for a malformed one or
 * too few entries.
 */
export function parseScrape(message: Uint8Array, count: number): ScrapeResult[] {
  const reply = expectReply(message, udpAction.scrape, 8 + 12 * count)
  return Array.from({ length: count }, (_, n) => ({
    complete: reply.getUint32(8 + 12 * n),
    downloaded: reply.getUint32(12 + 12 * n),
    incomplete: reply.getUint32(16 + 12 * n)
  }))
}
