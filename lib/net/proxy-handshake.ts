import { domainToASCII } from 'node:url'
import { canonicalHost, hostBytes, isIP, type PeerAddress } from '../util/address.ts'

/**
 * Outcome of the bytes that a proxy has sent so far.
 *
 * - `more`: send `send`, if any, and wait for more
 * - `granted`: the request was granted. `rest` came after the answer and belongs to the target; `bound` is the
 *   address in the answer, if it has one
 * - `refused`: the proxy cannot be used (`proxy`), does not want to serve this request (`policy`), or could not reach the
 *   target (`target`)
 */
export type ProxyStep =
  | { readonly state: 'more'; readonly send?: Uint8Array }
  | { readonly state: 'granted'; readonly rest: Uint8Array; readonly bound?: PeerAddress }
  | { readonly state: 'refused'; readonly by: Blame; readonly reason: string }

/** Cause of a refusal. */
export type Blame = 'proxy' | 'policy' | 'target'

/** User name and password for a proxy. */
export interface ProxyLogin {
  readonly username: string
  readonly password: string
}

/** The dialogue with a proxy about one target. Pure. */
export interface ProxyHandshake {
  /** Whether the target was named to the proxy, so that a missing answer is the target's fault. */
  readonly isAsked: boolean
  /** Returns the first step; called once. */
  begin(): ProxyStep
  /** Takes bytes of the proxy, which are only borrowed. Not called after `granted` or `refused`. */
  push(chunk: Uint8Array): ProxyStep
}

/** Waits for more bytes. */
export const more: ProxyStep = { state: 'more' }

/** Returns a refusal. */
export function refused(by: Blame, reason: string): ProxyStep {
  return { state: 'refused', by, reason }
}

/**
 * Returns a host as it is sent to a proxy: a canonical address without zone, or a name in ASCII; undefined if
 * it is neither, because it could end a line or field of the request.
 */
export function wireHost(host: string): string | undefined {
  if (isIP(host) !== 0) return canonicalHost(host).replace(/%.*$/, '')
  const name = domainToASCII(host)
  return /^[\w.-]{1,253}$/.test(name) ? name : undefined
}

/** Returns the type, address and port of a SOCKS5 request (RFC 1928); undefined if the host cannot be sent. */
export function encodeSocksAddress({ host, port }: PeerAddress): Uint8Array | undefined {
  const text = wireHost(host)
  if (text === undefined) return undefined
  const ports = [port >> 8, port & 0xff]
  const bytes = hostBytes(text)
  if (bytes !== undefined) return Uint8Array.of(bytes.length === 4 ? 1 : 4, ...bytes, ...ports)
  return Uint8Array.of(3, text.length, ...Buffer.from(text, 'latin1'), ...ports)
}
