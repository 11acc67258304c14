import { parseDescription, parseSoap } from '../../../lib/nat/igd.ts'
import { limits } from '../../../lib/nat/limits.ts'
import { parseNatPmp } from '../../../lib/nat/nat-pmp.ts'
import { parsePcp } from '../../../lib/nat/pcp.ts'
import { isAnnouncement } from '../../../lib/nat/pmp-router.ts'
import { parseSsdp } from '../../../lib/nat/ssdp.ts'
import { parseXml } from '../../../lib/nat/xml.ts'
import { parseRoutes } from '../../../lib/net/gateways.ts'
import { isIP } from '../../../lib/util/address.ts'
import type { Target } from '../target.ts'

const router = '10.91.0.1'
const description = new URL(`http://${router}:5000/rootDesc.xml`)

/** Datagrams of routers: PCP and NAT-PMP. */
export const pmp: Target = {
  name: 'pmp',
  grammar: 'bytes',
  corpus: ['pmp'],
  seeds: () => [Uint8Array.of(0, 0x81, 0, 1, 0, 0, 0, 0), new Uint8Array(24).fill(2, 0, 1).fill(0x80, 1, 2)],
  maxBytes: 2048,
  run(input, check) {
    const pcp = check.turn(() => parsePcp(input))
    const natPmp = check.turn(() => parseNatPmp(input))
    check.that(pcp === undefined || natPmp === undefined, 'a packet is of both protocols')
    if (pcp?.map !== undefined) {
      const { nonce, externalAddress, port, externalPort } = pcp.map
      check.that(nonce.length === 12 && isIP(externalAddress) !== 0, 'a mapping is malformed')
      check.that(port <= 65_535 && externalPort <= 65_535, 'a port is out of bounds')
    }
    const { externalAddress, map } = natPmp ?? {}
    check.that(externalAddress === undefined || isIP(externalAddress) === 4, 'an address is none')
    check.that((map?.externalPort ?? 0) <= 65_535, 'a port is out of bounds')
    return [pcp, natPmp, check.turn(() => isAnnouncement(input))]
  }
}

/** Answers to searches for UPnP devices. */
export const ssdp: Target = {
  name: 'ssdp',
  grammar: 'text',
  corpus: ['ssdp'],
  words: [
    'HTTP/1.1 200 OK',
    'LOCATION: ',
    'http://',
    router,
    ':5000',
    '@',
    '/',
    '\r\n',
    '[::1]',
    '127.0.0.1'
  ],
  maxBytes: 4096,
  run(input, check) {
    const url = check.turn(() => parseSsdp(input, router))
    check.that(url === undefined || isAtRouter(url), 'a description is at another host')
    return url?.href
  }
}

/** Descriptions and answers of UPnP devices. */
export const igd: Target = {
  name: 'igd',
  grammar: 'text',
  corpus: ['igd'],
  seeds: () => [
    `<a>${'<b>'.repeat(40)}`,
    '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    '<a b="&gt;>">&#x41;<![CDATA[<]]></a>'
  ],
  words: [
    ...[
      '<service>',
      '</service>',
      '<serviceType>',
      '<controlURL>',
      '<URLBase>',
      '<!--',
      '-->',
      '<![CDATA[',
      ']]>'
    ],
    ...[
      'urn:schemas-upnp-org:service:WANIPConnection:1',
      'http://',
      router,
      '&amp;',
      '&#',
      '<?',
      '?>',
      '/>',
      '"'
    ],
    ...['<errorCode>', '<u:AddPortMappingResponse>', '<NewExternalIPAddress>', '<!DOCTYPE ']
  ],
  maxBytes: 80 << 10,
  run(input, check) {
    const elements = check.turn(() => parseXml(input)) ?? []
    check.that(elements.length <= limits.xmlElements, 'more elements than the limit')
    check.that(
      elements.every(({ parent }, index) => parent >= -1 && parent < index),
      'an element is around itself'
    )
    const services = check.turn(() => parseDescription(input, description)) ?? []
    check.that(services.length <= limits.services, 'more services than the limit')
    check.that(
      services.every(({ control }) => isAtRouter(control)),
      'a service is at another host'
    )
    const answer = check.turn(() => parseSoap(input, 'AddPortMapping'))
    check.that((answer?.fault ?? 0) <= 99_999, 'a fault is out of bounds')
    return [elements.length, services.map(({ control }) => control.href), answer?.fault, answer?.values.size]
  }
}

/** The routing table of Linux. */
export const routes: Target = {
  name: 'routes',
  grammar: 'text',
  corpus: ['routes'],
  words: ['00000000', '0003', '\t', '\n', 'eth0', '01005B0A'],
  run(input, check) {
    const found = check.turn(() => parseRoutes(Buffer.from(input).toString('latin1'), true))
    check.that(
      found.every(({ gateway, metric }) => isIP(gateway) === 4 && metric >= 0),
      'a route is malformed'
    )
    return found
  }
}

function isAtRouter({ protocol, hostname, username }: URL): boolean {
  return protocol === 'http:' && hostname === router && username === ''
}
