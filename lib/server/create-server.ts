import type { Server } from 'node:http'
import type { Client, Torrent } from '../index.ts'
import { checkServerOptions, type ServerOptions } from './server-options.ts'
import { TorrentServer } from './torrent-server.ts'

/**
 * An HTTP server over the torrents of a client, or over one torrent: `/` and `/<infoHash>/` show a page, `/<infoHash>/<path>` is a file
 * with ranges as players want them, `/<infoHash>.m3u` a playlist, `/api/` what the page asks for; with one torrent also `/<index>` is a
 * file. `listen` without a host binds 127.0.0.1; `close()` ends everything under way, and neither client nor torrent.
 * @throws TorrentError ERR_SERVER_OPTION naming the option that is refused.
 */
export function createServer(source: Client | Torrent, options?: ServerOptions): Server
export function createServer(
  source: Client | Torrent,
  options: ServerOptions = {},
  ...more: unknown[]
): Server {
  return new TorrentServer(source, checkServerOptions(options, more))
}
