import { homedir } from 'node:os'
import path from 'node:path'
import type { ClientOptions } from '../index.ts'
import { stateFolder } from '../util/state-folder.ts'
import type { CommandLine } from './command-line.ts'
import type { Options } from './option-spec.ts'
import { usageError } from './usage-error.ts'
import { readBytes, readEncryption, readHost, readPeer, readPort, readProxy } from './values.ts'

/** Options of every command. */
export const commonOptions: Options = {
  quiet: { type: 'boolean', short: 'q', help: 'print only results, warnings and errors' },
  verbose: { type: 'boolean', help: 'print all warnings, and stack traces of errors' },
  help: { type: 'boolean', short: 'h', help: 'show this text' }
}

/** Option of commands that use the network. */
export const proxyOption: Options = {
  proxy: {
    type: 'string',
    value: 'url',
    help: 'all traffic through socks5://, socks4a:// or http://[user:password@]host:port, or not at all'
  }
}

/** Options of commands with a client. */
export const clientOptions: Options = {
  port: {
    type: 'string',
    value: 'port',
    help: 'port for peers, 0 for any',
    byDefault: '6881, or the next free one'
  },
  host: { type: 'string', value: 'ip', help: 'local address to listen on and dial from', byDefault: 'all' },
  'no-dht': { type: 'boolean', help: 'do not look for peers in the DHT' },
  'dht-node': {
    type: 'string',
    multiple: true,
    value: 'host:port',
    help: 'bootstrap DHT node, instead of the public ones; repeatable'
  },
  'no-pex': { type: 'boolean', help: 'do not exchange addresses of peers (PEX)' },
  'no-lsd': { type: 'boolean', help: 'do not look for peers in the local network (LSD)' },
  encryption: {
    type: 'string',
    value: 'mode',
    help: 'encryption of peer connections: off, allow, prefer or require',
    byDefault: 'allow'
  },
  ...proxyOption,
  'no-nat': { type: 'boolean', help: 'do not ask the router to forward the port (PCP, NAT-PMP, UPnP)' },
  'download-limit': { type: 'string', value: 'rate', help: 'bytes per second, such as 500K or 2M; 0 stops' },
  'upload-limit': { type: 'string', value: 'rate', help: 'bytes per second, such as 500K or 2M; 0 stops' }
}

/** Option of commands that continue earlier work. */
export const stateOption: Options = {
  state: {
    type: 'string',
    value: 'folder',
    help: 'where the progress of torrents is saved',
    byDefault: "the user's state folder"
  }
}

/** Options of commands that download. */
export const downloadOptions: Options = {
  dir: {
    type: 'string',
    short: 'd',
    value: 'folder',
    help: 'where the files go',
    byDefault: 'the current folder'
  },
  peer: {
    type: 'string',
    multiple: true,
    value: 'host:port',
    help: 'a peer to connect to at once; repeatable'
  },
  tracker: { type: 'string', multiple: true, value: 'url', help: 'an additional tracker; repeatable' },
  ...stateOption,
  verify: { type: 'boolean', help: 'check all existing data by hashing it' },
  overwrite: {
    type: 'boolean',
    help: 'overwrite existing files that are not known to belong to the torrent'
  }
}

/** Option of commands that can write JSON. */
export const jsonOption: Options = {
  json: { type: 'boolean', help: 'one JSON object per line on standard output' }
}

/**
 * Returns the client options that a command line asks for.
 * @throws TorrentError ERR_CLI_USAGE
 */
export function readClientOptions(line: CommandLine): ClientOptions {
  const proxy = line.value('proxy', readProxy)
  return {
    // With a proxy, the client decides what it can carry.
    port: line.value('port', readPort) ?? (proxy === undefined ? 6881 : undefined),
    host: line.value('host', readHost),
    dht: readDht(line) ?? (proxy === undefined ? true : undefined),
    pex: !line.has('no-pex'),
    lsd: line.has('no-lsd') ? false : proxy === undefined ? true : undefined,
    natTraversal: proxy === undefined && !line.has('no-nat'),
    proxy,
    encryption: line.value('encryption', readEncryption),
    downloadLimit: line.value('download-limit', readBytes),
    uploadLimit: line.value('upload-limit', readBytes)
  }
}

function readDht(line: CommandLine): ClientOptions['dht'] {
  const bootstrap = line.values('dht-node', readPeer)
  if (line.has('no-dht')) {
    if (bootstrap.length > 0) throw usageError('--no-dht and --dht-node exclude each other')
    return false
  }
  return bootstrap.length === 0 ? undefined : { bootstrap }
}

/** Returns the options for the state folder. Commands share it and each runs one torrent, so none restores the torrents of others. */
export function readState(line: CommandLine): Required<Pick<ClientOptions, 'state' | 'restore'>> {
  const { platform, env } = process
  return {
    restore: false,
    state: path.resolve(line.text('state') ?? stateFolder({ platform, env, home: homedir() }))
  }
}

/** Returns the client options of a command that downloads, with the folders of data and of resume records. */
export function readDownloadOptions(line: CommandLine): ClientOptions {
  return {
    ...readClientOptions(line),
    ...readState(line),
    path: path.resolve(line.text('dir') ?? '.')
  }
}
