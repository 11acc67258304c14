import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { shareTurn } from '../util/turn-share.ts'

/** Characters that are written at a time. */
const sliceLength = 64 << 10

/** What a request comes to that is not served: a status and a sentence for people. */
export class HttpError extends Error {
  readonly status: number
  readonly headers: OutgoingHttpHeaders

  constructor(status: number, message: string, headers: OutgoingHttpHeaders = {}) {
    super(message)
    this.status = status
    this.headers = headers
  }
}

/** Answers with a whole body; HEAD gets its headers alone. */
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

/** Answers with a sentence. */
export function respondText(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  text: string,
  headers: OutgoingHttpHeaders = {}
): void {
  respond(request, response, status, `${text}\n`, { 'content-type': 'text/plain; charset=utf-8', ...headers })
}

/** The headers of JSON. */
export const jsonHeaders: OutgoingHttpHeaders = { 'content-type': 'application/json; charset=utf-8' }

/** Answers with JSON. */
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
 * Answers with text that is made part by part, in slices of 64 KB that yield to the event loop. It is made only as fast as the client
 * takes it, and no further once the client has gone away. Text that fits in one slice has a length.
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
    const turn = shareTurn()
    if (turn !== undefined) await turn
    if (response.destroyed) return
    text = ''
  }
  if (response.headersSent) response.end(text)
  else respond(request, response, 200, text, headers)
}

/** Resolves when a response that is full takes more, or is closed. */
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

/** Refuses methods that a resource does not have. @throws HttpError 405 */
export function allowMethods(request: IncomingMessage, methods: readonly string[]): void {
  if (methods.includes(request.method ?? '')) return
  throw new HttpError(405, `${request.method} is not possible here, only ${methods.join(', ')}`, {
    allow: methods.join(', ')
  })
}
