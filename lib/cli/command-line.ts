import { parseArgs } from 'node:util'
import { nearest } from '../util/nearest.ts'
import type { OptionSpec, Options } from './option-spec.ts'
import { usageError } from './usage-error.ts'

/** The arguments after the command's name. */
export class CommandLine {
  /** Arguments that are not options. */
  readonly positionals: readonly string[]
  /** Arguments after `--`. */
  readonly rest: readonly string[]
  readonly #values: ReadonlyMap<string, readonly (string | true)[]>

  /** Holds arguments that {@link parseCommandLine} has checked. */
  constructor(
    values: ReadonlyMap<string, readonly (string | true)[]>,
    positionals: readonly string[],
    rest: readonly string[]
  ) {
    this.#values = values
    this.positionals = positionals
    this.rest = rest
  }

  /** Returns whether an option is given. */
  has(option: string): boolean {
    return this.#values.has(option)
  }

  /** Returns the value of an option, parsed by `read`; undefined when it is not given. */
  value<T>(option: string, read: (option: string, text: string) => T): T | undefined {
    return this.values(option, read)[0]
  }

  /** Returns the values of a repeatable option, parsed by `read`. */
  values<T>(option: string, read: (option: string, text: string) => T): T[] {
    return (this.#values.get(option) ?? []).flatMap((value) => (value === true ? [] : [read(option, value)]))
  }

  /** Returns the text of an option; undefined when it is not given. */
  text(option: string): string | undefined {
    return this.value(option, (_, text) => text)
  }
}

/**
 * Parses the arguments of the command `name`.
 * @throws TorrentError ERR_CLI_USAGE for an unknown option, a missing or unexpected value, or a second value of an option that is not repeatable.
 */
export function parseCommandLine(name: string, options: Options, args: readonly string[]): CommandLine {
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      Object.entries(options).map(([option, { type, short }]) => [
        option,
        { type, multiple: true, ...(short === undefined ? {} : { short }) }
      ])
    ),
    allowPositionals: true,
    strict: false,
    tokens: true
  })
  const values = new Map<string, (string | true)[]>()
  const positionals: string[] = []
  const rest: string[] = []
  let terminated = false
  for (const token of tokens) {
    if (token.kind === 'option-terminator') terminated = true
    else if (token.kind === 'positional') {
      if (terminated) rest.push(token.value)
      else positionals.push(token.value)
    } else {
      const spec = Object.hasOwn(options, token.name) ? options[token.name] : undefined
      if (spec === undefined) throw unknownOption(name, options, token.rawName)
      const value = checkedValue(spec, token)
      const before = values.get(token.name)
      if (before === undefined) values.set(token.name, [value])
      else if (spec.multiple) before.push(value)
      else if (value !== true) throw usageError(`--${token.name} is given twice`)
    }
  }
  return new CommandLine(values, positionals, rest)
}

function checkedValue(
  spec: OptionSpec,
  token: {
    readonly rawName: string
    readonly value?: string | undefined
    readonly inlineValue?: boolean | undefined
  }
): string | true {
  const { rawName, value } = token
  if (spec.type === 'boolean') {
    if (value !== undefined) throw usageError(`${rawName} takes no value`)
    return true
  }
  const looksLikeOption = token.inlineValue !== true && value !== undefined && /^-./.test(value)
  if (value === undefined || value === '' || looksLikeOption) {
    const hint = looksLikeOption ? `; if '${value}' is meant, write ${rawName}=${value}` : ''
    throw usageError(`${rawName} needs a value: ${rawName} <${spec.value ?? 'value'}>${hint}`)
  }
  return value
}

function unknownOption(name: string, options: Options, rawName: string): Error {
  const known = Object.keys(options).map((option) => `--${option}`)
  const near = nearest(rawName, known)
  const hint = near === undefined ? `'piecewise ${name} --help' lists them` : `did you mean ${near}?`
  return usageError(`'${rawName}' is not an option of '${name}'; ${hint}`)
}
