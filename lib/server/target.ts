import type { IncomingMessage } from 'node:http'
import { HttpError } from './respond.ts'

/** The target of a request. */
export interface Target {
  /** Decoded path elements; `['']` for `/`, a last `''` for a trailing slash. */
  readonly elements: readonly string[]
  readonly query: URLSearchParams
  /** `host:port` as the client sent it; undefined when it sent none, which only HTTP/1.0 allows. */
  readonly host: string | undefined
}

/**
 * Parses a request target (RFC 9112, 3.2). Not with `URL`, which rewrites `%2e%2e` and double slashes.
 * @throws HttpError 400
 */
export function parseTarget(request: IncomingMessage): Target {
  const match = /^(?:https?:\/\/([^/?#]*))?(\/[^?#]*)?(?:\?([^#]*))?/i.exec(request.url ?? '')
  const [, authority, path = authority === undefined ? undefined : '/', query = ''] = match ?? []
  if (path === undefined) throw new HttpError(400, 'the address is malformed')
  const elements = path.slice(1).split('/').map(decode)
  return { elements, query: new URLSearchParams(query), host: authority ?? request.headers.host }
}

function decode(element: string): string {
  try {
    return decodeURIComponent(element)
  } catch {
    throw new HttpError(400, 'the address is not percent-encoded UTF-8')
  }
}
