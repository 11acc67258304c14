import { isBytes } from '../util/bytes.ts'
import { TorrentError } from '../util/errors.ts'
import { checkOptionNames, checkSignal, checkType, isAmount } from '../util/options.ts'
import { show } from '../util/show.ts'
import { checkTrust } from '../util/trust.ts'
import type { TrackerOptions } from './tracker-options.ts'

// A record, so that the compiler reports an option that is missing here.
const trackerNames: Record<keyof TrackerOptions, true> = {
  udp: true,
  udpSchedule: true,
  timeoutMs: true,
  idleTimeoutMs: true,
  family: true,
  localAddress: true,
  ca: true,
  agent: true,
  trust: true,
  lookup: true,
  pace: true,
  timers: true,
  network: true
}
const callbacks = ['onResponse', 'onExternalHost', 'onWarning', 'random', 'agent', 'lookup']

/** Returns the error for an invalid option or argument. */
export function optionError(option: string, reason: string): TorrentError {
  return new TorrentError('ERR_TRACKER_OPTION', `${option}: ${reason}`, { details: { option } })
}

/**
 * Rejects options that are neither in {@link TrackerOptions} nor in `names`, and values of the wrong type.
 * @throws TorrentError ERR_TRACKER_OPTION
 */
export function checkTrackerOptions(
  options: unknown,
  names: readonly string[],
  ofRequest: readonly string[] = []
): void {
  checkOptionNames(options, [...Object.keys(trackerNames), ...names], optionError, {
    'the request': ofRequest
  })
  const values: ReadonlyMap<string, unknown> = new Map(Object.entries(options ?? {}))
  for (const name of callbacks) checkType(name, values.get(name), 'function', optionError)
  checkSignal(values.get('signal'), optionError)
  // Announcements also accept a function.
  const trust = values.get('trust')
  if (typeof trust !== 'function') checkTrust(trust, optionError)
}

/** Rejects values that are not a number of milliseconds. @throws TorrentError ERR_TRACKER_OPTION */
export function checkSpan(name: string, value: unknown): void {
  if (!isAmount(value)) throw optionError(name, `must be a number of milliseconds, not ${show(value)}`)
}

/** Rejects values that are not 20 bytes, the length of info hashes and peer ids. @throws TorrentError ERR_TRACKER_OPTION */
export function checkId(name: string, value: unknown): void {
  if (!isBytes(value)) throw optionError(name, `${show(value)} must be 20 bytes`)
  if (value.length !== 20) throw optionError(name, `must have 20 bytes, not ${value.length}`)
}
