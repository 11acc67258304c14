import { TorrentError } from '../util/errors.ts'

/** Options of a {@link Client}; all have defaults. */
export interface ClientOptions {
  /** TCP port to listen on; 0 (the default) for any. A port that is taken gives way to the next free one, with a `warning`. */
  readonly port?: number | undefined
  /** Local IP address to listen on and to dial from; all by default. */
  readonly host?: string | undefined
  /** Folder for the data of all torrents; by default each gets `piecewise/<infoHash>` in the OS folder for temporary files. */
  readonly path?: string | undefined
  /** Folder for resume records; by default `.piecewise` beside the data. */
  readonly state?: string | undefined
  /** Bytes per second for all torrents; `Infinity` (the default) is no limit, 0 stops. */
  readonly downloadLimit?: number | undefined
  /** Bytes per second for all torrents; `Infinity` (the default) is no limit, 0 stops. */
  readonly uploadLimit?: number | undefined
  /** Connections of all torrents; 200 by default. */
  readonly maxConnections?: number | undefined
  /** Bytes that pieces under way may hold in memory; 48 MiB by default, and always enough for one piece. */
  readonly memoryLimit?: number | undefined
  /** Not built yet: must be false or left out. */
  readonly dht?: boolean | object | undefined
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
const notBuilt = ['dht', 'utp', 'natTraversal', 'encryption', 'proxy'] as const
const known = new Set<string>([
  'port',
  'host',
  'path',
  'state',
  'downloadLimit',
  'uploadLimit',
  'maxConnections',
  'memoryLimit',
  ...switches,
  ...notBuilt
])

/**
 * Refuses what makes no sense at once.
 * @throws TorrentError ERR_CLIENT_OPTION naming the option and the value, ERR_CLIENT_UNSUPPORTED for what is not built.
 */
export function checkOptions(options: ClientOptions): void {
  for (const name of Object.keys(options)) {
    if (!known.has(name)) throw refusal(name, 'there is no such option')
  }
  for (const name of switches) {
    const value: unknown = options[name]
    if (value !== undefined && typeof value !== 'boolean')
      throw refusal(name, `${String(value)} must be true or false`)
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
    throw refusal('port', `${port} is no port: it must be a whole number from 0 to 65535`)
  }
  if (maxConnections !== undefined && !(Number.isInteger(maxConnections) && maxConnections > 0)) {
    throw refusal('maxConnections', `${maxConnections} must be a whole number from 1 on`)
  }
  if (memoryLimit !== undefined && !(memoryLimit > 0))
    throw refusal('memoryLimit', `${memoryLimit} must be above 0`)
  checkLimit('downloadLimit', options.downloadLimit)
  checkLimit('uploadLimit', options.uploadLimit)
}

/**
 * Refuses a rate limit that is no number from 0 on.
 * @throws TorrentError ERR_CLIENT_OPTION
 */
export function checkLimit(name: string, bytesPerSecond: number | undefined): void {
  if (bytesPerSecond === undefined || bytesPerSecond >= 0) return
  throw refusal(name, `${bytesPerSecond} must be bytes per second from 0 on, or Infinity`)
}

function refusal(option: string, reason: string): TorrentError {
  return new TorrentError('ERR_CLIENT_OPTION', `option ${option}: ${reason}`, { details: { option } })
}
