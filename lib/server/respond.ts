import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'

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

/** Answers with JSON. */
export function respondJson(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: OutgoingHttpHeaders = {}
): void {
  respond(request, response, status, JSON.stringify(value), {
    'content-type': 'application/json; charset=utf-8',
    ...headers
  })
}

/**
 * The body of a request.
 * @throws HttpError 413 when it is longer than `maxBytes`, 400 when it breaks off.
 */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const tooLong = new HttpError(413, `the body may have ${maxBytes} bytes at most`, { connection: 'close' })
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLong
  const chunks: Buffer[] = []
  let length = 0
  return new Promise((resolve, reject) => {
    request.on('data', (chunk: Buffer) => {
      length += chunk.length
      if (length > maxBytes) {
        request.removeAllListeners('data')
        request.resume()
        reject(tooLong)
      } else chunks.push(chunk)
    })
    request.once('end', () => resolve(Buffer.concat(chunks)))
    request.once('error', (cause) => reject(new HttpError(400, cause.message)))
    request.once('close', () => reject(new HttpError(400, 'the body broke off')))
  })
}

/** Refuses methods that a resource does not have. @throws HttpError 405 */
export function allowMethods(request: IncomingMessage, methods: readonly string[]): void {
  if (methods.includes(request.method ?? '')) return
  throw new HttpError(405, `${request.method} is not possible here, only ${methods.join(', ')}`, {
    allow: methods.join(', ')
  })
}
