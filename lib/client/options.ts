import { type ProxyOptions, type ProxyServer, readProxy } from '../net/proxy-server.ts'
import { type Encryption, encryptions } from '../transport/mse/encryption.ts'
import { type PeerAddress, readAddress } from '../util/address.ts'
import { asError, TorrentError } from '../util/errors.ts'
import { checkNoMore, checkOptionNames, checkType, isAmount } from '../util/options.ts'
import { show } from '../util/show.ts'

/** Options of the client's DHT node. */
export interface ClientDhtOptions {
  /** Bootstrap nodes as `host:port`; default: well-known public nodes, or none if the client's `host` is a loopback address. */
  readonly bootstrap?: readonly string[] | undefined
  /** More nodes to start from, such as those of an earlier run. */
  readonly nodes?: readonly PeerAddress[] | undefined
  /**
   * With `true`, the node sends queries but does not answer any (BEP 43), and is not advertised to peers. Torrents are still announced.
   * With `'auto'`, the default, the node becomes read-only if 50 nodes have answered and none has queried it for 10 minutes, until one does.
   */
  readonly readOnly?: boolean | 'auto' | undefined
}

/** Options of a {@link Client}. All are optional. */
export interface ClientOptions {
  /** TCP and UDP port; 0, the default, lets the system choose. If the port is taken, the next free one is used, with a `warning`. */
  readonly port?: number | undefined
  /** Local IP address to listen on and connect from; default: all addresses. */
  readonly host?: string | undefined
  /**
   * Folder for the data of all torrents. Default: `piecewise-<uid>/<infoHash>` in the OS folder for temporary files
   * (`piecewise/<infoHash>` on Windows). If other users can access that folder, a new private one is created beside it, with a `warning`.
   */
  readonly path?: string | undefined
  /**
   * State folder: keeps torrents, resume records, and the DHT's ids and nodes from run to run; see `restored()`. Without it, resume
   * records are kept in `.piecewise` beside the data, and no torrents are restored.
   */
  readonly state?: string | undefined
  /** With `false`, `state` holds only resume records and can be shared by several processes. Default `true` with a `state`. */
  readonly restore?: boolean | undefined
  /**
   * Maximum number of torrents that download at the same time; others are `queued`. Torrents without progress for a minute do not count.
   * Default `Infinity`.
   */
  readonly maxActiveDownloads?: number | undefined
  /**
   * Maximum number of torrents that seed at the same time; others are `queued`. Seeds without uploads for half an hour do not count.
   * Default `Infinity`.
   */
  readonly maxActiveSeeds?: number | undefined
  /** Ratio (bytes uploaded per byte downloaded) at which a torrent stops as `finished`. Default `Infinity`. */
  readonly seedRatio?: number | undefined
  /** Milliseconds of seeding after which a torrent stops as `finished`. Default `Infinity`. */
  readonly seedTime?: number | undefined
  /** Bytes per second that all torrents together receive; 0 stops. Default `Infinity`. */
  readonly downloadLimit?: number | undefined
  /** Bytes per second that all torrents together send; 0 stops. Default `Infinity`. */
  readonly uploadLimit?: number | undefined
  /** Connections of all torrents together. Default 200. */
  readonly maxConnections?: number | undefined
  /**
   * Bytes of memory for partial pieces and for the read cache of uploads, which takes at most half of it. Default 48 MiB, minimum 1 MiB.
   * Blocks of pieces that are larger than the torrent's share go to storage as they arrive.
   */
  readonly memoryLimit?: number | undefined
  /**
   * Finds peers through the DHT (BEP 5); default `true`. A client on a loopback `host` stays out of the public network. Private
   * torrents never use the DHT.
   */
  readonly dht?: boolean | ClientDhtOptions | undefined
  /**
   * Finds peers on the local network by multicast (BEP 14); default `true`. Private torrents are never announced. With a `host`, only
   * its interface is used, so a client on loopback finds only clients on loopback.
   */
  readonly lsd?: boolean | undefined
  /** Exchanges peer addresses with peers (BEP 11); default `true`. Never used for private torrents. */
  readonly pex?: boolean | undefined
  /**
   * Encrypts connections to peers (MSE), because some peers demand it and some networks block or slow plain ones; default `'allow'`. It
   * hides the protocol from an observer and is no protection of privacy. With `'require'`, only RC4 is used and peers without it are never
   * connected. Trackers, DHT and web pages are not affected.
   */
  readonly encryption?: Encryption | undefined
  /** Not built yet: must be false or left out. */
  readonly utp?: boolean | undefined
  /**
   * Asks the router to forward the client's port by PCP, NAT-PMP or UPnP, so that peers on the internet can connect; default `false`.
   * Only the port for peers is mapped, and the mapping is removed on `close`. Off on a loopback `host`. See `natStatus`.
   */
  readonly natTraversal?: boolean | undefined
  /**
   * Proxy for all traffic: `socks5://`, `socks4a://` or `http://` with `[user:password@]host:port`, or an object with `url`, `username` and
   * `password`. Peers, trackers, the DHT and .torrent URLs go through it, and so do their host names; while it fails, nothing is sent.
   * Only SOCKS5 carries UDP, so with the others the DHT and UDP trackers are off. The client does not listen, and LSD is off.
   */
  readonly proxy?: string | ProxyOptions | false | undefined
}

const switches = ['lsd', 'pex', 'natTraversal'] as const
const notBuilt = ['utp'] as const
// Records, so that a missing option is a compile error.
const names: Record<keyof ClientOptions, true> = {
  port: true,
  host: true,
  path: true,
  state: true,
  restore: true,
  maxActiveDownloads: true,
  maxActiveSeeds: true,
  seedRatio: true,
  seedTime: true,
  downloadLimit: true,
  uploadLimit: true,
  maxConnections: true,
  memoryLimit: true,
  dht: true,
  lsd: true,
  pex: true,
  utp: true,
  natTraversal: true,
  encryption: true,
  proxy: true
}
const dhtNames: Record<keyof ClientDhtOptions, true> = { bootstrap: true, nodes: true, readOnly: true }

/** Names of all options of a client, for error messages. */
export const clientOptionNames: readonly string[] = Object.keys(names)

/**
 * Throws for an invalid option of `Client`, or for further arguments.
 * @throws TorrentError ERR_CLIENT_OPTION with the option and its value; ERR_CLIENT_UNSUPPORTED for an option that is not built yet.
 */
export function checkOptions(options: ClientOptions, more: readonly unknown[] = []): void {
  checkOptionNames(options, clientOptionNames, refusal, {
    'the options of add': [
      'select',
      'trackers',
      'peers',
      'storage',
      'signal',
      'verify',
      'overwrite',
      'trust',
      'paused',
      'superSeeding'
    ]
  })
  checkNoMore(more, refusal)
  for (const name of [...switches, 'restore'] as const) checkType(name, options[name], 'boolean', refusal)
  for (const [name, what] of [
    ['path', 'the path of a folder'],
    ['state', 'the path of a folder'],
    ['host', 'an IP address of this machine']
  ] as const) {
    const text: unknown = options[name]
    if (text !== undefined && (typeof text !== 'string' || text === ''))
      throw refusal(name, `${show(text)} must be ${what}`)
  }
  for (const name of notBuilt) {
    const value = options[name]
    if (value === undefined || value === false) continue
    throw new TorrentError(
      'ERR_CLIENT_UNSUPPORTED',
      `${name} is not built yet: leave it out or set it to false`,
      {
        details: { option: name, value }
      }
    )
  }
  checkEncryption(options.encryption)
  const { port, maxConnections, memoryLimit } = options
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65535)) {
    throw refusal('port', `${show(port)} is no port: it must be a whole number from 0 to 65535`)
  }
  if (maxConnections !== undefined && !(Number.isInteger(maxConnections) && maxConnections > 0)) {
    throw refusal('maxConnections', `${show(maxConnections)} must be a whole number of at least 1`)
  }
  if (memoryLimit !== undefined && !(isAmount(memoryLimit) && memoryLimit > 0))
    throw refusal('memoryLimit', `${show(memoryLimit)} must be a number above 0`)
  if (options.restore === true && options.state === undefined) {
    throw refusal('restore', 'true needs the option state: the folder to restore from')
  }
  for (const name of ['maxActiveDownloads', 'maxActiveSeeds'] as const) checkCount(name, options[name])
  for (const name of ['seedRatio', 'seedTime'] as const) checkGoal(name, options[name])
  checkDht(options.dht)
  checkProxy(options)
  checkLimit('downloadLimit', options.downloadLimit)
  checkLimit('uploadLimit', options.uploadLimit)
}

/**
 * Throws unless a rate limit is a number of bytes per second from 0 to Infinity; undefined passes.
 * @throws TorrentError ERR_CLIENT_OPTION
 */
export function checkLimit(name: string, bytesPerSecond: number | undefined): void {
  if (bytesPerSecond === undefined || isAmount(bytesPerSecond)) return
  throw refusal(name, `${show(bytesPerSecond)} must be at least 0 bytes per second, or Infinity`)
}

/**
 * Throws unless a number of torrents, or a position among them, is a whole number of at least 0, or Infinity; undefined passes.
 * @throws TorrentError ERR_CLIENT_OPTION
 */
export function checkCount(name: string, count: number | undefined): void {
  if (count === undefined || count === Number.POSITIVE_INFINITY || (Number.isInteger(count) && count >= 0))
    return
  throw refusal(name, `${show(count)} must be a whole number of at least 0, or Infinity`)
}

/**
 * Throws unless a seeding goal (ratio or milliseconds) is a number of at least 0, or Infinity; undefined passes.
 * @throws TorrentError ERR_CLIENT_OPTION
 */
export function checkGoal(name: string, value: number | undefined): void {
  if (value === undefined || isAmount(value)) return
  throw refusal(name, `${show(value)} must be a number of at least 0, or Infinity`)
}

function checkEncryption(encryption: ClientOptions['encryption']): void {
  if (encryption === undefined || encryptions.includes(encryption)) return
  throw refusal('encryption', `${show(encryption)} must be false, 'allow', 'prefer' or 'require'`)
}

/**
 * Returns the proxy of the option; undefined without one.
 * @throws TorrentError ERR_CLIENT_OPTION, without credentials in its message.
 */
export function proxyOf(option: ClientOptions['proxy']): ProxyServer | undefined {
  return readProxy(option, (reason) => refusal('proxy', reason))
}

/** Refuses options that would need traffic around the proxy. */
function checkProxy({ proxy: given, port, lsd, dht, natTraversal }: ClientOptions): void {
  const proxy = proxyOf(given)
  if (proxy === undefined) return
  if (port !== undefined && port !== 0)
    throw refusal('port', 'with a proxy the client does not listen; leave it out')
  if (lsd === true) throw refusal('lsd', 'multicast cannot go through a proxy; leave it out')
  if (natTraversal === true)
    throw refusal(
      'natTraversal',
      'with a proxy the client does not listen, so no port can be mapped; leave it out'
    )
  if (dht !== undefined && dht !== false && !proxy.carriesUdp)
    throw refusal('dht', `${proxy.name} carries no UDP, which the DHT needs; use SOCKS5 or set it to false`)
}

function checkDht(dht: ClientOptions['dht']): void {
  if (dht === undefined || typeof dht === 'boolean') return
  if (typeof dht !== 'object' || dht === null)
    throw refusal('dht', `${show(dht)} must be true, false or an object with bootstrap, nodes or readOnly`)
  const refuse = (option: string, reason: string): TorrentError => refusal(`dht.${option}`, reason)
  checkOptionNames(dht, Object.keys(dhtNames), refuse)
  const { bootstrap = [], nodes = [], readOnly = 'auto' } = dht
  if (readOnly !== 'auto' && typeof readOnly !== 'boolean')
    throw refuse('readOnly', `${show(readOnly)} must be true, false or 'auto'`)
  if (!Array.isArray(bootstrap)) throw refuse('bootstrap', `${show(bootstrap)} must be a list of host:port`)
  if (!Array.isArray(nodes)) throw refuse('nodes', `${show(nodes)} must be a list of addresses`)
  for (const [option, list] of [
    ['bootstrap', bootstrap],
    ['nodes', nodes]
  ] as const) {
    try {
      for (const node of list) readAddress(node)
    } catch (cause) {
      throw refuse(option, asError(cause).message)
    }
  }
}

/** Returns an ERR_CLIENT_OPTION error with the option's name in front of the reason. */
export function refusal(option: string, reason: string): TorrentError {
  return new TorrentError('ERR_CLIENT_OPTION', `option ${option}: ${reason}`, { details: { option } })
}
