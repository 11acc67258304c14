import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { systemCode, TorrentError } from '../util/errors.ts'
import { usageError } from './usage-error.ts'

/**
 * Splits a command into words at spaces, except inside quotes. There is no shell, so no other character is special.
 * @throws TorrentError ERR_CLI_USAGE when a quote is not closed, or there are no words.
 */
export function splitCommand(text: string): string[] {
  const words: string[] = []
  let word: string | undefined
  let quote = ''
  for (const character of text) {
    if (quote !== '') {
      if (character === quote) quote = ''
      else word = `${word ?? ''}${character}`
    } else if (character === '"' || character === "'") {
      quote = character
      word ??= ''
    } else if (/\s/.test(character)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else word = `${word ?? ''}${character}`
  }
  if (quote !== '') throw usageError(`--play '${text}' has a ${quote} that is not closed`)
  if (word !== undefined) words.push(word)
  if (words.length === 0) throw usageError('--play needs a command, such as "mpv {url}"')
  return words
}

/** Replaces `{url}` in the words; appends the URL if no word contains it. */
export function withUrl(words: readonly string[], url: string): string[] {
  const filled = words.map((word) => word.replaceAll('{url}', url))
  return words.some((word) => word.includes('{url}')) ? filled : [...filled, url]
}

/**
 * Runs a program in this terminal until it ends. Returns its exit code, or 1 when an operating system signal ended it.
 * @throws TorrentError ERR_CLI_USAGE when it cannot be started; the signal's reason on abort, which ends the program.
 */
export async function runProgram(words: readonly string[], signal: AbortSignal): Promise<number> {
  const [program = '', ...args] = words
  const child = spawn(program, args, { stdio: 'inherit' })
  const end = (): boolean => child.kill()
  signal.addEventListener('abort', end, { once: true })
  try {
    const [code] = await once(child, 'exit')
    signal.throwIfAborted()
    return typeof code === 'number' ? code : 1
  } catch (cause) {
    signal.throwIfAborted()
    const reason = systemCode(cause) === 'ENOENT' ? 'there is no such program' : String(cause)
    throw new TorrentError('ERR_CLI_USAGE', `'${program}' could not be started: ${reason}`, { cause })
  } finally {
    signal.removeEventListener('abort', end)
  }
}
