import type { IncomingMessage, ServerResponse } from 'node:http'

/** A request as the router passes it to the API. */
export interface ApiRequest {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Decoded path elements after `/api/`. */
  readonly elements: readonly string[]
  readonly query: URLSearchParams
  readonly host: string | undefined
}
