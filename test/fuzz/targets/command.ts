import { parseCommandLine } from '../../../lib/cli/command-line.ts'
import { createOptions, readCreateOptions } from '../../../lib/cli/create-options.ts'
import { chooseFile, chooseFiles } from '../../../lib/cli/file-choice.ts'
import { matchesGlob } from '../../../lib/cli/glob.ts'
import { splitCommand, withUrl } from '../../../lib/cli/player.ts'
import { printable, printableJson } from '../../../lib/cli/printable.ts'
import {
  clientOptions,
  commonOptions,
  downloadOptions,
  readClientOptions
} from '../../../lib/cli/shared-options.ts'
import { readAddOptions, sourceArgument } from '../../../lib/cli/source-argument.ts'
import { readRatio } from '../../../lib/cli/values.ts'
import { containerIndexBytes } from '../../../lib/stream/container-index.ts'
import { contentType } from '../../../lib/torrent/content-type.ts'
import { isTorrentError } from '../../../lib/util/errors.ts'
import type { Check, Target } from '../target.ts'

const options = {
  ...commonOptions,
  ...clientOptions,
  ...downloadOptions,
  ...createOptions,
  ratio: { type: 'string', help: '' }
} as const
const files = ['movie.mkv', 'Extras/a.srt', 'Extras/\u00e9/b.mp4', 'x'].map((path, n) => ({
  path,
  name: path.split('/').at(-1) ?? '',
  length: n * 1000,
  type: contentType(path)
}))

/**
 * Command lines with one argument a line: options and their values, patterns, player commands, names in a
 * terminal.
 */
export const command: Target = {
  name: 'command',
  grammar: 'text',
  corpus: ['command'],
  seeds: () => [`${' '.repeat(64_000)}x`],
  words: [
    ...Object.keys(options).map((name) => `--${name}`),
    '--',
    '-d',
    '-q',
    '\n',
    '**/',
    '*',
    '?',
    '{url}',
    '"',
    '\x1b[2J',
    '\x9b',
    '1.5G'
  ],
  maxBytes: 2048,
  run(input, check) {
    const text = Buffer.from(input).toString()
    const args = text.split('\n')
    const outcomes: unknown[] = []
    const attempt = (work: () => unknown): void => {
      try {
        outcomes.push(check.turn(work))
      } catch (thrown) {
        if (!isTorrentError(thrown)) throw thrown
        outcomes.push(`${thrown.code} ${thrown.message.replace(/'[^']*'|\W|\d/g, '').slice(0, 40)}`)
      }
    }
    attempt(() => {
      const line = parseCommandLine('download', options, args)
      attempt(() => readClientOptions(line))
      attempt(() => readCreateOptions(line))
      attempt(() => readAddOptions(line))
      attempt(() => sourceArgument(line))
      attempt(() => line.value('ratio', readRatio))
      return line.positionals.length
    })
    const [first = '', second = ''] = args
    checkChoices(first, check, attempt)
    attempt(() => matchesGlob(second, first))
    attempt(() => withUrl(splitCommand(text), 'http://127.0.0.1/').length)
    checkShown(text, check)
    const tail = containerIndexBytes(text, 1 << 30)
    check.that(tail >= 0 && tail <= 1 << 30, 'the tail is longer than the file')
    outcomes.push(contentType(text).split('/')[0], tail > 0)
    return outcomes
  }
}

function checkChoices(choice: string, check: Check, attempt: (work: () => unknown) => void): void {
  attempt(() => {
    const chosen = chooseFiles(choice, files)
    check.that(
      chosen.every((index) => files[index] !== undefined),
      'a missing file is selected'
    )
    return chosen.length
  })
  attempt(() => {
    const index = chooseFile(choice, files)
    check.that(files[index] !== undefined, 'a missing file is selected')
    return index
  })
}

function checkShown(text: string, check: Check): void {
  const shown = check.turn(() => printable(text))
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  check.that(!/[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/.test(shown), 'a text has commands for a terminal')
  const json = printableJson({ text })
  check.equal(JSON.parse(json), { text }, 'a parser reads another text')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  check.that(!/[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/.test(json), 'JSON has commands for a terminal')
}
