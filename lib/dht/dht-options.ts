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

/** Options of a `DHT`. */
export interface DhtOptions {
  /** Open UDP ports, one for each address family to use, or a promise of them. They may be shared and stay open after `close`. */
  readonly ports?: readonly DatagramPort[] | Promise<readonly DatagramPort[]>
  /** Without `ports`: the numeric address to bind. Default: all IPv4 addresses, and all IPv6 addresses if there are any. */
  readonly host?: string
  /** Without `ports`: the UDP port to bind. Default 0, any free one. */
  readonly port?: number
  /** Nodes to start from, `host:port`. Default {@link publicBootstrap}. With an empty list, the DHT joins no network by itself. */
  readonly bootstrap?: readonly string[]
  /** More nodes to start from, such as those of a torrent (BEP 5). */
  readonly nodes?: readonly PeerAddress[]
  /** The result of `save` in an earlier run, or a promise of it. */
  readonly state?: DhtState | Promise<DhtState | undefined>
  /**
   * Whether to send queries but answer none (BEP 43), which keeps us out of other nodes' routing tables: for short runs, and for nodes that
   * others cannot reach. Lookups and announces work as usual. Default `'auto'`: read-only, per address family, once 50 nodes have
   * answered us and no unsolicited query has arrived for 10 minutes; ends with the first unsolicited query, or after an hour, to try again.
   */
  readonly readOnly?: boolean | 'auto'
  /** Whether to send nothing before the first use: `ready`, `connected`, a lookup or `addNode`. Default false. */
  readonly lazy?: boolean
  /** Our id, 20 bytes. Default: the id in `state`, or random. Replaced if our external address requires another (BEP 42). */
  readonly id?: Uint8Array
  /** Called with problems from which the DHT recovers. */
  readonly onWarning?: (error: Error) => void
  /** Clock and timers. Default: the system's. */
  readonly timers?: Timers
  /** Random source. Default: the system's cryptographic generator. Other sources are for tests only. */
  readonly random?: RandomBytes
  /** Resolves the host names of nodes. Default: the system's resolver. */
  readonly lookup?: DhtHostLookup
}

/** State for a later run; can be bencoded as it is. */
export interface DhtState {
  /** Our id in the IPv4 network, 20 bytes. */
  readonly id?: Uint8Array
  /** Our id in the IPv6 network, 20 bytes. */
  readonly id6?: Uint8Array
  /** Compact nodes, 26 bytes each. */
  readonly nodes?: Uint8Array
  /** Compact IPv6 nodes, 38 bytes each. */
  readonly nodes6?: Uint8Array
}

/** A value for each address family. */
export interface PerFamily<T> {
  /** IPv4. */
  readonly 4: T
  /** IPv6. */
  readonly 6: T
}

/** Options of a lookup. */
export interface DhtLookupOptions {
  /** Aborts the lookup with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/** Options of an announce. */
export interface DhtAnnounceOptions extends DhtLookupOptions {
  /** Whether nodes should store the UDP port that they see instead of `port` (for uTP behind NAT). Default false. */
  readonly impliedPort?: boolean
  /** Whether we have the whole torrent (BEP 33). Default false. */
  readonly seed?: boolean
  /** Called with each peer that the lookup finds. */
  readonly onPeer?: (peer: PeerAddress) => void
}

/** Name of a mutable item (BEP 44). */
export interface MutableName {
  /** Ed25519 public key, 32 bytes. */
  readonly publicKey: Uint8Array
  /** Up to 64 bytes. Default none. */
  readonly salt?: Uint8Array | undefined
}

/** An item to store. A value alone is immutable; with a private key, or a signature made elsewhere, it is mutable. */
export interface PutRequest {
  /** At most 1000 bytes when bencoded. */
  readonly value: BencodeInput
  /** Ed25519 private key: a key object, or a seed of 32 bytes. */
  readonly privateKey?: KeyObject | Uint8Array
  /** Public key of the signer, instead of `privateKey`; requires `signature` and `seq`. */
  readonly publicKey?: Uint8Array
  /** Signature (Ed25519) of a mutable item, 64 bytes. */
  readonly signature?: Uint8Array
  /** Up to 64 bytes. */
  readonly salt?: Uint8Array
  /** Sequence number, 0 to 2^53 - 1. Default: one more than the highest found. */
  readonly seq?: number
  /** Sequence number of the version to replace. A node that holds another version refuses. */
  readonly cas?: number
}

// A record, so that the compiler reports an option that is missing here.
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
 * Checks the options of a lookup; `names` are those allowed besides `signal`.
 * @throws TorrentError ERR_DHT_OPTION
 */
export function checkLookup(options: DhtLookupOptions, ...names: readonly string[]): void {
  checkOptionNames(options, ['signal', ...names], refuse)
  checkSignal(options.signal, refuse)
}

/** Checks that a value is a node address. @throws TorrentError ERR_DHT_OPTION */
export function checkNode(address: unknown): void {
  const isNode =
    typeof address === 'object' &&
    address !== null &&
    'host' in address &&
    'port' in address &&
    typeof address.host === 'string' &&
    typeof address.port === 'number'
  if (!isNode) throw refuse('address', `${show(address)} is not an object with host and port`)
}

/** Creates the error for an invalid option or argument. */
export function optionError(what: string, details: Readonly<Record<string, unknown>>): TorrentError {
  return new TorrentError('ERR_DHT_OPTION', what, { details })
}

/** Whether `ports` is a list of open ports, not a promise or undefined. */
export function isList(ports: DhtOptions['ports']): ports is readonly DatagramPort[] {
  return Array.isArray(ports)
}

/** Checks the options of a DHT. @throws TorrentError ERR_DHT_OPTION, ERR_UTIL_ADDRESS. */
export function checkOptions(options: DhtOptions): void {
  checkOptionNames(options, Object.keys(names), refuse)
  const { ports, host, port, bootstrap = [], nodes = [], id, readOnly, state } = options
  if (!Array.isArray(bootstrap)) throw refuse('bootstrap', `${show(bootstrap)} is not a list of host:port`)
  if (!Array.isArray(nodes)) throw refuse('nodes', `${show(nodes)} is not a list of addresses`)
  for (const node of bootstrap) parseAddress(node)
  for (const node of nodes) readAddress(node)
  for (const name of ['onWarning', 'lookup', 'random'] as const)
    checkType(name, options[name], 'function', refuse)
  checkType('lazy', options.lazy, 'boolean', refuse)
  if (state !== undefined && (typeof state !== 'object' || state === null))
    throw refuse('state', `${show(state)} is not a result of save()`)
  if (readOnly !== undefined && readOnly !== 'auto' && typeof readOnly !== 'boolean')
    throw optionError(`readOnly: ${show(readOnly)} is not true, false or 'auto'`, { readOnly })
  if (id !== undefined && !isBytes(id)) throw refuse('id', `${show(id)} is not 20 bytes`)
  if (id !== undefined && id.length !== idLength) throw optionError(`id: ${id.length} bytes, not 20`, { id })
  if (host !== undefined && (typeof host !== 'string' || isIP(host) === 0))
    throw optionError(`host: ${show(host)} is not an IP address`, { host })
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65535))
    throw optionError(`port: ${show(port)} is not 0 to 65535`, { port })
  if (ports !== undefined) {
    if (isList(ports)) checkPorts(ports)
    else if (!isPromise(ports)) throw refuse('ports', `${show(ports)} is not a list of ports`)
    if (host !== undefined || port !== undefined)
      throw optionError('host and port cannot be combined with ports, which are open already', { host, port })
  }
}

/** Checks that each address family has at most one port, and that there is one. @throws TorrentError ERR_DHT_OPTION. */
export function checkPorts(ports: readonly DatagramPort[]): void {
  const families = ports.map(({ family }) => family)
  if (ports.length === 0 || new Set(families).size < ports.length)
    throw optionError('ports: must be one or two ports, of different address families', { families })
}

/**
 * Returns the 20 bytes of an info hash or target, given as bytes or as 40 hexadecimal digits.
 * @throws TorrentError ERR_DHT_OPTION.
 */
export function targetOf(name: string, given: Uint8Array | string): Uint8Array {
  const bytes = typeof given === 'string' ? fromHex(given) : given
  if (!isBytes(bytes) || bytes.length !== idLength)
    throw optionError(`${name}: ${show(given)} is not 20 bytes or 40 hexadecimal digits`, { [name]: given })
  return bytes
}
