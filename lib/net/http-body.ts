import type { ClientRequest, IncomingMessage } from 'node:http'
import { promisify } from 'node:util'
import { gunzip, inflate, inflateRaw } from 'node:zlib'
import { systemCode, TorrentError } from '../util/errors.ts'
import { limits } from './limits.ts'

const unpackGzip = promisify(gunzip)
const unpackZlib = promisify(inflate)
const unpackRaw = promisify(inflateRaw)

/** A response body before decompression. */
export interface PackedBody {
  readonly bytes: Buffer
  /** Error that ended the body early; undefined if it is complete. */
  readonly cut: unknown
}

/**
 * Reads the body of a response. A connection that breaks off does not reject, because the body may still be
 * complete: trackers often send a wrong length or omit the last chunk.
 * @throws TorrentError ERR_TRACKER_RESPONSE if the body is longer than `mostBytes`.
 */
export function readBody(
  request: ClientRequest,
  response: IncomingMessage,
  mostBytes: number = limits.bodyBytes
): Promise<PackedBody> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    const tooLong = (): void =>
      reject(new TorrentError('ERR_TRACKER_RESPONSE', `the answer is longer than ${mostBytes} bytes`))
    if (Number(response.headers['content-length']) > mostBytes) return tooLong()
    const end = (cut?: unknown): void => resolve({ bytes: Buffer.concat(chunks, length), cut })
    response.on('data', (chunk: Buffer) => {
      length += chunk.length
      if (length > mostBytes) tooLong()
      else chunks.push(chunk)
    })
    response.on('end', () => end())
    response.on('error', end)
    request.on('error', end)
    response.on('close', () => end(new Error('the connection closed within the answer')))
  })
}

/**
 * Compressions that we do not support. Servers send other words, such as `utf-8`, `none` or `binary`, for no
 * compression.
 */
const otherPackings = /^(?:br|zstd|(?:x-)?compress|lzma|xz|bzip2|dcb|dcz)$/

/**
 * Decompresses a body by its `Content-Encoding`: gzip, deflate or none. Ignores bytes after the compressed
 * data.
 * @throws TorrentError ERR_TRACKER_RESPONSE if the data cannot be inflated, exceeds `mostBytes`, or has an
 * unsupported encoding.
 */
export async function unpackBody(
  given: Uint8Array,
  encoding: string | undefined,
  mostBytes: number = limits.inflatedBytes
): Promise<Uint8Array> {
  const body = Buffer.from(given.buffer, given.byteOffset, given.byteLength)
  const coding = encoding?.trim().toLowerCase() ?? 'identity'
  if (body.length === 0) return body
  if (otherPackings.test(coding))
    throw new TorrentError(
      'ERR_TRACKER_RESPONSE',
      `the answer is encoded as '${coding}', which was not asked for`
    )
  const bounds = { maxOutputLength: mostBytes }
  try {
    if (coding === 'gzip' || coding === 'x-gzip') return await unpackGzipped(body, bounds)
    // Servers send `deflate` both with and without the zlib header.
    const header = body.length >= 2 ? body.readUInt16BE(0) : 0
    if (coding === 'deflate')
      return await (header % 31 === 0 && (header & 0x0f00) === 0x0800 ? unpackZlib : unpackRaw)(body, bounds)
  } catch (cause) {
    const why =
      systemCode(cause) === 'ERR_BUFFER_TOO_LARGE' ? `inflates beyond ${mostBytes} bytes` : 'is broken'
    throw new TorrentError('ERR_TRACKER_RESPONSE', `the ${coding} answer ${why}`, { cause })
  }
  return body
}

/**
 * Decompresses gzip. If `gunzip` fails, decompresses the deflate stream alone, without its checksum: `gunzip`
 * rejects trailing bytes, even a line feed.
 */
async function unpackGzipped(
  body: Buffer,
  bounds: { readonly maxOutputLength: number }
): Promise<Uint8Array> {
  try {
    return await unpackGzip(body, bounds)
  } catch (error) {
    const start = gzipHeader(body)
    if (start === undefined || systemCode(error) === 'ERR_BUFFER_TOO_LARGE') throw error
    return unpackRaw(body.subarray(start), bounds)
  }
}

/** Returns the length of a gzip header (RFC 1952), or undefined if there is none. */
function gzipHeader(body: Buffer): number | undefined {
  if (body.length < 10 || body.readUInt16BE(0) !== 0x1f8b) return undefined
  const flags = body[3] ?? 0
  let at = 10
  if ((flags & 4) !== 0) at += 2 + (body[at] ?? 0) + 256 * (body[at + 1] ?? 0)
  // Zero-terminated name and comment.
  for (const flag of [8, 16]) {
    if ((flags & flag) === 0) continue
    const end = body.indexOf(0, at)
    if (end < 0) return undefined
    at = end + 1
  }
  return (flags & 2) !== 0 ? at + 2 : at
}
