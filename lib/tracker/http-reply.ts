import { BencodeDict } from '../bencode/bencode-dict.ts'
import { type Decoded, decodePrefix } from '../bencode/decode.ts'
import { limits as httpLimits } from '../net/limits.ts'
import { canonicalHost, hostOf, isIP, type PeerAddress, parseCompact } from '../util/address.ts'
import { isBytes, toLatin1 } from '../util/bytes.ts'
import { asError, TorrentError } from '../util/errors.ts'
import { limits } from './limits.ts'
import { quote } from './quote.ts'
import type { ScrapeResult, TrackerReply } from './request.ts'

const whitespace = new Set([0, 9, 10, 13, 32])
const hostName = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/i

/**
 * Parses the body of an HTTP announce answer (BEP 3, 7, 23, 24, 31). Skips malformed peers and fields of the
 * wrong type; `onOdd` is called once with a description.
 * @throws TorrentError ERR_TRACKER_FAILURE with `details.reason`, and `details.retryInMs` if the tracker gave
 * a retry time; ERR_TRACKER_RESPONSE if the body is malformed.
 */
export function parseHttpAnnounce(body: Uint8Array, onOdd: (what: string) => void = () => {}): TrackerReply {
  const odd: string[] = []
  const reply = readDict(body, odd)
  const peers = [...readPeers(reply, 'peers', 4, odd), ...readPeers(reply, 'peers6', 6, odd)]
  if (!reply.has('peers') && !reply.has('peers6') && !reply.has('interval')) {
    odd.push(`neither peers nor interval in it, but: ${[...reply.keys()].slice(0, 8).join(', ')}`)
  }
  if (odd.length > 0) onOdd(quote(odd.join('; ')))
  const warning = reply.bytes('warning message')
  const trackerId = reply.bytes('tracker id')
  return {
    peers: peers.slice(0, limits.peersPerReply),
    intervalMs: milliseconds(reply, 'interval'),
    minIntervalMs: milliseconds(reply, 'min interval'),
    complete: count(reply, 'complete'),
    incomplete: count(reply, 'incomplete'),
    downloaded: count(reply, 'downloaded'),
    warning: warning === undefined ? undefined : quote(warning),
    externalHost: readExternal(reply.bytes('external ip')),
    // Copied, so that these few bytes do not keep the whole reply in memory.
    trackerId:
      trackerId === undefined || trackerId.length > limits.trackerIdBytes ? undefined : trackerId.slice()
  }
}

/**
 * Parses the body of an HTTP scrape answer (BEP 48): one result per info hash, undefined if the tracker does
 * not know it.
 * @throws TorrentError ERR_TRACKER_FAILURE or ERR_TRACKER_RESPONSE.
 */
export function parseHttpScrape(
  body: Uint8Array,
  infoHashes: readonly Uint8Array[]
): (ScrapeResult | undefined)[] {
  const files = readDict(body).dict('files')
  if (files === undefined) throw malformed('no files in it')
  return infoHashes.map((infoHash) => {
    const file = files.dict(toLatin1(infoHash))
    if (file === undefined) return undefined
    return {
      complete: count(file, 'complete') ?? 0,
      incomplete: count(file, 'incomplete') ?? 0,
      downloaded: count(file, 'downloaded') ?? 0
    }
  })
}

/** Returns an error with the `failure reason` in the body of an HTTP error response, or undefined if there is none. */
export function findFailure(body: Uint8Array): TorrentError | undefined {
  try {
    readDict(body)
  } catch (error) {
    if (error instanceof TorrentError && error.code === 'ERR_TRACKER_FAILURE') return error
  }
  return undefined
}

function readDict(body: Uint8Array, odd: string[] = []): BencodeDict {
  let decoded: Decoded
  try {
    decoded = decodePrefix(body, {
      depth: limits.bencodeDepth,
      tokens: limits.bencodeTokens,
      bytes: httpLimits.inflatedBytes
    })
  } catch (cause) {
    const start = body.length === 0 ? 'it is empty' : `it begins with '${quote(body.subarray(0, 60))}'`
    throw malformed(`${asError(cause).message}; ${start}`, cause)
  }
  const { value, end } = decoded
  if (!(value instanceof BencodeDict)) throw malformed('no dictionary')
  // Some trackers append line ends, a duration, or a second list of peers.
  if (body.subarray(end).some((byte) => !whitespace.has(byte)))
    odd.push(`${body.length - end} bytes follow the value`)
  const reason = value.bytes('failure reason')
  if (reason !== undefined) throw failureOf(value, reason)
  if (value.has('failure reason')) odd.push('the failure reason is not text')
  return value
}

function failureOf(reply: BencodeDict, reasonBytes: Uint8Array): TorrentError {
  const text = quote(reasonBytes)
  const reason = text === '' ? 'no reason given' : text
  const never = reply.text('retry in') === 'never'
  const minutes = reply.integer('retry in') ?? Number(reply.text('retry in') ?? Number.NaN)
  // Most trackers do not support `retry in` and send the usual interval.
  const retryInMs = never
    ? Number.POSITIVE_INFINITY
    : minutes > 0
      ? minutes * 60_000
      : (milliseconds(reply, 'interval') ?? milliseconds(reply, 'min interval'))
  return new TorrentError('ERR_TRACKER_FAILURE', `the tracker refused: ${reason}`, {
    details: retryInMs === undefined ? { reason } : { reason, retryInMs }
  })
}

function readPeers(reply: BencodeDict, key: string, family: 4 | 6, odd: string[]): PeerAddress[] {
  const value = reply.get(key)
  if (value === undefined) return []
  if (isBytes(value)) {
    return parseCompact(value.subarray(0, limits.peersPerReply * (family === 4 ? 6 : 18)), family)
  }
  if (!Array.isArray(value)) {
    // PHP encodes an empty list as an empty dictionary.
    if (!(value instanceof BencodeDict && value.size === 0)) odd.push(`${key} is neither a string nor a list`)
    return []
  }
  const peers: PeerAddress[] = []
  let dictionaries = 0
  let useless = 0
  for (const entry of value) {
    const peer = entry instanceof BencodeDict ? readPeer(entry) : undefined
    if (entry instanceof BencodeDict) dictionaries++
    if (peer === undefined) useless++
    else if (peer.port !== 0) peers.push(peer)
  }
  if (value.length > 0 && dictionaries === 0) throw malformed(`${key} is a list with no dictionary in it`)
  if (useless > 0) odd.push(`${useless} of ${value.length} ${key} have no usable address`)
  return peers
}

/** Reads a peer; port 0 means that it accepts no connections. */
function readPeer(entry: BencodeDict): PeerAddress | undefined {
  const host = entry.text('ip')
  const port = entry.integer('port') ?? -1
  if (host === undefined || port < 0 || port > 65535) return undefined
  return isIP(host) !== 0 || hostName.test(host) ? { host: canonicalHost(host), port } : undefined
}

function readExternal(bytes: Uint8Array | undefined): string | undefined {
  if (bytes === undefined) return undefined
  if (bytes.length === 4 || bytes.length === 16) return hostOf(bytes)
  const text = toLatin1(bytes.subarray(0, 64))
  return isIP(text) === 0 ? undefined : canonicalHost(text)
}

function milliseconds(reply: BencodeDict, key: string): number | undefined {
  const seconds = reply.integer(key) ?? 0
  return seconds > 0 ? seconds * 1000 : undefined
}

function count(reply: BencodeDict, key: string): number | undefined {
  const value = reply.integer(key) ?? -1
  return value >= 0 ? value : undefined
}

function malformed(what: string, cause?: unknown): TorrentError {
  return new TorrentError('ERR_TRACKER_RESPONSE', `the answer is malformed: ${quote(what)}`, { cause })
}
