import type { KeyObject } from 'node:crypto'
import type { BencodeInput } from '../bencode/encode.ts'
import type { DatagramPort } from '../net/datagram-port.ts'
import { isIP, type PeerAddress, parseAddress, readAddress } from '../util/address.ts'
import { fromHex, isBytes } from '../util/bytes.ts'
import { TorrentError } from '../util/errors.ts'
import { checkOptionNames, checkSignal, checkType, isPromise } from '../util/options.ts'
import { show } from '../util/show.ts'
import type { Timers } from '../util/timers.ts'
import type { DhtHostLookup } from './bootstrap.ts'
import { idLength, type RandomBytes } from './node-id.ts'

/** What a DHT is told to begin with; all of it optional. */
export interface DhtOptions {
  /** Open UDP ports, one for each address family wanted, or a promise of them; they are shared and stay open after `close`. */
  readonly ports?: readonly DatagramPort[] | Promise<readonly DatagramPort[]>
  /** Without `ports`: the numeric address to bind; default all of IPv4, and of IPv6 where there is any. */
  readonly host?: string
  /** Without `ports`: the UDP port to bind; default 0, any free one. */
  readonly port?: number
  /** Nodes to start from, `host:port`; default {@link publicBootstrap}. An empty list joins no network by itself. */
  readonly bootstrap?: readonly string[]
  /** Other nodes to start from, such as those of a torrent (BEP 5). */
  readonly nodes?: readonly PeerAddress[]
  /** What `save` told in an earlier run, or a promise of it. */
  readonly state?: DhtState | Promise<DhtState | undefined>
  /**
   * Asks and never answers (BEP 43), and stands in nobody's table: for short runs and for those whom nobody can reach. It finds peers,
   * and is found as one, as others are. Default `'auto'`: read-only, in each family's network, once 50 nodes have answered us and for
   * 10 minutes nobody asked us anything out of the blue; no longer when somebody does, and on trial every hour.
   */
  readonly readOnly?: boolean | 'auto'
  /** Sends nothing before it is first used: for `ready`, `connected`, a look-up or a node to add. Default false. */
  readonly lazy?: boolean
  /** 20 bytes; by default that of `state`, or random. It gives way to one that fits our external address (BEP 42). */
  readonly id?: Uint8Array
  /** Hears of what went wrong and is survived. */
  readonly onWarning?: (error: Error) => void
  /** Default the system's. */
  readonly timers?: Timers
  /** Default the system's cryptographic generator; anything else is for tests. */
  readonly random?: RandomBytes
  /** Finds host names of `bootstrap`; default the system's resolver. */
  readonly lookup?: DhtHostLookup
}

/** What a later run starts from; its shape can be bencoded as it is. */
export interface DhtState {
  /** Our ids in the IPv4 and IPv6 networks, 20 bytes. */
  readonly id?: Uint8Array
  readonly id6?: Uint8Array
  /** Compact nodes, 26 bytes each. */
  readonly nodes?: Uint8Array
  /** Compact IPv6 nodes, 38 bytes each. */
  readonly nodes6?: Uint8Array
}

/** Something of each address family. */
export interface PerFamily<T> {
  /** IPv4. */
  readonly 4: T
  /** IPv6. */
  readonly 6: T
}

/** What may come with a look-up. */
export interface DhtLookupOptions {
  /** Ends the look-up with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/** What may come with an announce. */
export interface DhtAnnounceOptions extends DhtLookupOptions {
  /** Others shall take the UDP port that they see instead (for uTP behind NAT); default false. */
  readonly impliedPort?: boolean
  /** Whether we have all of it (BEP 33); default false. */
  readonly seed?: boolean
  /** Hears of the peers found on the way. */
  readonly onPeer?: (peer: PeerAddress) => void
}

/** Names a mutable item (BEP 44). */
export interface MutableName {
  /** Ed25519 public key, 32 bytes. */
  readonly publicKey: Uint8Array
  /** Up to 64 bytes; default none. */
  readonly salt?: Uint8Array | undefined
}

/** What to put: a value alone is immutable; with a private key, or a signature made elsewhere, it is mutable. */
export interface PutRequest {
  /** Bencodes to 1000 bytes at most. */
  readonly value: BencodeInput
  /** Ed25519: a key object, or a seed of 32 bytes. */
  readonly privateKey?: KeyObject | Uint8Array
  /** Instead of `privateKey`: who signed, with `signature` and `seq`. */
  readonly publicKey?: Uint8Array
  readonly signature?: Uint8Array
  /** Up to 64 bytes. */
  readonly salt?: Uint8Array
  /** Sequence number, 0 to 2^53 - 1; default one more than the highest found. */
  readonly seq?: number
  /** Only where this sequence number stands, or nothing. */
  readonly cas?: number
}

// A record, so that an option without a place here is no valid program.
const names: Record<keyof DhtOptions, true> = {
  ports: true,
  host: true,
  port: true,
  bootstrap: true,
  nodes: true,
  state: true,
  readOnly: true,
  lazy: true,
  id: true,
  onWarning: true,
  timers: true,
  random: true,
  lookup: true
}

function refuse(option: string, reason: string): TorrentError {
  return optionError(`${option}: ${reason}`, { option })
}

/**
 * Refuses what may not come with a look-up; `names` are what may besides a signal.
 * @throws TorrentError ERR_DHT_OPTION
 */
export function checkLookup(options: DhtLookupOptions, ...names: readonly string[]): void {
  checkOptionNames(options, ['signal', ...names], refuse)
  checkSignal(options.signal, refuse)
}

/** Refuses an address of a node that is none. @throws TorrentError ERR_DHT_OPTION */
export function checkNode(address: unknown): void {
  const isNode =
    typeof address === 'object' &&
    address !== null &&
    'host' in address &&
    'port' in address &&
    typeof address.host === 'string' &&
    typeof address.port === 'number'
  if (!isNode) throw refuse('address', `${show(address)} is no object with host and port`)
}

/** A caller's mistake. */
export function optionError(what: string, details: Readonly<Record<string, unknown>>): TorrentError {
  return new TorrentError('ERR_DHT_OPTION', what, { details })
}

/** Whether the ports are open already, and not yet to come. */
export function isList(ports: DhtOptions['ports']): ports is readonly DatagramPort[] {
  return Array.isArray(ports)
}

/** @throws TorrentError ERR_DHT_OPTION, ERR_UTIL_ADDRESS. */
export function checkOptions(options: DhtOptions): void {
  checkOptionNames(options, Object.keys(names), refuse)
  const { ports, host, port, bootstrap = [], nodes = [], id, readOnly, state } = options
  if (!Array.isArray(bootstrap)) throw refuse('bootstrap', `${show(bootstrap)} is no list of host:port`)
  if (!Array.isArray(nodes)) throw refuse('nodes', `${show(nodes)} is no list of addresses`)
  for (const node of bootstrap) parseAddress(node)
  for (const node of nodes) readAddress(node)
  for (const name of ['onWarning', 'lookup', 'random'] as const)
    checkType(name, options[name], 'function', refuse)
  checkType('lazy', options.lazy, 'boolean', refuse)
  if (state !== undefined && (typeof state !== 'object' || state === null))
    throw refuse('state', `${show(state)} is nothing that save() gave`)
  if (readOnly !== undefined && readOnly !== 'auto' && typeof readOnly !== 'boolean')
    throw optionError(`readOnly: ${show(readOnly)} is not true, false or 'auto'`, { readOnly })
  if (id !== undefined && !isBytes(id)) throw refuse('id', `${show(id)} is not 20 bytes`)
  if (id !== undefined && id.length !== idLength) throw optionError(`id: ${id.length} bytes, not 20`, { id })
  if (host !== undefined && (typeof host !== 'string' || isIP(host) === 0))
    throw optionError(`host: ${show(host)} is no IP address`, { host })
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65535))
    throw optionError(`port: ${show(port)} is not 0 to 65535`, { port })
  if (ports !== undefined) {
    if (isList(ports)) checkPorts(ports)
    else if (!isPromise(ports)) throw refuse('ports', `${show(ports)} is no list of ports`)
    if (host !== undefined || port !== undefined)
      throw optionError('ports are open already: leave out host and port', { host, port })
  }
}

/** @throws TorrentError ERR_DHT_OPTION. */
export function checkPorts(ports: readonly DatagramPort[]): void {
  const families = ports.map(({ family }) => family)
  if (ports.length === 0 || new Set(families).size < ports.length)
    throw optionError('ports: one for each address family', { families })
}

/**
 * The 20 bytes of an info hash or target given as bytes or as 40 hexadecimal digits.
 * @throws TorrentError ERR_DHT_OPTION.
 */
export function targetOf(name: string, given: Uint8Array | string): Uint8Array {
  const bytes = typeof given === 'string' ? fromHex(given) : given
  if (!isBytes(bytes) || bytes.length !== idLength)
    throw optionError(`${name}: ${show(given)} is not 20 bytes or 40 hexadecimal digits`, { [name]: given })
  return bytes
}
