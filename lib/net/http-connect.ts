import { formatAddress, type PeerAddress } from '../util/address.ts'
import { limits } from './limits.ts'
import {
  more,
  type ProxyHandshake,
  type ProxyLogin,
  type ProxyStep,
  refused,
  wireHost
} from './proxy-handshake.ts'

/** HTTP CONNECT (RFC 9110, section 9.3.6) with optional basic authentication. */
export class ConnectHandshake implements ProxyHandshake {
  readonly #target: PeerAddress
  readonly #login: ProxyLogin | undefined
  #held: Buffer = Buffer.alloc(0)
  /** Always true, because our only message names the target. */
  readonly isAsked: boolean = true

  constructor(target: PeerAddress, login: ProxyLogin | undefined) {
    this.#target = target
    this.#login = login
  }

  begin(): ProxyStep {
    const host = wireHost(this.#target.host)
    if (host === undefined) return refused('target', 'its name is malformed')
    const authority = formatAddress({ host, port: this.#target.port })
    const lines = [`CONNECT ${authority} HTTP/1.1`, `Host: ${authority}`]
    if (this.#login !== undefined) {
      const { username, password } = this.#login
      lines.push(`Proxy-Authorization: Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`)
    }
    return { state: 'more', send: Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1') }
  }

  push(chunk: Uint8Array): ProxyStep {
    this.#held = Buffer.concat([this.#held, chunk])
    const text = this.#held.toString('latin1')
    if (!'HTTP/'.startsWith(text.slice(0, 5))) return refused('proxy', 'it does not speak HTTP')
    const status = Number(/^HTTP\/1\.\d (\d{3})(?=[ \r\n])/.exec(text)?.[1] ?? 0)
    const end = /\r?\n\r?\n/.exec(text)
    if (end === null) {
      return this.#held.length > limits.proxyHeadBytes ? refused('proxy', 'its answer has no end') : more
    }
    const rest = new Uint8Array(this.#held.subarray(end.index + end[0].length))
    if (status >= 200 && status <= 299) return { state: 'granted', rest }
    // tinyproxy answers 401.
    if (status === 407 || status === 401) {
      return refused(
        'proxy',
        this.#login === undefined ? 'it wants a user name and password' : 'wrong user name or password'
      )
    }
    // A proxy that cannot reach the target answers 500, 502, 503 or 504.
    if (status >= 500 && status !== 501 && status !== 505) return refused('target', `status ${status}`)
    if (status === 0) return refused('proxy', 'it does not speak HTTP')
    return refused('policy', `status ${status}`)
  }
}
