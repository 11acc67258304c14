import type { Server } from 'node:http'
import type { Client, Torrent } from '../index.ts'
import { checkServerOptions, type ServerOptions } from './server-options.ts'
import { TorrentServer } from './torrent-server.ts'

/**
 * Creates an HTTP server for the torrents of a client, or for one torrent. `/` and `/<infoHash>/` are pages, `/<infoHash>/<path>` is
 * a file with the ranges that players need, `/<infoHash>.m3u` a playlist, and `/api/` the API of the page; with one torrent,
 * `/<index>` is also a file. `listen` without a host binds 127.0.0.1. `close()` ends all connections, but closes neither client nor
 * torrent.
 * @throws TorrentError ERR_SERVER_OPTION naming the invalid option.
 */
export function createServer(source: Client | Torrent, options?: ServerOptions): Server
export function createServer(
  source: Client | Torrent,
  options: ServerOptions = {},
  ...more: unknown[]
): Server {
  return new TorrentServer(source, checkServerOptions(options, more))
}
