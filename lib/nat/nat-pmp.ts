import { hostOf } from '../util/address.ts'
import type { NatTransport } from './router.ts'

const opcodes: Readonly<Record<NatTransport, number>> = { udp: 1, tcp: 2 }

/** A NAT-PMP request for a port (RFC 6886, section 3.3). */
export interface NatPmpRequest {
  readonly transport: NatTransport
  readonly port: number
  readonly externalPort: number
  /** 0 deletes the mapping. */
  readonly lifetimeSeconds: number
}

/** A NAT-PMP response. */
export interface NatPmpAnswer {
  /** The request that it answers. */
  readonly kind: NatTransport | 'address' | 'other'
  /** Result code; 0 is success. */
  readonly result: number
  /** Seconds since the router started, or lost its mappings. */
  readonly epoch: number
  /** Address of the router on the internet, in an answer of the kind `address`. */
  readonly externalAddress: string | undefined
  /** In an answer for a port. */
  readonly map: NatPmpMap | undefined
}

/** Payload of a response for a port. */
export interface NatPmpMap {
  readonly port: number
  readonly externalPort: number
  readonly lifetimeSeconds: number
}

/** Result codes (RFC 6886, section 3.5) as reasons. */
const results: Readonly<Record<number, string>> = {
  1: 'does not support this version of NAT-PMP',
  2: 'does not allow it',
  3: 'has no network',
  4: 'has no resources',
  5: 'does not support the opcode'
}

/** Returns a result code as a reason. */
export function natPmpReason(result: number): string {
  return `${results[result] ?? 'refuses'} (NAT-PMP result ${result})`
}

/** Returns the request for the router's external address. */
export function formatAddressRequest(): Uint8Array {
  return new Uint8Array(2)
}

/** Returns the 12 bytes of a request for a port. */
export function formatNatPmp({ transport, port, externalPort, lifetimeSeconds }: NatPmpRequest): Uint8Array {
  const bytes = new Uint8Array(12)
  const view = new DataView(bytes.buffer)
  bytes[1] = opcodes[transport]
  view.setUint16(4, port)
  view.setUint16(6, externalPort)
  view.setUint32(8, lifetimeSeconds)
  return bytes
}

/** Parses a response; undefined if it is none. */
export function parseNatPmp(bytes: Uint8Array): NatPmpAnswer | undefined {
  const code = bytes[1] ?? 0
  if (bytes[0] !== 0 || bytes.byteLength < 8 || (code & 0x80) === 0) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const [result, epoch] = [view.getUint16(2), view.getUint32(4)]
  const none = { externalAddress: undefined, map: undefined }
  const opcode = code & 0x7f
  const isComplete = bytes.byteLength >= (opcode === 0 ? 12 : 16)
  if (result === 0 && !isComplete) return undefined
  if (opcode === 0) {
    const externalAddress = result === 0 ? hostOf(bytes.subarray(8, 12)) : undefined
    return { kind: 'address', result, epoch, ...none, externalAddress }
  }
  const kind = opcode === opcodes.udp ? 'udp' : opcode === opcodes.tcp ? 'tcp' : 'other'
  if (!isComplete || kind === 'other') return { kind, result, epoch, ...none }
  const [port, externalPort] = [view.getUint16(8), view.getUint16(10)]
  return { kind, result, epoch, ...none, map: { port, externalPort, lifetimeSeconds: view.getUint32(12) } }
}
