import { type PeerAddress, readAddress } from '../util/address.ts'
import { asError, TorrentError } from '../util/errors.ts'
import { checkNoMore, checkOptionNames, checkType, isAmount } from '../util/options.ts'
import { show } from '../util/show.ts'

/** How the DHT of a client begins. */
export interface ClientDhtOptions {
  /** Nodes to start from, `host:port`; by default well-known public ones, and none when `host` is a loopback address. */
  readonly bootstrap?: readonly string[] | undefined
  /** Further nodes to start from. */
  readonly nodes?: readonly PeerAddress[] | undefined
  /**
   * Asks and never answers (BEP 43), and tells no peer of its node: for those whom nobody can reach; torrents are announced as ever.
   * Default `'auto'`: once 50 nodes have answered and for 10 minutes nobody asked, until somebody does.
   */
  readonly readOnly?: boolean | 'auto' | undefined
}

/** Options of a {@link Client}; all have defaults. */
export interface ClientOptions {
  /** TCP port to listen on; 0 (the default) for any. A port that is taken gives way to the next free one, with a `warning`. */
  readonly port?: number | undefined
  /** Local IP address to listen on and to dial from; all by default. */
  readonly host?: string | undefined
  /**
   * Folder for the data of all torrents; by default each gets `piecewise-<uid>/<infoHash>` in the OS folder for temporary files
   * (`piecewise/<infoHash>` on Windows), or in a new private folder beside it, with a `warning`, if others have access to that one.
   */
  readonly path?: string | undefined
  /**
   * Folder in which the client keeps its torrents and how far they are; a client with the same folder brings them back, see
   * `restored()`. Without one, resume records lie in `.piecewise` beside the data, and nothing is brought back.
   */
  readonly state?: string | undefined
  /** `false` has `state` hold resume records alone: several processes may share such a folder. Default `true` with a `state`. */
  readonly restore?: boolean | undefined
  /** Torrents that download at the same time, others are `queued`; `Infinity` (the default) is no limit. Those that stand still do not count. */
  readonly maxActiveDownloads?: number | undefined
  /** Torrents that seed at the same time, others are `queued`; `Infinity` (the default) is no limit. */
  readonly maxActiveSeeds?: number | undefined
  /** Uploaded bytes for each byte downloaded after which a torrent stops as `finished`; `Infinity` (the default) is never. */
  readonly seedRatio?: number | undefined
  /** Milliseconds as a seed after which a torrent stops as `finished`; `Infinity` (the default) is never. */
  readonly seedTime?: number | undefined
  /** Bytes per second for all torrents; `Infinity` (the default) is no limit, 0 stops. */
  readonly downloadLimit?: number | undefined
  /** Bytes per second for all torrents; `Infinity` (the default) is no limit, 0 stops. */
  readonly uploadLimit?: number | undefined
  /** Connections of all torrents; 200 by default. */
  readonly maxConnections?: number | undefined
  /**
   * Bytes that pieces under way may hold in memory, and, up to half of it while they do not need it, what uploads read ahead; 48 MiB by
   * default, and always enough for one piece.
   */
  readonly memoryLimit?: number | undefined
  /**
   * Whether peers are found through the DHT (BEP 5), and how; `true` by default. A client whose `host` is a loopback address stays out
   * of the public network, and torrents that are private out of any.
   */
  readonly dht?: boolean | ClientDhtOptions | undefined
  /**
   * Finds peers in the local network by multicast (BEP 14); true by default. Private torrents are never announced. With a `host` only
   * that interface takes part, so a client on loopback finds only clients on loopback.
   */
  readonly lsd?: boolean | undefined
  /** Tells peers of each other, and takes in what they tell (BEP 11); true by default, and never for private torrents. */
  readonly pex?: boolean | undefined
  /** Not built yet: must be false or left out. */
  readonly utp?: boolean | undefined
  /** Not built yet: must be false or left out. */
  readonly natTraversal?: boolean | undefined
  /** Not built yet: must be false or left out. */
  readonly encryption?: boolean | string | undefined
  /** Not built yet: must be false or left out. */
  readonly proxy?: string | false | undefined
}

const switches = ['lsd', 'pex'] as const
const notBuilt = ['utp', 'natTraversal', 'encryption', 'proxy'] as const
// Records, so that an option without a place here is no valid program.
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

/** The names of all options of a client. */
export const clientOptionNames: readonly string[] = Object.keys(names)

/**
 * Refuses what makes no sense at once.
 * @throws TorrentError ERR_CLIENT_OPTION naming the option and the value, ERR_CLIENT_UNSUPPORTED for what is not built.
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
  const { port, maxConnections, memoryLimit } = options
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65535)) {
    throw refusal('port', `${show(port)} is no port: it must be a whole number from 0 to 65535`)
  }
  if (maxConnections !== undefined && !(Number.isInteger(maxConnections) && maxConnections > 0)) {
    throw refusal('maxConnections', `${show(maxConnections)} must be a whole number from 1 on`)
  }
  if (memoryLimit !== undefined && !(isAmount(memoryLimit) && memoryLimit > 0))
    throw refusal('memoryLimit', `${show(memoryLimit)} must be a number above 0`)
  if (options.restore === true && options.state === undefined) {
    throw refusal('restore', 'true needs the option state: the folder to restore from')
  }
  for (const name of ['maxActiveDownloads', 'maxActiveSeeds'] as const) checkCount(name, options[name])
  for (const name of ['seedRatio', 'seedTime'] as const) checkGoal(name, options[name])
  checkDht(options.dht)
  checkLimit('downloadLimit', options.downloadLimit)
  checkLimit('uploadLimit', options.uploadLimit)
}

/**
 * Refuses a rate limit that is no number from 0 on.
 * @throws TorrentError ERR_CLIENT_OPTION
 */
export function checkLimit(name: string, bytesPerSecond: number | undefined): void {
  if (bytesPerSecond === undefined || isAmount(bytesPerSecond)) return
  throw refusal(name, `${show(bytesPerSecond)} must be bytes per second from 0 on, or Infinity`)
}

/**
 * Refuses a number of torrents that is no whole number from 0 on, and not Infinity.
 * @throws TorrentError ERR_CLIENT_OPTION
 */
export function checkCount(name: string, count: number | undefined): void {
  if (count === undefined || count === Number.POSITIVE_INFINITY || (Number.isInteger(count) && count >= 0))
    return
  throw refusal(name, `${show(count)} must be a whole number from 0 on, or Infinity`)
}

/**
 * Refuses an end to seeding that is no number from 0 on.
 * @throws TorrentError ERR_CLIENT_OPTION
 */
export function checkGoal(name: string, value: number | undefined): void {
  if (value === undefined || isAmount(value)) return
  throw refusal(name, `${show(value)} must be a number from 0 on, or Infinity`)
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

/** An option that is refused. */
export function refusal(option: string, reason: string): TorrentError {
  return new TorrentError('ERR_CLIENT_OPTION', `option ${option}: ${reason}`, { details: { option } })
}
