/** One option of a command, for the parser and the help. */
export interface OptionSpec {
  readonly type: 'string' | 'boolean'
  /** Placeholder for the value in the help. */
  readonly value?: string
  readonly short?: string
  /** Whether it may be repeated. */
  readonly multiple?: boolean
  readonly help: string
  /** Description of the default, for the help. */
  readonly byDefault?: string
}

/** Options by name, without dashes. */
export type Options = Readonly<Record<string, OptionSpec>>
