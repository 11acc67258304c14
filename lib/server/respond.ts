import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { yieldToEventLoop } from '../util/slices.ts'

/** Characters written at a time. */
const sliceLength = 64 << 10

/** The status, and a sentence for users, of a request that is not served. */
export class HttpError extends Error {
  readonly status: number
  readonly headers: OutgoingHttpHeaders

  constructor(status: number, message: string, headers: OutgoingHttpHeaders = {}) {
    super(message)
    this.status = status
    this.headers = headers
  }
}

/** Sends a complete body; HEAD gets only the headers. */
export function respond(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  body: string | Uint8Array,
  headers: OutgoingHttpHeaders
): void {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  response.writeHead(status, { 'cache-control': 'no-store', ...headers, 'content-length': bytes.length })
  response.end(request.method === 'HEAD' ? undefined : bytes)
}

/** Sends a sentence as plain text. */
export function respondText(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  text: string,
  headers: OutgoingHttpHeaders = {}
): void {
  respond(request, response, status, `${text}\n`, { 'content-type': 'text/plain; charset=utf-8', ...headers })
}

/** Headers of JSON responses. */
export const jsonHeaders: OutgoingHttpHeaders = { 'content-type': 'application/json; charset=utf-8' }

/** Sends JSON. */
export function respondJson(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: OutgoingHttpHeaders = {}
): void {
  respond(request, response, status, JSON.stringify(value), {
    ...jsonHeaders,
    ...headers
  })
}

/**
 * Sends text that is generated in slices of 64 KB, which yield to the event loop. Generates it only as fast as the client reads, and
 * stops when the client is gone. Text that fits in one slice gets a Content-Length.
 */
export async function respondInParts(
  request: IncomingMessage,
  response: ServerResponse,
  parts: Iterable<string>,
  headers: OutgoingHttpHeaders
): Promise<void> {
  let text = ''
  for (const part of parts) {
    text += part
    if (text.length < sliceLength) continue
    if (!response.headersSent) response.writeHead(200, { 'cache-control': 'no-store', ...headers })
    if (request.method === 'HEAD') break
    if (!response.write(text)) await drained(response)
    const pause = yieldToEventLoop()
    if (pause !== undefined) await pause
    if (response.destroyed) return
    text = ''
  }
  if (response.headersSent) response.end(text)
  else respond(request, response, 200, text, headers)
}

/** Resolves when a full response can take more, or is closed. */
export function drained(response: ServerResponse): Promise<void> {
  if (response.destroyed || !response.writableNeedDrain) return Promise.resolve()
  return new Promise((resolve) => {
    const end = (): void => {
      response.off('drain', end)
      response.off('close', end)
      resolve()
    }
    response.on('drain', end)
    response.on('close', end)
  })
}

/** Refuses a request whose method is not in `methods`. @throws HttpError 405 */
export function allowMethods(request: IncomingMessage, methods: readonly string[]): void {
  if (methods.includes(request.method ?? '')) return
  throw new HttpError(405, `${request.method} is not allowed here, only ${methods.join(', ')}`, {
    allow: methods.join(', ')
  })
}
