import type { ClientOptions } from '../index.ts'
import { isIP, parseAddress } from '../util/address.ts'
import { redactUrl } from '../util/redact.ts'
import { usageError } from './usage-error.ts'

const multipliers: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 }

/**
 * Parses an amount of bytes such as `500K`, `2M` or `1.5G`; K, M and G are powers of 1024, with or without `B` or `iB`.
 * @throws TorrentError ERR_CLI_USAGE
 */
export function readBytes(option: string, text: string): number {
  const match = /^(\d{1,15}(?:\.\d{1,9})?)([kmg]?)(?:i?b)?$/i.exec(text.trim())
  const multiplier = multipliers[match?.[2]?.toLowerCase() ?? '']
  if (match?.[1] === undefined || multiplier === undefined) {
    throw usageError(`--${option} '${text}' is not an amount of bytes: write it like 500K, 2M or 1.5G`)
  }
  return Math.floor(Number(match[1]) * multiplier)
}

/**
 * Parses a port from 0 (any) to 65535.
 * @throws TorrentError ERR_CLI_USAGE
 */
export function readPort(option: string, text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  if (!(port <= 65535))
    throw usageError(`--${option} '${text}' is not a port: write a number from 0 (any) to 65535`)
  return port
}

/**
 * Parses a ratio of uploaded to downloaded bytes, above 0.
 * @throws TorrentError ERR_CLI_USAGE
 */
export function readRatio(option: string, text: string): number {
  const ratio = /^\d{1,9}(?:\.\d{1,9})?$/.test(text) ? Number(text) : Number.NaN
  if (!(ratio > 0))
    throw usageError(`--${option} '${text}' is not a ratio: write a number above 0, such as 1.5`)
  return ratio
}

/**
 * Parses an encryption mode; `off` becomes `false`, as the client option has it.
 * @throws TorrentError ERR_CLI_USAGE
 */
export function readEncryption(option: string, text: string): ClientOptions['encryption'] {
  if (text === 'off') return false
  if (text === 'allow' || text === 'prefer' || text === 'require') return text
  throw usageError(`--${option} '${text}' is not a mode: write off, allow, prefer or require`)
}

/**
 * Checks a local IP address.
 * @throws TorrentError ERR_CLI_USAGE
 */
export function readHost(option: string, text: string): string {
  if (isIP(text) === 0) throw usageError(`--${option} '${text}' is not an IP address`)
  return text
}

/**
 * Checks a peer's address.
 * @throws TorrentError ERR_CLI_USAGE
 */
export function readPeer(option: string, text: string): string {
  try {
    parseAddress(text)
  } catch (cause) {
    throw usageError(`--${option} '${text}' is not an address: write host:port or [ipv6]:port`, cause)
  }
  return text
}

/**
 * Checks a URL.
 * @throws TorrentError ERR_CLI_USAGE
 */
export function readUrl(option: string, protocols: readonly string[], text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url !== undefined && protocols.includes(url.protocol)) return text
  const kinds = protocols.map((protocol) => `${protocol}//`)
  const isKnown = kinds.some((kind) => text.trim().toLowerCase().startsWith(kind))
  const why = isKnown
    ? 'valid URL: check its host and port'
    : `usable URL: it must begin with ${kinds.join(', ').replace(/, ([^,]*)$/, ' or $1')}`
  throw usageError(`--${option} '${redactUrl(text)}' is not a ${why}`)
}

/**
 * Checks a tracker's URL.
 * @throws TorrentError ERR_CLI_USAGE
 */
export function readTracker(option: string, text: string): string {
  return readUrl(option, ['http:', 'https:', 'udp:'], text)
}

/**
 * Checks the URL of a proxy; the client checks the rest of it.
 * @throws TorrentError ERR_CLI_USAGE
 */
export function readProxy(option: string, text: string): string {
  return readUrl(option, ['socks5:', 'socks5h:', 'socks4a:', 'http:'], text)
}
