import { isHashKey, keyLength } from '../metainfo/info-hashes.ts'
import { toLatin1 } from '../util/bytes.ts'

/** An LSD announce of one peer to its local network (BEP 14). */
export interface LsdMessage {
  /** TCP port on which the peer listens. */
  readonly port: number
  /** Info hashes in lower-case hexadecimal, without duplicates. */
  readonly infoHashes: readonly string[]
  /** Random text by which a client recognises its own announces. */
  readonly cookie?: string | undefined
}

/** Longest packet sent, in bytes; longer ones may be fragmented (BEP 14). */
const longestSent = 1400
/** Longest packet parsed, in bytes. */
const longestHeard = 2048
/** Maximum number of info hashes parsed; an announce of 2,048 bytes holds no more. */
const mostInfoHashes = 48
const longestCookie = 128

/** Returns how many info hashes fit in one announce to `host` with this cookie. */
export function lsdCapacity(host: string, port: number, cookie: string): number {
  const empty = formatLsd(host, { port, infoHashes: [], cookie }).length
  return Math.floor((longestSent - empty) / ('Infohash: \r\n'.length + keyLength))
}

/** Encodes an announce to the multicast group `host`, such as `239.192.152.143:6771`. */
export function formatLsd(host: string, { port, infoHashes, cookie }: LsdMessage): Uint8Array {
  const lines = [
    'BT-SEARCH * HTTP/1.1',
    `Host: ${host}`,
    `Port: ${port}`,
    ...infoHashes.map((infoHash) => `Infohash: ${infoHash}`),
    ...(cookie === undefined ? [] : [`cookie: ${cookie}`])
  ]
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n\r\n`, 'latin1')
}

/** Parses an announce; returns undefined if it is another request, has no valid port or no info hash, or is too long. */
export function parseLsd(bytes: Uint8Array): LsdMessage | undefined {
  if (bytes.length > longestHeard) return undefined
  const [request = '', ...lines] = toLatin1(bytes).split(/\r?\n/)
  if (!/^BT-SEARCH \* HTTP\/1\.\d$/i.test(request)) return undefined
  let port: number | undefined
  let cookie: string | undefined
  const infoHashes = new Set<string>()
  for (const line of lines) {
    if (line === '') break
    const colon = line.indexOf(':')
    const name = line.slice(0, Math.max(0, colon)).toLowerCase()
    const value = line.slice(colon + 1).trim()
    if (name === 'port' && /^\d{1,5}$/.test(value)) port = Number(value)
    else if (name === 'cookie') cookie = value.slice(0, longestCookie)
    else if (name === 'infohash' && infoHashes.size < mostInfoHashes) {
      const key = value.toLowerCase()
      if (isHashKey(key)) infoHashes.add(key)
    }
  }
  if (port === undefined || port < 1 || port > 65535 || infoHashes.size === 0) return undefined
  return { port, infoHashes: [...infoHashes], cookie }
}
