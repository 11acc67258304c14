import { lookup as systemLookup } from 'node:dns/promises'
import { canonicalHost, isIP } from '../util/address.ts'
import { abortable } from '../util/concurrency.ts'
import { systemCode, TorrentError } from '../util/errors.ts'
import { systemTimers, type Timers } from '../util/timers.ts'
import { limits } from './limits.ts'

/** Resolves a host name to numeric addresses, in order of preference; rejects if there are none. */
export type HostLookup = (host: string) => Promise<readonly string[]>

/** The operating system's resolver. */
export const systemHostLookup: HostLookup = async (host) => {
  const found = await systemLookup(host, { all: true, verbatim: true })
  return found.map(({ address }) => address)
}

/** Options of {@link resolveHost}. */
export interface ResolveOptions {
  readonly lookup?: HostLookup | undefined
  readonly signal?: AbortSignal | undefined
  readonly timers?: Timers | undefined
}

/**
 * Returns the first IPv4 and the first IPv6 address of a host name or numeric address. Waits at most 20
 * seconds.
 * @throws TorrentError ERR_TRACKER_NETWORK if the name has no address, ERR_TRACKER_TIMEOUT; the signal's
 * reason.
 */
export async function resolveHost(
  host: string,
  { lookup = systemHostLookup, signal, timers = systemTimers }: ResolveOptions = {}
): Promise<{ 4?: string; 6?: string }> {
  let cancel: (() => void) | undefined
  const overdue = new Promise<never>((_, reject) => {
    const late = (): void =>
      reject(new TorrentError('ERR_TRACKER_TIMEOUT', `'${host}' did not resolve in time`))
    cancel = timers.after(limits.resolveMs, late)
  })
  try {
    const list =
      isIP(host) !== 0 ? [host] : await abortable(Promise.race([find(host, lookup), overdue]), signal)
    const addresses = list.map(canonicalHost)
    const v4 = addresses.find((address) => isIP(address) === 4)
    const v6 = addresses.find((address) => isIP(address) === 6)
    if (v4 === undefined && v6 === undefined) {
      throw new TorrentError('ERR_TRACKER_NETWORK', `'${host}' has no address`, { details: { host } })
    }
    return { ...(v4 === undefined ? {} : { 4: v4 }), ...(v6 === undefined ? {} : { 6: v6 }) }
  } finally {
    cancel?.()
  }
}

/** Calls a `lookup`, which may be the program's own, and checks that it returns a list of addresses. */
export async function findAddresses(host: string, lookup: HostLookup): Promise<readonly string[]> {
  const found: unknown = await lookup(host)
  if (Array.isArray(found)) return found.filter((address) => typeof address === 'string')
  throw new Error(`lookup of '${host}' did not return a list of addresses`)
}

async function find(host: string, lookup: HostLookup): Promise<readonly string[]> {
  try {
    return await findAddresses(host, lookup)
  } catch (cause) {
    const reason = systemCode(cause) ?? 'no address found'
    throw new TorrentError('ERR_TRACKER_NETWORK', `'${host}' cannot be resolved: ${reason}`, {
      cause,
      details: { host }
    })
  }
}
