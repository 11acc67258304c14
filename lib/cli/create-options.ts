import type { CreateOptions, CreateProgress } from '../metainfo.ts'
import type { CommandLine } from './command-line.ts'
import type { Options } from './option-spec.ts'
import type { Output } from './output.ts'
import { usageError } from './usage-error.ts'
import { readBytes, readTracker, readUrl } from './values.ts'

/** Options of the commands that make a torrent. */
export const createOptions: Options = {
  tracker: {
    type: 'string',
    multiple: true,
    value: 'url',
    help: 'tracker URL; repeatable, each is a tier of its own'
  },
  name: {
    type: 'string',
    value: 'name',
    help: 'name of the torrent',
    byDefault: 'name of the file or folder'
  },
  'piece-length': {
    type: 'string',
    value: 'bytes',
    help: 'bytes per piece, a power of two from 16K to 512M',
    byDefault: 'depends on the size'
  },
  private: { type: 'boolean', help: 'allow peers from the trackers only' },
  comment: { type: 'string', value: 'text', help: 'comment in the .torrent' },
  'web-seed': {
    type: 'string',
    multiple: true,
    value: 'url',
    help: 'HTTP server that has the files; repeatable'
  }
}

/**
 * Returns the files and folders that a command line names.
 * @throws TorrentError ERR_CLI_USAGE when there are none.
 */
export function readPaths(line: CommandLine): string[] {
  const paths = [...line.positionals, ...line.rest]
  if (paths.length === 0) throw usageError('name the files or folders to share')
  return paths
}

/**
 * Returns the options for making the torrent.
 * @throws TorrentError ERR_CLI_USAGE
 */
export function readCreateOptions(line: CommandLine): CreateOptions {
  const name = line.text('name')
  const pieceLength = line.value('piece-length', readPieceLength)
  const comment = line.text('comment')
  return {
    ...(name === undefined ? {} : { name }),
    ...(pieceLength === undefined ? {} : { pieceLength }),
    ...(comment === undefined ? {} : { comment }),
    private: line.has('private'),
    trackers: line.values('tracker', readTracker),
    webSeeds: line.values('web-seed', (option, text) => readUrl(option, ['http:', 'https:'], text))
  }
}

/** Starts a status line for hashing; call the returned function after each piece. */
export function showHashing(output: Output): (progress: CreateProgress) => void {
  let doneBytes = 0
  let totalBytes = 0
  output.startStatus(() => ({
    label: 'hashing',
    progress: totalBytes === 0 ? 0 : doneBytes / totalBytes,
    doneBytes,
    totalBytes
  }))
  return (progress) => {
    doneBytes = progress.hashedBytes
    totalBytes = progress.totalBytes
  }
}

function readPieceLength(option: string, text: string): number {
  const bytes = readBytes(option, text)
  const isPower = bytes >= 16384 && bytes <= 2 ** 29 && Number.isInteger(Math.log2(bytes))
  if (!isPower) throw usageError(`--${option} '${text}' must be a power of two from 16K to 512M`)
  return bytes
}
