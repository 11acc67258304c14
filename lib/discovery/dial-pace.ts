import type { PeerAddress } from '../util/address.ts'
import { networkKey } from '../util/ip-network.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import { addressKey, hostKey, scopeOf } from './address-scope.ts'
import { limits } from './limits.ts'

/** Keys under which dials to an address are counted. */
export interface DialKeys {
  readonly address: string
  readonly host: string
  readonly network: string
}

/** Unanswered dials, minus those forgiven up to `at`. */
interface Bucket {
  spent: number
  at: number
}

interface Host extends Bucket {
  /** Unanswered addresses with the time of their last dial, oldest first. */
  readonly tried: Map<string, number>
}

/** Returns the keys of an address; undefined for host names and loopback, where many peers share one host. */
export function dialKeys(address: PeerAddress): DialKeys | undefined {
  const network = scopeOf(address.host) === 'loopback' ? undefined : networkKey(address.host)
  if (network === undefined) return undefined
  return { address: addressKey(address), host: hostKey(address.host), network }
}

/**
 * Limits the dials of all torrents of a client, so that no source of addresses can direct them at one host or
 * network: few ports of a host per hour, and few dials to a host or network per minute. Answered dials do not
 * count. Pure: time is an argument.
 */
export class DialPace {
  readonly #hosts = new LazyMap<string, Host>()
  readonly #networks = new LazyMap<string, Bucket>()

  /**
   * Returns the time at which an address may be dialled: `now` or later (ms). An address that once answered
   * (`isProven`) does not count as a new port of its host.
   */
  readyAt({ address, host: hostName, network }: DialKeys, now: number, isProven = false): number {
    const { networkDials, networkDialMs, hostDials, hostDialMs, portsPerHost, portMs } = limits
    const at = roomAt(this.#networks.get(network), networkDials, networkDialMs, now)
    const host = this.#hosts.get(hostName)
    if (host === undefined) return at
    forgetPorts(host, now)
    const isNew = !isProven && !host.tried.has(address)
    const oldest = isNew && host.tried.size >= portsPerHost ? first(host.tried) : undefined
    const portAt = oldest === undefined ? now : oldest[1] + portMs
    return Math.max(at, portAt, roomAt(host, hostDials, hostDialMs, now))
  }

  /** Counts a dial that begins. */
  began({ address, host: hostName, network }: DialKeys, now: number): void {
    const host = this.#hosts.get(hostName) ?? { spent: 0, at: now, tried: new Map<string, number>() }
    forgetPorts(host, now)
    spend(host, limits.hostDialMs, now)
    host.tried.delete(address)
    host.tried.set(address, now)
    keepLast(this.#hosts, hostName, host, limits.dialledHosts)
    const bucket = this.#networks.get(network) ?? { spent: 0, at: now }
    spend(bucket, limits.networkDialMs, now)
    keepLast(this.#networks, network, bucket, limits.dialledNetworks)
  }

  /** Uncounts a dial that led to a handshake. */
  answered({ address, host: hostName, network }: DialKeys): void {
    const host = this.#hosts.get(hostName)
    if (host !== undefined) {
      host.spent = Math.max(0, host.spent - 1)
      host.tried.delete(address)
      if (host.tried.size === 0) this.#hosts.delete(hostName)
    }
    const bucket = this.#networks.get(network)
    if (bucket !== undefined) bucket.spent = Math.max(0, bucket.spent - 1)
  }
}

function roomAt(bucket: Bucket | undefined, most: number, forgivenMs: number, now: number): number {
  if (bucket === undefined) return now
  return Math.max(now, bucket.at + (bucket.spent + 1 - most) * forgivenMs)
}

function spend(bucket: Bucket, forgivenMs: number, now: number): void {
  bucket.spent = Math.max(0, bucket.spent - (now - bucket.at) / forgivenMs) + 1
  bucket.at = now
}

function forgetPorts({ tried }: Host, now: number): void {
  for (const [address, at] of tried) {
    if (now - at < limits.portMs) return
    tried.delete(address)
  }
}

function first<K, V>(map: ReadonlyMap<K, V>): [K, V] | undefined {
  for (const entry of map) return entry
  return undefined
}

/** Sets an entry as the newest, and deletes the oldest if there are too many. */
function keepLast<V>(map: Map<string, V>, key: string, value: V, most: number): void {
  map.delete(key)
  map.set(key, value)
  const oldest = map.size > most ? first(map) : undefined
  if (oldest !== undefined) map.delete(oldest[0])
}
