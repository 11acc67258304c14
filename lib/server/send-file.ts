import { randomBytes } from 'node:crypto'
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { Torrent, TorrentFile } from '../index.ts'
import { checkConditions, rangeApplies } from './conditions.ts'
import { contentDisposition } from './disposition.ts'
import { type ByteRange, parseRanges } from './ranges.ts'
import type { Reader, Readers } from './readers.ts'
import { HttpError } from './respond.ts'

/** Tells DLNA renderers that they can seek: by byte ranges, without conversion, as a streaming transfer. */
const dlnaFeatures = 'DLNA.ORG_OP=01;DLNA.ORG_CI=0;DLNA.ORG_FLAGS=01700000000000000000000000000000'
/** Gives files with scripts or styles an origin of their own, so that a hostile torrent cannot act as the server's page. */
const sandbox =
  "sandbox; default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'unsafe-inline'"
const harmless = /^(?:video\/|audio\/|image\/(?!svg)|application\/pdf$)/

/** The file to serve, and how. */
export interface FileTarget {
  readonly torrent: Torrent
  readonly file: TorrentFile
  /** Index into `torrent.files`. */
  readonly index: number
  /** Whether the browser should save the file instead of showing it. */
  readonly download: boolean
}

/**
 * Serves a file to GET and HEAD (RFC 9110): whole or by ranges, with conditions. Resolves when the response is sent or its
 * connection closed. Closes the stream as soon as the client is gone. If the torrent fails, the connection is destroyed, so that the
 * client does not take a part for the whole.
 */
export async function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  target: FileTarget,
  readers: Readers
): Promise<void> {
  const { torrent, file, index } = target
  // Otherwise the client would play the beginning as if it were the requested time. With a Range header it asked for bytes.
  if (request.headers['timeseekrange.dlna.org'] !== undefined && request.headers.range === undefined)
    throw new HttpError(406, 'seeking by time is not supported: use byte ranges (Range)')
  const etag = `"${torrent.infoHash}-${index}"`
  const headers: OutgoingHttpHeaders = {
    ...dlnaHeaders(request),
    etag,
    'accept-ranges': 'bytes',
    'cache-control': 'private, no-cache'
  }
  const condition = checkConditions(request.headers, etag)
  if (condition === 412) throw new HttpError(412, 'the file is not the one that If-Match names', headers)
  if (condition === 304) {
    response.writeHead(304, headers).end()
    return
  }
  headers['content-disposition'] = contentDisposition(target.download ? 'attachment' : 'inline', file.name)
  if (!harmless.test(file.type)) headers['content-security-policy'] = sandbox
  const asked =
    request.method === 'GET' && rangeApplies(request.headers, etag) ? request.headers.range : undefined
  const ranges = parseRanges(asked, file.length)
  if (ranges === 'unsatisfiable') {
    throw new HttpError(416, `the file has ${file.length} bytes`, {
      'accept-ranges': 'bytes',
      'content-range': `bytes */${file.length}`
    })
  }
  if (ranges !== 'whole' && ranges.length > 1) {
    await sendParts(readers.open(request, response), response, file, ranges, headers)
    return
  }
  const range = (ranges === 'whole' ? undefined : ranges[0]) ?? { start: 0, end: file.length }
  headers['content-type'] = file.type
  headers['content-length'] = range.end - range.start
  const isEmpty = request.method === 'HEAD' || range.end === range.start
  const reader = isEmpty ? undefined : readers.open(request, response)
  if (ranges === 'whole') response.writeHead(200, headers)
  else response.writeHead(206, { ...headers, 'content-range': contentRange(range, file.length) })
  // Sends the headers now, because the first byte may take long and the player can use the length.
  if (reader !== undefined) response.flushHeaders()
  await finish(response, async () => reader?.send(file, range))
}

async function sendParts(
  reader: Reader,
  response: ServerResponse,
  file: TorrentFile,
  ranges: readonly ByteRange[],
  headers: OutgoingHttpHeaders
): Promise<void> {
  const boundary = randomBytes(18).toString('hex')
  const heads = ranges.map((range) =>
    Buffer.from(
      `\r\n--${boundary}\r\nContent-Type: ${file.type}\r\nContent-Range: ${contentRange(range, file.length)}\r\n\r\n`
    )
  )
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`)
  const payload = ranges.reduce((sum, { start, end }) => sum + end - start, 0)
  const framing = heads.reduce((sum, head) => sum + head.length, tail.length)
  response.writeHead(206, {
    ...headers,
    'content-type': `multipart/byteranges; boundary=${boundary}`,
    'content-length': payload + framing
  })
  response.flushHeaders()
  await finish(response, async () => {
    for (const [at, range] of ranges.entries()) {
      await reader.write(heads[at] ?? tail)
      await reader.send(file, range)
    }
    await reader.write(tail)
  })
}

/** Ends a response after its body; destroys it when the body fails. */
async function finish(response: ServerResponse, body: () => Promise<void>): Promise<void> {
  try {
    await body()
    response.end()
  } catch {
    response.destroy()
  }
}

function contentRange({ start, end }: ByteRange, length: number): string {
  return `bytes ${start}-${end - 1}/${length}`
}

function dlnaHeaders(request: IncomingMessage): OutgoingHttpHeaders {
  const mode = /^(?:streaming|interactive|background)$/i.exec(
    String(request.headers['transfermode.dlna.org'] ?? '')
  )?.[0]
  return {
    ...(mode === undefined ? {} : { 'transferMode.dlna.org': mode }),
    ...(request.headers['getcontentfeatures.dlna.org'] === undefined
      ? {}
      : { 'contentFeatures.dlna.org': dlnaFeatures })
  }
}
