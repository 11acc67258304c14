import type { CommandLine } from './command-line.ts'
import type { Output } from './output.ts'

/** One option of a command, as it is parsed and as the help shows it. */
export interface OptionSpec {
  readonly type: 'string' | 'boolean'
  /** What stands for the value in the help. */
  readonly value?: string
  readonly short?: string
  /** Whether it may be given several times. */
  readonly multiple?: boolean
  readonly help: string
  /** What counts when it is not there, for the help. */
  readonly byDefault?: string
}

/** Options by their names without dashes. */
export type Options = Readonly<Record<string, OptionSpec>>

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
