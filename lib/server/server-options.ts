import { TorrentError } from '../util/errors.ts'
import { checkNoMore, checkOptionNames } from '../util/options.ts'
import { show } from '../util/show.ts'
import { serverLimits } from './limits.ts'

/** Options of `createServer`; all have defaults. */
export interface ServerOptions {
  /** A secret that every request must send as `?token=` or `Authorization: Bearer`; default none. The links of page and playlist contain it. */
  readonly token?: string | undefined
  /** The origin whose pages may read files and playlists, or `'*'` for all; default `false`. Only the server's own page can make changes. */
  readonly cors?: string | false | undefined
  /** Host names, without port, that requests may use besides the loopback names; protects against DNS rebinding. */
  readonly hosts?: readonly string[] | undefined
  /** Refuses all changes of torrents; default false. */
  readonly readOnly?: boolean | undefined
  /** Whether the API may add an http(s) URL on this machine or in local networks, for example of an indexer; default false: only public hosts. */
  readonly privateSources?: boolean | undefined
  /** Whether `/` and `/<infoHash>/` show a page; default true. */
  readonly page?: boolean | undefined
  /** Maximum open connections; default 512. Further ones replace an idle connection, or get a 503. */
  readonly maxConnections?: number | undefined
  /**
   * Maximum files that are sent at the same time; default 128. A further one closes a stream whose client has not taken 256 KiB within a
   * minute, or gets a 503.
   */
  readonly maxStreams?: number | undefined
}

/** {@link ServerOptions} with all defaults filled in. */
export interface CheckedOptions {
  readonly token: string | undefined
  readonly cors: string | false
  /** Lower case, without a trailing dot. */
  readonly hosts: ReadonlySet<string>
  readonly readOnly: boolean
  readonly privateSources: boolean
  readonly page: boolean
  readonly maxConnections: number
  readonly maxStreams: number
}

// A record, so that a forgotten option does not compile.
const optionNames: Record<keyof ServerOptions, true> = {
  token: true,
  cors: true,
  hosts: true,
  readOnly: true,
  privateSources: true,
  page: true,
  maxConnections: true,
  maxStreams: true
}

/**
 * Checks the options and fills in the defaults.
 * @throws TorrentError ERR_SERVER_OPTION naming the option and its value; the value of `token` is left out, because it is a secret.
 */
export function checkServerOptions(options: ServerOptions, more: readonly unknown[] = []): CheckedOptions {
  checkOptionNames(options, Object.keys(optionNames), optionRefusal)
  checkNoMore(more, optionRefusal)
  const { token, cors = false, hosts = [], readOnly = false, privateSources = false, page = true } = options
  const { maxConnections = serverLimits.connections, maxStreams = serverLimits.streams } = options
  if (token !== undefined && (typeof token !== 'string' || token === '')) {
    throw new TorrentError('ERR_SERVER_OPTION', 'option token: must be a string that is not empty', {
      details: { option: 'token' }
    })
  }
  if (cors !== false && cors !== '*' && !isOrigin(cors)) {
    throw refusal('cors', cors, "must be false, '*' or an origin such as https://example.org")
  }
  if (!Array.isArray(hosts) || !hosts.every((host) => typeof host === 'string' && isHostName(host))) {
    throw refusal('hosts', hosts, 'must be a list of host names or addresses without port')
  }
  if (typeof readOnly !== 'boolean') throw refusal('readOnly', readOnly, 'must be true or false')
  if (typeof privateSources !== 'boolean')
    throw refusal('privateSources', privateSources, 'must be true or false')
  if (typeof page !== 'boolean') throw refusal('page', page, 'must be true or false')
  checkCount('maxConnections', maxConnections)
  checkCount('maxStreams', maxStreams)
  const names = hosts.map((host) => host.toLowerCase().replace(/\.$/, ''))
  return { token, cors, hosts: new Set(names), readOnly, privateSources, page, maxConnections, maxStreams }
}

function checkCount(option: string, value: unknown): void {
  if (
    typeof value === 'number' &&
    value >= 1 &&
    (Number.isInteger(value) || value === Number.POSITIVE_INFINITY)
  )
    return
  throw refusal(option, value, 'must be a whole number of at least 1, or Infinity')
}

function isOrigin(value: unknown): boolean {
  if (typeof value !== 'string' || !URL.canParse(value)) return false
  return new URL(value).origin === value
}

function isHostName(value: string): boolean {
  return /^(?:[\w.-]+|\[[\da-f:.]+\])$/i.test(value)
}

function refusal(option: string, value: unknown, reason: string): TorrentError {
  return new TorrentError('ERR_SERVER_OPTION', `option ${option}: ${show(value)} ${reason}`, {
    details: { option, value }
  })
}

function optionRefusal(option: string, reason: string): TorrentError {
  return new TorrentError('ERR_SERVER_OPTION', `option ${option}: ${reason}`, { details: { option } })
}
