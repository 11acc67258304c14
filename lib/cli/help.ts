import { version } from '../util/version.ts'
import type { Command } from './command.ts'
import type { OptionSpec } from './option-spec.ts'

const textWidth = 80

export function programHelp(commands: readonly Command[]): string {
  const rows = commands.map(({ name, summary }): readonly [string, string] => [name, summary])
  const more: [string, string][] = [
    ['--help', 'show this text, or that of a command'],
    ['--version', 'show the version']
  ]
  return [
    `piecewise ${version}: BitTorrent as streams`,
    '',
    'Usage: piecewise <command> [options]',
    '',
    ...table([...rows, ...more]),
    '',
    'A source is a magnet link, an info hash, or the path or URL of a .torrent file.',
    'Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.'
  ].join('\n')
}

export function commandHelp(command: Command): string {
  const { name, usage, summary, options, examples, notes = [] } = command
  return [
    `piecewise ${name}: ${summary}`,
    '',
    `Usage: piecewise ${name} ${usage}`,
    '',
    ...table(Object.entries(options).map(([option, spec]) => [optionTitle(option, spec), optionHelp(spec)])),
    ...notes.flatMap((note) => ['', ...wrap(note, textWidth)]),
    '',
    'Examples:',
    ...examples.map((example) => `  piecewise ${example}`)
  ].join('\n')
}

function optionTitle(name: string, { value, short }: OptionSpec): string {
  const long = value === undefined ? `--${name}` : `--${name} <${value}>`
  return short === undefined ? long : `-${short}, ${long}`
}

function optionHelp({ help, byDefault }: OptionSpec): string {
  return byDefault === undefined ? help : `${help} (default: ${byDefault})`
}

function table(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([title]) => title.length)) + 4
  return rows.flatMap(([title, text]) =>
    wrap(text, textWidth - width).map((line, n) => `${(n === 0 ? `  ${title}` : '').padEnd(width)}${line}`)
  )
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}
