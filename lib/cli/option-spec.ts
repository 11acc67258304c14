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
