import { isIP } from '../util/address.ts'
import { limits } from './limits.ts'
import { urlAt } from './ssdp.ts'
import { parseXml, type XmlElement } from './xml.ts'

/** A service of a router that maps ports (UPnP IGD). */
export interface IgdService {
  /** Such as `urn:schemas-upnp-org:service:WANIPConnection:1`. */
  readonly type: string
  /** URL for requests. */
  readonly control: URL
}

/** Result of an action. */
export interface SoapAnswer {
  /** Returned values, by name in lower case. */
  readonly values: ReadonlyMap<string, string>
  /** UPnP error code; undefined on success. */
  readonly fault: number | undefined
}

const mappingService = /^urn:schemas-upnp-org:service:WAN(?:IP|PPP)Connection:\d{1,2}$/i

/**
 * Returns the services for ports in a device description from `url`, those of the document's order, at most four;
 * requests may only go to the same host. Undefined if it is no description.
 */
export function parseDescription(bytes: Uint8Array, url: URL): IgdService[] | undefined {
  const elements = parseXml(bytes)
  if (elements === undefined) return undefined
  const base = elements.find(({ name }) => name === 'urlbase')?.text ?? ''
  const from = urlAt(base, url.hostname) ?? url
  const found: IgdService[] = []
  elements.forEach(({ name }, index) => {
    if (name !== 'service' || found.length === limits.services) return
    const type = childText(elements, index, 'servicetype')
    const path = childText(elements, index, 'controlurl')
    if (type === undefined || path === undefined || !mappingService.test(type)) return
    const control = urlAt(path, url.hostname, from)
    if (control !== undefined) found.push({ type, control })
  })
  return found
}

function childText(elements: readonly XmlElement[], parent: number, name: string): string | undefined {
  // Children follow their parent.
  for (let at = parent + 1; at < elements.length && (elements[at]?.parent ?? -1) >= parent; at++)
    if (elements[at]?.parent === parent && elements[at]?.name === name) return elements[at]?.text
  return undefined
}

/** Returns the body of a request. Some routers want the arguments in the order of the specification, and no white space. */
export function formatSoap(
  type: string,
  action: string,
  args: Readonly<Record<string, string | number>>
): string {
  const inside = Object.entries(args).map(([name, value]) => `<${name}>${escapeXml(String(value))}</${name}>`)
  return [
    '<?xml version="1.0"?>\r\n<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" ',
    's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>',
    `<u:${action} xmlns:u="${escapeXml(type)}">${inside.join('')}</u:${action}></s:Body></s:Envelope>\r\n`
  ].join('')
}

function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

/** Parses the answer to a request; undefined if it is neither the result of the action nor a fault. */
export function parseSoap(bytes: Uint8Array, action: string): SoapAnswer | undefined {
  const elements = parseXml(bytes)
  if (elements === undefined) return undefined
  const code = elements.find(({ name }) => name === 'errorcode')?.text ?? ''
  if (/^\d{1,5}$/.test(code)) return { values: new Map(), fault: Number(code) }
  const at = elements.findIndex(({ name }) => name === `${action}Response`.toLowerCase())
  if (at < 0) return undefined
  const values = new Map<string, string>()
  for (const { name, parent, text } of elements) if (parent === at) values.set(name, text)
  return { values, fault: undefined }
}

/** Returns the external IPv4 address in the result of an action; undefined if it has none, as without a connection. */
export function externalAddressIn({ values }: SoapAnswer): string | undefined {
  const host = values.get('newexternalipaddress') ?? ''
  return isIP(host) === 4 && host !== '0.0.0.0' ? host : undefined
}
