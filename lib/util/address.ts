import { TorrentError } from './errors.ts'
import { show } from './show.ts'

/** Address on which a peer listens. */
export interface PeerAddress {
  /** An IPv4 or IPv6 address without brackets, or a host name. */
  readonly host: string
  /** TCP and UDP port, 1 to 65535. */
  readonly port: number
}

/**
 * Returns the family of an IP address, or 0 for anything else, like `isIP` of `node:net`. IPv6 addresses may
 * have a zone (`%eth0`).
 */
export function isIP(host: string): 0 | 4 | 6 {
  if (host.includes(':')) return isIPv6(host) ? 6 : 0
  return isIPv4(host) ? 4 : 0
}

function isIPv4(host: string): boolean {
  return /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/.test(host)
}

function isIPv6(host: string): boolean {
  const zoneAt = host.indexOf('%')
  if (zoneAt >= 0 && !/^[0-9a-z.:-]+$/i.test(host.slice(zoneAt + 1))) return false
  let text = zoneAt < 0 ? host : host.slice(0, zoneAt)
  const lastAt = text.lastIndexOf(':') + 1
  if (text.includes('.')) {
    // A trailing IPv4 address stands for the last two groups.
    if (lastAt === 0 || !isIPv4(text.slice(lastAt))) return false
    text = `${text.slice(0, lastAt)}0:0`
  }
  const halves = text.split('::')
  if (halves.length > 2) return false
  let count = 0
  for (const half of halves) {
    if (half === '') continue
    const groups = half.split(':')
    if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return false
    count += groups.length
  }
  return halves.length === 2 ? count <= 7 : count === 8
}

/** Returns `host:port`, with brackets around IPv6. */
export function formatAddress({ host, port }: PeerAddress): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`
}

/**
 * Parses `host:port` or `[ipv6]:port`.
 * @throws TorrentError ERR_UTIL_ADDRESS if the text has another form, or the port is not 1 to 65535.
 */
export function parseAddress(text: string): PeerAddress {
  const match = /^(?:\[([^\s[\]/]+)\]|([^\s:[\]/]+)):(\d{1,5})$/i.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || !(port >= 1 && port <= 65535) || (match?.[1] !== undefined && !isIPv6(host))) {
    throw new TorrentError(
      'ERR_UTIL_ADDRESS',
      `'${text}' is not an address: write host:port or [ipv6]:port`,
      {
        details: { text }
      }
    )
  }
  return { host, port }
}

/**
 * Returns the address that a user gave: text in the form of {@link parseAddress}, or an object with host and
 * port.
 * @throws TorrentError ERR_UTIL_ADDRESS
 */
export function readAddress(value: unknown): PeerAddress {
  if (typeof value === 'string') return parseAddress(value)
  if (typeof value === 'object' && value !== null && 'host' in value && 'port' in value) {
    const { host, port } = value
    if (typeof host === 'string' && host !== '' && typeof port === 'number')
      if (Number.isInteger(port) && port >= 1 && port <= 65535) return { host, port }
  }
  const message = `${show(value)} is not an address: give 'host:port', or an object with host and port (1 to 65535)`
  throw new TorrentError('ERR_UTIL_ADDRESS', message, { details: { value } })
}

/** Returns a host in canonical form: IPv4-mapped IPv6 becomes IPv4, IPv6 is compressed and in lower case. */
export function canonicalHost(host: string): string {
  if (!isIPv6(host)) return host
  const bytes = hostBytes(host)
  return bytes === undefined ? host : hostOf(bytes)
}

/** Returns the 4 or 16 bytes of an IP address; undefined for a host name. Drops a zone (`%eth0`). */
export function hostBytes(host: string): Uint8Array | undefined {
  if (isIPv4(host)) return Uint8Array.from(host.split('.'), Number)
  if (!isIPv6(host)) return undefined
  let text = host.split('%')[0] ?? host
  const dotted = /(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text)
  if (dotted?.[1] !== undefined && dotted[2] !== undefined) {
    const [a = 0, b = 0, c = 0, d = 0] = dotted[2].split('.').map(Number)
    text = `${dotted[1]}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
  }
  const [head = '', tail] = text.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const groups =
    tail === undefined
      ? left
      : [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right]
  const bytes = new Uint8Array(16)
  groups.forEach((group, n) => {
    const value = Number.parseInt(group, 16)
    bytes[2 * n] = value >> 8
    bytes[2 * n + 1] = value & 0xff
  })
  return bytes
}

/** Returns the canonical text of 4 or 16 address bytes (RFC 5952). */
export function hostOf(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, n) => ((bytes[2 * n] ?? 0) << 8) | (bytes[2 * n + 1] ?? 0))
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff)
    return bytes.subarray(12).join('.')
  let bestAt = -1
  let bestLength = 1
  for (let at = 0; at < 8; at++) {
    let length = 0
    while (at + length < 8 && groups[at + length] === 0) length++
    if (length > bestLength) {
      bestAt = at
      bestLength = length
    }
  }
  const text = (part: number[]): string => part.map((group) => group.toString(16)).join(':')
  return bestAt < 0
    ? text(groups)
    : `${text(groups.slice(0, bestAt))}::${text(groups.slice(bestAt + bestLength))}`
}

/**
 * Parses packed addresses of 6 bytes (IPv4) or 18 bytes (IPv6) each (BEP 23, BEP 7). Skips port 0 and an
 * incomplete last address.
 */
export function parseCompact(bytes: Uint8Array, family: 4 | 6): PeerAddress[] {
  const width = family === 4 ? 6 : 18
  const list: PeerAddress[] = []
  for (let at = 0; at + width <= bytes.length; at += width) {
    const port = ((bytes[at + width - 2] ?? 0) << 8) | (bytes[at + width - 1] ?? 0)
    if (port !== 0) list.push({ host: hostOf(bytes.subarray(at, at + width - 2)), port })
  }
  return list
}

/** Returns the 6 or 18 bytes of an address (BEP 23, BEP 7); undefined for a host name. */
export function formatCompact({ host, port }: PeerAddress): Uint8Array | undefined {
  const bytes = hostBytes(canonicalHost(host))
  return bytes === undefined ? undefined : Uint8Array.of(...bytes, port >> 8, port & 0xff)
}

/** Returns whether the host is loopback: 127.0.0.0/8, ::1 or `localhost`. */
export function isLoopback(host: string): boolean {
  const text = canonicalHost(host).toLowerCase()
  return text === '::1' || text === 'localhost' || (isIPv4(text) && text.startsWith('127.'))
}

/** Returns whether the host is an IP address and not a name. */
export function isAddress(host: string): boolean {
  return isIP(host) !== 0
}
