import type { AddOptions } from '../index.ts'
import { parseMagnet } from '../metainfo.ts'
import type { CommandLine } from './command-line.ts'
import { usageError } from './usage-error.ts'
import { readPeer, readTracker } from './values.ts'

/**
 * The one source that a command line names.
 * @throws TorrentError ERR_CLI_USAGE when there is none, or more.
 */
export function readSource(line: CommandLine): string {
  const [source, another] = line.positionals
  if (source === undefined || source === '') {
    throw usageError('name a source: a magnet link, an info hash, or the path or URL of a .torrent file')
  }
  if (another !== undefined) throw usageError(`one source at a time: '${another}' is one too many`)
  return source
}

/**
 * How the source is added. The files are selected once they are known, unless a magnet link has said which (BEP 53).
 * @throws TorrentError ERR_CLI_USAGE, or ERR_METAINFO_MAGNET for a magnet link that cannot be used.
 */
export function readAddOptions(line: CommandLine, source: string, selectLater: boolean): AddOptions {
  const magnetSelects = /^magnet:/i.test(source) && parseMagnet(source).selectOnly !== undefined
  return {
    peers: line.values('peer', readPeer),
    trackers: line.values('tracker', readTracker),
    verify: line.has('verify'),
    select: selectLater ? 'none' : magnetSelects ? undefined : 'all'
  }
}
