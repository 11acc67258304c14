import type { IncomingMessage } from 'node:http'
import { promisify } from 'node:util'
import { gunzip, inflate, inflateRaw } from 'node:zlib'
import { systemCode, TorrentError } from '../util/errors.ts'
import { limits } from './limits.ts'

const unpackGzip = promisify(gunzip)
const unpackZlib = promisify(inflate)
const unpackRaw = promisify(inflateRaw)

/**
 * Collects the body of an answer, as it was sent.
 * @throws TorrentError ERR_TRACKER_RESPONSE when it is too long; the connection's error, also when it closed too early.
 */
export function readBody(response: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    const tooLong = (): void =>
      reject(new TorrentError('ERR_TRACKER_RESPONSE', `the answer is longer than ${limits.bodyBytes} bytes`))
    if (Number(response.headers['content-length']) > limits.bodyBytes) return tooLong()
    response.on('data', (chunk: Buffer) => {
      length += chunk.length
      if (length > limits.bodyBytes) tooLong()
      else chunks.push(chunk)
    })
    response.on('end', () => resolve(Buffer.concat(chunks, length)))
    response.on('error', reject)
    response.on('close', () => reject(new Error('the connection closed within the answer')))
  })
}

/**
 * Unpacks a body by its `Content-Encoding`: gzip, deflate or none, within bounds.
 * @throws TorrentError ERR_TRACKER_RESPONSE when it is broken, inflates too far, or is packed otherwise.
 */
export async function unpackBody(body: Buffer, encoding: string | undefined): Promise<Uint8Array> {
  const coding = encoding?.trim().toLowerCase() ?? 'identity'
  if (coding === 'identity' || coding === '' || body.length === 0) return body
  const bounds = { maxOutputLength: limits.inflatedBytes }
  try {
    if (coding === 'gzip' || coding === 'x-gzip') return await unpackGzip(body, bounds)
    // Half of the world sends `deflate` with the zlib header that belongs to it, half without.
    const header = body.length >= 2 ? body.readUInt16BE(0) : 0
    if (coding === 'deflate')
      return await (header % 31 === 0 && (header & 0x0f00) === 0x0800 ? unpackZlib : unpackRaw)(body, bounds)
  } catch (cause) {
    const why =
      systemCode(cause) === 'ERR_BUFFER_TOO_LARGE'
        ? `inflates beyond ${limits.inflatedBytes} bytes`
        : 'is broken'
    throw new TorrentError('ERR_TRACKER_RESPONSE', `the ${coding} answer ${why}`, { cause })
  }
  throw new TorrentError('ERR_TRACKER_RESPONSE', 'the answer has an encoding that was not asked for')
}
