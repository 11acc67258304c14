import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse
} from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { type BencodeInput, encode } from '../../lib/bencode/encode.ts'
import { certificate, privateKey } from './certificate.ts'

/** A loopback web server that records its requests. */
export interface HttpTracker extends AsyncDisposable {
  /** Announce URL, without a query. */
  readonly url: string
  readonly requests: {
    readonly url: string
    readonly headers: IncomingMessage['headers']
    readonly query: Map<string, string>
  }[]
}

/** Starts a server whose requests are answered by `answer`. `await using` closes it. */
export async function httpTracker(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  { secure = false, host = '127.0.0.1' }: { secure?: boolean; host?: string } = {}
): Promise<HttpTracker> {
  const requests: HttpTracker['requests'] = []
  const listener: RequestListener = (request, response) => {
    const url = request.url ?? ''
    const query = new Map(
      (url.split('?')[1] ?? '').split('&').map((part): [string, string] => {
        const [name = '', value = ''] = part.split('=')
        return [name, value]
      })
    )
    requests.push({ url, headers: request.headers, query })
    answer(request, response)
  }
  const server: Server = secure
    ? createSecureServer({ cert: certificate, key: privateKey }, listener)
    : createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `${secure ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}/announce`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  }
}

/** Returns an answer with a bencoded body. */
export function replyWith(value: BencodeInput): (request: IncomingMessage, response: ServerResponse) => void {
  return (_request, response) => {
    response.end(encode(value))
  }
}
