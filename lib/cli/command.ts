import type { CommandLine } from './command-line.ts'
import type { Options } from './option-spec.ts'
import type { Output } from './output.ts'

/** A command of the command line. */
export interface Command {
  readonly name: string
  /** One line that says what the command does. */
  readonly summary: string
  /** The usage line after the command's name. */
  readonly usage: string
  readonly options: Options
  /** Example command lines, without the program's name. */
  readonly examples: readonly string[]
  /** Further paragraphs of the help. */
  readonly notes?: readonly string[]
  /** Whether standard output carries data, so that text must go to standard error. */
  dataOnStdout?(line: CommandLine): boolean
  /**
   * Runs the command and returns the exit code.
   * @throws TorrentError ERR_CLI_USAGE when the command line is invalid.
   */
  run(line: CommandLine, output: Output): Promise<number>
}
