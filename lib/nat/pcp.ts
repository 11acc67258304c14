import { hostBytes, hostOf } from '../util/address.ts'
import { limits } from './limits.ts'
import type { NatTransport } from './router.ts'

/** Version of PCP; NAT-PMP is version 0. */
export const pcpVersion = 2
const announceOpcode = 0
const mapOpcode = 1
const protocols: Readonly<Record<NatTransport, number>> = { tcp: 6, udp: 17 }

/** A PCP MAP request (RFC 6887, section 11.1). */
export interface PcpMapRequest {
  /** Our address as the router sees it. */
  readonly local: string
  /** 12 bytes that only we know, the same in renewals. */
  readonly nonce: Uint8Array
  readonly transport: NatTransport
  readonly port: number
  readonly externalPort: number
  /** 0 deletes the mapping. */
  readonly lifetimeSeconds: number
}

/** A PCP response. */
export interface PcpAnswer {
  readonly version: number
  readonly opcode: number
  /** Result code; 0 is success. */
  readonly result: number
  readonly lifetimeSeconds: number
  /** Seconds since the router started, or lost its mappings. */
  readonly epoch: number
  /** Undefined unless it answers a MAP request. */
  readonly map: PcpMap | undefined
}

/** Payload of a response to MAP. */
export interface PcpMap {
  readonly nonce: Uint8Array
  readonly transport: NatTransport | undefined
  readonly port: number
  readonly externalPort: number
  readonly externalAddress: string
}

/** Result codes (RFC 6887, section 7.4) as reasons. */
const results: Readonly<Record<number, string>> = {
  1: 'does not support this version of PCP',
  2: 'does not allow it',
  3: 'cannot read the request',
  4: 'does not support the opcode',
  7: 'has no network',
  8: 'has no resources',
  9: 'does not support the protocol',
  10: 'grants no more ports',
  11: 'cannot give that external port',
  12: 'sees another address of ours'
}

/** Returns a result code as a reason. */
export function pcpReason(result: number): string {
  return `${results[result] ?? 'refuses'} (PCP result ${result})`
}

/** Returns the 60 bytes of a MAP request for IPv4. */
export function formatPcpMap(request: PcpMapRequest): Uint8Array {
  const { local, nonce, transport, port, externalPort, lifetimeSeconds } = request
  const bytes = new Uint8Array(60)
  const view = new DataView(bytes.buffer)
  bytes[0] = pcpVersion
  bytes[1] = mapOpcode
  view.setUint32(4, lifetimeSeconds)
  bytes.set(mapped(local), 8)
  bytes.set(nonce, 24)
  bytes[36] = protocols[transport]
  view.setUint16(40, port)
  view.setUint16(42, externalPort)
  bytes.set(mapped('0.0.0.0'), 44)
  return bytes
}

/** Parses a response; undefined if it is none. Options after the payload are ignored. */
export function parsePcp(bytes: Uint8Array): PcpAnswer | undefined {
  const { byteLength } = bytes
  const code = bytes[1] ?? 0
  if (bytes[0] !== pcpVersion || byteLength < 24 || byteLength > limits.pcpBytes || (code & 0x80) === 0)
    return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, byteLength)
  const opcode = code & 0x7f
  return {
    version: pcpVersion,
    opcode,
    result: bytes[3] ?? 0,
    lifetimeSeconds: view.getUint32(4),
    epoch: view.getUint32(8),
    map: opcode === mapOpcode && byteLength >= 60 ? readMap(bytes, view) : undefined
  }
}

/** Returns whether a response tells that the router has restarted (section 14.1). */
export function isPcpAnnouncement({ opcode, result }: PcpAnswer): boolean {
  return opcode === announceOpcode && result === 0
}

function readMap(bytes: Uint8Array, view: DataView): PcpMap {
  const transport = bytes[36] === protocols.tcp ? 'tcp' : bytes[36] === protocols.udp ? 'udp' : undefined
  return {
    nonce: bytes.slice(24, 36),
    transport,
    port: view.getUint16(40),
    externalPort: view.getUint16(42),
    externalAddress: hostOf(bytes.subarray(44, 60))
  }
}

/** Returns the 16 bytes of an IPv4 address in IPv6. */
function mapped(host: string): Uint8Array {
  const bytes = new Uint8Array(16).fill(0xff, 10, 12)
  bytes.set(hostBytes(host) ?? [], 12)
  return bytes
}
