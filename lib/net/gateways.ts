import { readFile } from 'node:fs/promises'
import { endianness } from 'node:os'
import { hostBytes, hostOf } from '../util/address.ts'
import { ipScope } from '../util/ip-scope.ts'
import { limits } from './limits.ts'
import { type LocalInterface, localInterfaces, sharesNetwork } from './local-interfaces.ts'

/** A router of the local network, and the interface that leads to it. */
export interface Gateway {
  /** IPv4 address of the router. */
  readonly host: string
  /** Our address in its network. */
  readonly local: string
  /** Interface with that address. */
  readonly through: LocalInterface
}

/** A default route of the system. */
export interface DefaultRoute {
  /** Name of the interface. */
  readonly name: string
  /** IPv4 address of the router. */
  readonly gateway: string
  /** The system prefers the route with the lowest. */
  readonly metric: number
}

/** Returns the default routes in the text of Linux's `/proc/net/route`, best first. */
export function parseRoutes(text: string, isLittleEndian: boolean = endianness() === 'LE'): DefaultRoute[] {
  const routes: DefaultRoute[] = []
  for (const line of text.split('\n', limits.routes)) {
    const [name = '', destination, gateway = '', flags = '', , , metric = '', mask] = line.trim().split(/\s+/)
    // A default route through a router is up (1) and has a gateway (2).
    const isDefault = destination === '00000000' && mask === '00000000'
    if (!isDefault || !/^[\da-f]{8}$/i.test(gateway) || (Number.parseInt(flags, 16) & 3) !== 3) continue
    const bytes = Uint8Array.from(gateway.match(/../g) ?? [], (hex) => Number.parseInt(hex, 16))
    if (isLittleEndian) bytes.reverse()
    routes.push({ name, gateway: hostOf(bytes), metric: /^\d{1,10}$/.test(metric) ? Number(metric) : 0 })
  }
  return routes.sort((a, b) => a.metric - b.metric)
}

/**
 * Returns the routers of the private IPv4 networks that this machine is in, the one of the best route first. With
 * `host`, only those of the interface with this address. Where the system does not say which they are, returns
 * the addresses that routers usually have. An interface with a public address is behind no router.
 */
export async function findGateways(host?: string): Promise<Gateway[]> {
  const interfaces = localInterfaces(4, host).filter(
    ({ address, internal }) => !internal && ipScope(address) === 'private'
  )
  const routes = interfaces.length === 0 ? [] : await readRoutes()
  const found: Gateway[] = []
  for (const { name, gateway } of routes ?? [])
    for (const through of interfaces)
      if (name === through.name && gateway !== through.address && sharesNetwork(gateway, [through]))
        found.push({ host: gateway, local: through.address, through })
  // A VPN usually has no route with a gateway; so a named interface is guessed too.
  if (found.length === 0 && (routes === undefined || host !== undefined))
    for (const through of interfaces)
      for (const guess of usualGateways(through.address))
        found.push({ host: guess, local: through.address, through })
  return found.slice(0, limits.gateways)
}

/** Returns the usual addresses of a router beside ours. */
function usualGateways(address: string): string[] {
  const [a = 0, b = 0, c = 0] = hostBytes(address) ?? []
  return [`${a}.${b}.${c}.1`, `${a}.${b}.${c}.254`].filter((guess) => guess !== address)
}

/** Returns the default routes; undefined where the system has no table to read. */
async function readRoutes(): Promise<DefaultRoute[] | undefined> {
  if (process.platform !== 'linux') return undefined
  try {
    return parseRoutes(await readFile('/proc/net/route', 'latin1'))
  } catch {
    return undefined
  }
}
