import type { CommandLine } from './command-line.ts'
import type { Options } from './option-spec.ts'
import type { Output } from './output.ts'

/** A command of the command line. */
export interface Command {
  readonly name: string
  /** One line of what it does. */
  readonly summary: string
  /** What follows the name in the usage line. */
  readonly usage: string
  readonly options: Options
  /** Command lines that show how it is used, without the program's name. */
  readonly examples: readonly string[]
  /** More paragraphs of the help. */
  readonly notes?: readonly string[]
  /** Whether standard output carries data, so that words for people must go elsewhere. */
  dataOnStdout?(line: CommandLine): boolean
  /**
   * Does it; returns the exit code.
   * @throws TorrentError ERR_CLI_USAGE when the command line makes no sense.
   */
  run(line: CommandLine, output: Output): Promise<number>
}
