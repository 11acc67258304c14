import { once } from 'node:events'
import type { Torrent, TorrentFile } from '../index.ts'
import { createServer } from '../server.ts'
import { systemCode, TorrentError } from '../util/errors.ts'
import type { Command } from './command.ts'
import type { CommandLine } from './command-line.ts'
import { interruptedSentence } from './download.ts'
import { chooseFile, chooseFiles } from './file-choice.ts'
import { formatBytes } from './format.ts'
import type { Output } from './output.ts'
import { runProgram, splitCommand, withUrl } from './player.ts'
import { announceTorrent } from './report.ts'
import { runSession, type Session } from './session.ts'
import {
  clientOptions,
  commonOptions,
  downloadOptions,
  jsonOption,
  readDownloadOptions
} from './shared-options.ts'
import { addSource, readAddOptions, readReading, sourceArgument } from './source-argument.ts'
import { usageError } from './usage-error.ts'
import { readPort } from './values.ts'

/** `piecewise stream`. */
export const stream: Command = {
  name: 'stream',
  summary: 'plays a file of a torrent while it downloads',
  usage: '<torrent|magnet|url> [options] [-- player {url}]',
  options: {
    file: {
      type: 'string',
      short: 'f',
      value: 'file',
      help: 'which file: index, name or pattern',
      byDefault: 'the largest playable one'
    },
    select: {
      type: 'string',
      value: 'files',
      help: 'further files to download, as in the download command',
      byDefault: 'none'
    },
    'http-port': { type: 'string', value: 'port', help: 'port of the URL', byDefault: 'any' },
    play: {
      type: 'string',
      value: 'command',
      help: 'run this player, with {url} replaced by the URL, and exit when it exits'
    },
    stdout: { type: 'boolean', help: 'write the file to standard output instead of serving it' },
    ...downloadOptions,
    ...clientOptions,
    ...jsonOption,
    ...commonOptions
  },
  examples: [
    'stream film.torrent --play "mpv {url}"',
    "stream 'magnet:?xt=urn:btih:...' --file '*.mkv' -- vlc --fullscreen {url}",
    'stream film.torrent --stdout | ffplay -'
  ],
  notes: [
    'The whole file is downloaded while it plays; the parts being read come first. The URL works on this computer only.'
  ],
  dataOnStdout: (line) => line.has('stdout'),
  async run(line, output) {
    const source = sourceArgument(line)
    const task = readTask(line)
    const add = readAddOptions(line)
    const options = {
      client: readDownloadOptions(line),
      onInterrupted: interruptedSentence,
      ...(task.stdout ? { codeWhenUnread: 0 } : {})
    }
    return runSession(output, options, async (session) => {
      const torrent = await addSource(session, source, {
        ...add,
        reading: readReading(line),
        selectLater: true
      })
      const index = chooseFile(task.file, torrent.files)
      const file = torrent.files[index]
      if (file === undefined) throw usageError(`the torrent has no file ${index}`)
      file.select()
      const others = chooseFiles(task.select, torrent.files)
      if (others.length > 0) torrent.select(others)
      announceTorrent(torrent, output)
      output.say(`Streaming ${file.path} (${formatBytes(file.length)}, ${file.type})`)
      if (task.stdout) return pipeOut(file, session, output)
      return serve(torrent, file, task, session, output)
    })
  }
}

interface Task {
  readonly file: string | undefined
  readonly select: string
  readonly httpPort: number
  readonly player: readonly string[] | undefined
  readonly stdout: boolean
}

function readTask(line: CommandLine): Task {
  const play = line.text('play')
  const stdout = line.has('stdout')
  const rest = line.rest.length > 0 ? line.rest : undefined
  const player = play === undefined ? rest : splitCommand(play)
  if (play !== undefined && rest !== undefined)
    throw usageError('name the player either with --play or after --')
  if (stdout) {
    if (player !== undefined) throw usageError('--stdout and a player exclude each other')
    if (line.has('http-port')) throw usageError('--stdout and --http-port exclude each other')
    if (line.has('json'))
      throw usageError('--stdout and --json exclude each other: both write to standard output')
    if (process.stdout.isTTY)
      throw usageError('standard output is a terminal: pipe it into a program or a file')
  }
  return {
    file: line.text('file'),
    select: line.text('select') ?? 'none',
    httpPort: line.value('http-port', readPort) ?? 0,
    player,
    stdout
  }
}

async function pipeOut(file: TorrentFile, { until, signal }: Session, output: Output): Promise<number> {
  const { stdout } = process
  const reader = file.createReadStream({ signal })
  const pump = async (): Promise<void> => {
    for await (const chunk of reader) if (!stdout.write(chunk)) await once(stdout, 'drain', { signal })
    await new Promise<void>((resolve, reject) =>
      stdout.write('', (error) => (error ? reject(error) : resolve()))
    )
  }
  try {
    await until(pump())
  } finally {
    reader.destroy()
  }
  output.stopStatus()
  output.say(`Done: ${file.path}`)
  return 0
}

async function serve(
  torrent: Torrent,
  file: TorrentFile,
  task: Task,
  session: Session,
  output: Output
): Promise<number> {
  const server = createServer(torrent, { readOnly: true })
  try {
    const port = await listen(server, task.httpPort)
    const url = `http://127.0.0.1:${port}/${torrent.infoHash}/${file.path.split('/').map(encodeElement).join('/')}`
    output.result(url)
    output.event('url', { url, path: file.path, length: file.length, type: file.type })
    torrent.whenDone().then(
      () => {
        output.say('Everything selected is downloaded.')
        output.event('done', { path: file.path, received: torrent.received })
      },
      () => {}
    )
    if (task.player !== undefined) {
      // The player uses the terminal now.
      output.stopStatus()
      const code = await session.until(runProgram(withUrl(task.player, url), session.signal))
      output.event('player', { code })
      if (code !== 0) output.warn(`the player ended with code ${code}`)
      return code === 0 ? 0 : 1
    }
    output.say('Open this URL in a player or a browser; press Ctrl+C to stop.')
    return await session.until(new Promise<never>(() => {}))
  } finally {
    await new Promise((resolve) => server.close(resolve))
  }
}

async function listen(server: ReturnType<typeof createServer>, port: number): Promise<number> {
  server.listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch (cause) {
    const reason =
      systemCode(cause) === 'EADDRINUSE' ? 'it is in use; choose another one, or 0 for any' : String(cause)
    throw new TorrentError('ERR_TRANSPORT_LISTEN', `cannot listen on --http-port ${port}: ${reason}`, {
      cause
    })
  }
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : port
}

/** Percent-encodes a path element; a lone surrogate becomes U+FFFD. */
function encodeElement(element: string): string {
  return encodeURIComponent(Buffer.from(element).toString())
}
