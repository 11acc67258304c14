import type { IncomingMessage, ServerResponse } from 'node:http'

/** A request as the router hands it on. */
export interface ApiRequest {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Decoded elements of the path behind `/api/`. */
  readonly elements: readonly string[]
  readonly query: URLSearchParams
  /** The `Host` of the request. */
  readonly host: string | undefined
}
