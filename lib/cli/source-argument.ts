import { type AddOptions, type ReadSourceOptions, readSource, type Torrent } from '../index.ts'
import type { CommandLine } from './command-line.ts'
import type { Session } from './session.ts'
import { usageError } from './usage-error.ts'
import { readHost, readPeer, readProxy, readTracker } from './values.ts'

/**
 * Returns the one source that a command line names.
 * @throws TorrentError ERR_CLI_USAGE when there is none, or more than one.
 */
export function sourceArgument(line: CommandLine): string {
  const [source, another] = line.positionals
  if (source === undefined || source === '') {
    throw usageError('name a source: a magnet link, an info hash, or the path or URL of a .torrent file')
  }
  if (another !== undefined) throw usageError(`one source at a time: '${another}' is one too many`)
  return source
}

/**
 * Returns the options of `client.add` that a command line sets: further peers and trackers, `verify` and `overwrite`.
 * @throws TorrentError ERR_CLI_USAGE
 */
export function readAddOptions(line: CommandLine): AddOptions {
  return {
    peers: line.values('peer', readPeer),
    trackers: line.values('tracker', readTracker),
    verify: line.has('verify'),
    overwrite: line.has('overwrite')
  }
}

/**
 * Returns the options for reading a source: the same way out as the client's.
 * @throws TorrentError ERR_CLI_USAGE
 */
export function readReading(line: CommandLine): Pick<ReadSourceOptions, 'host' | 'proxy'> {
  return { host: line.value('host', readHost), proxy: line.value('proxy', readProxy) }
}

/**
 * Reads the source and adds it. With `selectLater`, no file is selected and the caller selects some; otherwise all files are, or those
 * that a magnet link selects (BEP 53).
 * @throws TorrentError as `readSource` and `client.add` do; the signal's reason.
 */
export async function addSource(
  { client, signal }: Session,
  source: string,
  {
    reading,
    selectLater,
    ...options
  }: AddOptions & {
    readonly reading: Pick<ReadSourceOptions, 'host' | 'proxy'>
    readonly selectLater: boolean
  }
): Promise<Torrent> {
  const read = await readSource(source, { ...reading, signal })
  const magnetSelects = !('info' in read) && read.selectOnly !== undefined
  const select = selectLater ? 'none' : magnetSelects ? undefined : 'all'
  return client.add(read, { ...options, select, signal })
}
