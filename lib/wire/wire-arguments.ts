import { isBytes } from '../util/bytes.ts'
import { TorrentError } from '../util/errors.ts'
import { checkOptionNames } from '../util/options.ts'
import { show } from '../util/show.ts'
import { defaultWireLimits, type WireLimits } from './limits.ts'
import type { WireOptions } from './wire-events.ts'

/** Maximum number in a message (BEP 3). */
export const uint32Max = 0xffffffff
// A record, so that TypeScript reports an option that is missing here.
const optionNames: Record<keyof WireOptions, true> = {
  fast: true,
  extended: true,
  dht: true,
  pieceCount: true,
  pieceLength: true,
  totalLength: true,
  requestQueue: true,
  limits: true
}

/**
 * Returns the limits of a wire. Without options it is the default object itself, which most wires share.
 * @throws TorrentError ERR_WIRE_ARGUMENT, like all functions of this file
 */
export function limitsOf(options: WireOptions): WireLimits {
  checkOptionNames(options, Object.keys(optionNames), (option, reason) => {
    return new TorrentError('ERR_WIRE_ARGUMENT', `option ${option}: ${reason}`, { details: { option } })
  })
  const { limits, requestQueue } = options
  if (limits === undefined && requestQueue === undefined) return defaultWireLimits
  const all = { ...defaultWireLimits, ...limits }
  if (requestQueue === undefined) return all
  return { ...all, requestQueue: wholeNumber('requestQueue', requestQueue, 1, 1e6) }
}

/** Returns the value if it is a whole number from `min` to `max`; throws otherwise. */
export function wholeNumber(option: string, value: number, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value
  throw argumentError(option, value, `a whole number from ${min} to ${max}`)
}

/** Checks that a value is a byte array. */
export function checkBytes(option: string, value: unknown): asserts value is Uint8Array {
  if (!isBytes(value)) throw argumentError(option, value, 'a Uint8Array')
}

/** Checks that a value is a byte array of 20 bytes. */
export function check20Bytes(option: string, value: unknown): void {
  if (!isBytes(value)) throw argumentError(option, value, '20 bytes')
  if (value.length !== 20) throw argumentError(option, value.length, '20 bytes')
}

/** Returns the error for an invalid argument; `expected` describes a valid one. */
export function argumentError(option: string, value: unknown, expected: string): TorrentError {
  return new TorrentError('ERR_WIRE_ARGUMENT', `${option} is ${show(value)} but must be ${expected}`, {
    details: { option, value }
  })
}
