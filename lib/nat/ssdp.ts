import { toLatin1 } from '../util/bytes.ts'
import { limits } from './limits.ts'

/** Multicast group and port of SSDP. */
export const ssdpGroup = { host: '239.255.255.250', port: 1900 } as const
/** Kinds of device or service to search for; some routers answer only to one of them. */
export const searchTargets: readonly string[] = [
  'urn:schemas-upnp-org:device:InternetGatewayDevice:1',
  'urn:schemas-upnp-org:device:InternetGatewayDevice:2',
  'urn:schemas-upnp-org:service:WANIPConnection:1'
]

/** Returns a search; devices answer within `seconds`. */
export function formatSearch(target: string, seconds: number): Uint8Array {
  const lines = [
    'M-SEARCH * HTTP/1.1',
    `HOST: ${ssdpGroup.host}:${ssdpGroup.port}`,
    `ST: ${target}`,
    'MAN: "ssdp:discover"',
    `MX: ${seconds}`
  ]
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
}

/**
 * Returns the URL of a device description in an SSDP answer; undefined if it is none, or the URL is not HTTP to
 * exactly the host that sent the answer: it could make us send requests anywhere.
 */
export function parseSsdp(bytes: Uint8Array, sender: string): URL | undefined {
  if (bytes.length > limits.ssdpBytes) return undefined
  const [status = '', ...lines] = toLatin1(bytes).split(/\r?\n/)
  if (!/^HTTP\/1\.\d 200(?: |$)/i.test(status)) return undefined
  const line = lines.find((one) => /^location\s*:/i.test(one))
  return line === undefined ? undefined : urlAt(line.slice(line.indexOf(':') + 1).trim(), sender)
}

/** Returns a URL if it is HTTP to this host, without credentials; undefined otherwise. */
export function urlAt(text: string, host: string, base?: URL): URL | undefined {
  let url: URL
  try {
    // `URL.canParse` of Node 20 is wrong about some Latin-1 text once it is optimized.
    url = new URL(text, base)
  } catch {
    return undefined
  }
  const isAllowed =
    url.protocol === 'http:' && url.hostname === host && url.username === '' && url.port !== '0'
  return isAllowed ? url : undefined
}
