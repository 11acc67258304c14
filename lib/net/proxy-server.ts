import { isIP, type PeerAddress } from '../util/address.ts'
import { checkOptionNames } from '../util/options.ts'
import { decodePercent, redactUrl } from '../util/redact.ts'
import { show } from '../util/show.ts'
import { ConnectHandshake } from './http-connect.ts'
import type { ProxyHandshake, ProxyLogin } from './proxy-handshake.ts'
import { Socks4Handshake } from './socks4-handshake.ts'
import { Socks5Handshake } from './socks5-handshake.ts'
import { hostOfUrl } from './url-host.ts'

/** A proxy with credentials that need no percent-encoding. */
export interface ProxyOptions {
  /** `socks5://host:port`, `socks4a://host:port` or `http://host:port`. */
  readonly url: string
  /** User name; default the one in `url`, or none. */
  readonly username?: string | undefined
  /** Password; default the one in `url`, or none. */
  readonly password?: string | undefined
}

/** Protocols of proxies. */
export type ProxyKind = 'socks5' | 'socks4a' | 'http'

const kinds: ReadonlyMap<string, ProxyKind> = new Map([
  ['socks5:', 'socks5'],
  ['socks5h:', 'socks5'],
  ['socks4a:', 'socks4a'],
  ['http:', 'http']
])
const defaultPorts: Readonly<Record<ProxyKind, number>> = { socks5: 1080, socks4a: 1080, http: 80 }
const wanted = 'give socks5://, socks4a:// or http://, then [user:password@]host:port'
/** Sentences for schemes that users may expect to work. */
const otherSchemes: ReadonlyMap<string, string> = new Map([
  ['socks4:', 'SOCKS4 carries no host names, so DNS would leak; use socks4a:// if the proxy supports it'],
  ['socks:', 'name the version: socks5:// or socks4a://'],
  ['https:', 'proxies that are reached over TLS are not supported']
])
/** Longest user name and password in bytes (RFC 1929). */
const longestText = 255

/** A proxy that all traffic of a network goes through. Never shows its credentials. */
export class ProxyServer {
  readonly kind: ProxyKind
  /** Address of the proxy itself. */
  readonly address: PeerAddress
  /** Scheme, host and port, for messages. */
  readonly name: string
  readonly #login: ProxyLogin | undefined

  constructor(kind: ProxyKind, address: PeerAddress, login?: ProxyLogin) {
    const { host, port } = address
    this.kind = kind
    this.address = { host, port }
    this.name = `${kind}://${isIP(host) === 6 ? `[${host}]` : host}:${port}`
    this.#login = login
  }

  /** Whether the protocol can carry UDP; the proxy may still refuse to. */
  get carriesUdp(): boolean {
    return this.kind === 'socks5'
  }

  /** Returns a handshake that connects to a target. */
  connect(target: PeerAddress): ProxyHandshake {
    if (this.kind === 'http') return new ConnectHandshake(target, this.#login)
    if (this.kind === 'socks4a') return new Socks4Handshake(target, this.#login?.username)
    return new Socks5Handshake('connect', target, this.#login)
  }

  /** Returns a handshake that opens a UDP relay; SOCKS5 only. */
  associate(): ProxyHandshake {
    return new Socks5Handshake('associate', { host: '0.0.0.0', port: 0 }, this.#login)
  }

  toJSON(): string {
    return this.name
  }
}

/**
 * Reads the `proxy` option: a URL, or an object with URL and credentials; undefined for undefined and false.
 * Throws the error of `refuse`, which shows no credentials.
 */
export function readProxy(value: unknown, refuse: (reason: string) => Error): ProxyServer | undefined {
  if (value === undefined || value === false) return undefined
  const { url: text, ...login } = typeof value === 'string' ? { url: value } : fieldsOf(value, refuse)
  if (typeof text !== 'string') throw refuse(`url: ${show(text)} must be a text; ${wanted}`)
  const shown = `'${redactUrl(text)}'`
  const url = URL.canParse(text.trim()) ? new URL(text.trim()) : undefined
  const kind = url === undefined ? undefined : kinds.get(url.protocol)
  if (url === undefined || kind === undefined) {
    const reason = url === undefined ? undefined : otherSchemes.get(url.protocol)
    throw refuse(`${shown} names no proxy: ${reason ?? wanted}`)
  }
  const host = hostOfUrl(url)
  const port = url.port === '' ? defaultPorts[kind] : Number(url.port)
  if (host === '' || port === 0) throw refuse(`${shown} names no host and port; ${wanted}`)
  if (!/^\/?$/.test(url.pathname) || url.search !== '' || url.hash !== '')
    throw refuse(`${shown} must end after the port`)
  return new ProxyServer(kind, { host, port }, loginOf(kind, url, login, refuse))
}

function fieldsOf(
  value: unknown,
  refuse: (reason: string) => Error
): { url?: unknown; username?: unknown; password?: unknown } {
  // The value may hold a password, so it is not shown.
  if (typeof value !== 'object' || value === null) throw refuse(`it must be a text or an object; ${wanted}`)
  const names: Record<keyof ProxyOptions, true> = { url: true, username: true, password: true }
  checkOptionNames(value, Object.keys(names), (option, reason) => refuse(`${option}: ${reason}`))
  return value
}

function loginOf(
  kind: ProxyKind,
  url: URL,
  given: { username?: unknown; password?: unknown },
  refuse: (reason: string) => Error
): ProxyLogin | undefined {
  const { username = decodePercent(url.username), password = decodePercent(url.password) } = given
  for (const [name, text] of [
    ['username', username],
    ['password', password]
  ] as const) {
    if (typeof text !== 'string') throw refuse(`${name}: it must be a text`)
    if (Buffer.byteLength(text) > longestText) throw refuse(`${name}: it is longer than ${longestText} bytes`)
  }
  if (username === '' && password === '') return undefined
  if (username === '') throw refuse('a password needs a user name')
  if (kind === 'socks4a' && password !== '') throw refuse('SOCKS4a has no passwords; use socks5://')
  if (kind === 'socks4a' && String(username).includes('\0')) throw refuse('username: it contains a NUL')
  if (kind === 'http' && String(username).includes(':')) throw refuse('username: HTTP allows no colon in it')
  return { username: String(username), password: String(password) }
}
