import { systemCode, TorrentError } from '../util/errors.ts'
import { nearest } from '../util/nearest.ts'
import { version } from '../util/version.ts'
import type { Command } from './command.ts'
import { parseCommandLine } from './command-line.ts'
import { create } from './create.ts'
import { download } from './download.ts'
import { commandHelp, programHelp } from './help.ts'
import { info } from './info.ts'
import { Output } from './output.ts'
import { seed } from './seed.ts'
import { stream } from './stream.ts'
import { usageError } from './usage-error.ts'

const commands: readonly Command[] = [download, stream, seed, create, info]
const failedCode = 1
const usageCode = 2

/** Runs a command line (without node and script) and returns the exit code. Reports all errors and never rejects. */
export async function run(args: readonly string[]): Promise<number> {
  const unread = new AbortController()
  // A reader that closes the pipe has read enough; that is not an error.
  process.stdout.on('error', (error) => {
    if (systemCode(error) !== 'EPIPE') throw error
    unread.abort(error)
  })
  process.stderr.on('error', () => {})
  const streams = { stdout: process.stdout, stderr: process.stderr }
  // Errors must be reportable before the arguments are parsed.
  let output = new Output({ ...streams, unread: unread.signal, verbose: args.includes('--verbose') })
  process.on('uncaughtException', (error) => {
    output.stopStatus()
    output.fail(error)
    process.exit(failedCode)
  })
  try {
    const command = findCommand(args)
    if (typeof command === 'number') return command
    const rest = args.slice(1)
    const end = rest.indexOf('--')
    const own = end < 0 ? rest : rest.slice(0, end)
    if (own.includes('--help') || own.includes('-h')) {
      output.raw(`${commandHelp(command)}\n`)
      return 0
    }
    const line = parseCommandLine(command.name, command.options, rest)
    output = new Output({
      ...streams,
      unread: unread.signal,
      json: line.has('json') && command !== info,
      quiet: line.has('quiet'),
      verbose: line.has('verbose'),
      dataOnStdout: command.dataOnStdout?.(line) === true,
      dumb: process.env['TERM'] === 'dumb'
    })
    return await command.run(line, output)
  } catch (thrown) {
    output.stopStatus()
    output.fail(thrown)
    return thrown instanceof TorrentError && thrown.code === 'ERR_CLI_USAGE' ? usageCode : failedCode
  }
}

/** Returns the named command, or the exit code when nothing is left to do. */
function findCommand([name, second]: readonly string[]): Command | number {
  const say = (text: string): number => {
    process.stdout.write(`${text}\n`)
    return 0
  }
  if (name === '--version' || name === '-V') return say(version)
  if (name === '--help' || name === '-h') return say(programHelp(commands))
  const named = name === 'help' ? second : name
  const found = commands.find((command) => command.name === named)
  if (name === 'help') return say(found === undefined ? programHelp(commands) : commandHelp(found))
  if (found !== undefined) return found
  if (name === undefined) throw usageError("name a command; 'piecewise --help' lists them")
  const near = nearest(
    name,
    commands.map((command) => command.name)
  )
  const hint = near === undefined ? "'piecewise --help' lists them" : `did you mean ${near}?`
  throw usageError(`'${name}' is not a command; ${hint}`)
}
