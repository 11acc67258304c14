import { networkInterfaces } from 'node:os'
import { canonicalHost, hostBytes, isIP, isLoopback } from '../util/address.ts'
import { commonPrefixBits } from '../util/bits.ts'

/** A network interface of this machine, with its address in one family. */
export interface LocalInterface {
  readonly name: string
  readonly address: string
  /** Length of the network prefix in bits; that of a single address when the system names none. */
  readonly prefixLength: number
  /** Whether it is a loopback interface. */
  readonly internal: boolean
  /** Name that `dgram` expects in multicast calls. */
  readonly multicastName: string
}

/**
 * Returns the interfaces that reach a local network: without `host`, all but loopback and point-to-point ones
 * (/32, /128); with it, the interface that has this address.
 */
export function localInterfaces(family: 4 | 6, host?: string): LocalInterface[] {
  const wanted = host === undefined || isAny(host, family) ? undefined : canonicalHost(host)
  const found: LocalInterface[] = []
  for (const [name, addresses = []] of Object.entries(networkInterfaces())) {
    for (const { family: of, address, cidr, internal, ...rest } of addresses) {
      if (of !== `IPv${family}`) continue
      const bits = family === 4 ? 32 : 128
      const prefixLength = Number(cidr?.split('/')[1] ?? bits)
      const isAlone = prefixLength === bits
      const canonical = canonicalHost(address)
      const isMeant = wanted === undefined ? !internal && !isAlone : isOneOf(wanted, canonical, internal)
      if (!isMeant) continue
      const scopeId = 'scopeid' in rest ? rest.scopeid : 0
      const multicastName = family === 4 ? address : `::%${process.platform === 'win32' ? scopeId : name}`
      found.push({ name, address: canonical, prefixLength, internal, multicastName })
    }
  }
  return found
}

export function sharesNetwork(host: string, interfaces: readonly LocalInterface[]): boolean {
  return interfaces.some((one) => shares(host, one))
}

function shares(host: string, { address, prefixLength }: LocalInterface): boolean {
  const left = hostBytes(canonicalHost(host))
  const right = hostBytes(address)
  if (left === undefined || left.length !== right?.length) return false
  return commonPrefixBits(left, right) >= prefixLength
}

function isAny(host: string, family: 4 | 6): boolean {
  return canonicalHost(host) === '::' || (family === 4 && host === '0.0.0.0')
}

/** Matches all IPv4 loopback addresses, of which the system lists only one. */
function isOneOf(wanted: string, address: string, internal: boolean): boolean {
  return wanted === address || (internal && isIP(wanted) === 4 && isIP(address) === 4 && isLoopback(wanted))
}
