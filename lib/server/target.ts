import type { IncomingMessage } from 'node:http'
import { HttpError } from './respond.ts'

/** What a request is addressed to. */
export interface Target {
  /** Decoded elements of the path; `['']` for `/`, a last `''` for a slash at the end. */
  readonly elements: readonly string[]
  readonly query: URLSearchParams
  /** `host:port` as the client knows us; undefined before HTTP/1.1 when it does not say. */
  readonly host: string | undefined
}

/**
 * Takes a request target apart (RFC 9112, 3.2). `URL` is no help: it makes `%2e%2e` and doubled slashes into something else.
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
    throw new HttpError(400, 'the address is no UTF-8 in percent encoding')
  }
}
