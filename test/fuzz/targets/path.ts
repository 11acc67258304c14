import path from 'node:path'
import { reachesRecordFolder, spellsRecordFolder } from '../../../lib/metainfo/record-folder.ts'
import { safeElement, safeName } from '../../../lib/metainfo/safe-path.ts'
import {
  elementHasOtherSpellings,
  nameHasOtherSpellings,
  spellElement,
  spellName
} from '../../../lib/metainfo/spelling.ts'
import { uniquePathSteps } from '../../../lib/metainfo/unique-paths.ts'
import type { Check, Target } from '../target.ts'

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const forbidden = /[\u0000-\u001f\u007f\\\u202a-\u202e\u2066-\u2069]/

/** Asserts that a relative path stays within its root, on Windows too. */
export function checkPath(relative: string, check: Check): void {
  const elements = relative.split('/')
  check.that(
    relative !== '' && !elements.includes(''),
    `a path has an empty element: ${JSON.stringify(relative)}`
  )
  check.that(!elements.includes('.') && !elements.includes('..'), 'a path has an element that is no name')
  check.that(!forbidden.test(relative), 'a path has forbidden characters')
  check.that(path.posix.resolve('/root', relative).startsWith('/root/'), 'a path leaves its root')
  check.that(!path.isAbsolute(relative), 'a path is absolute')
  check.that(!reachesRecordFolder(relative), 'a path reaches the folder of records')
  check.that(Math.max(...elements.map((one) => Buffer.byteLength(one))) <= 255, 'an element is too long')
}

/** Names of files as torrents have them: one path a line, `/` between its elements. */
export const safePath: Target = {
  name: 'path',
  grammar: 'text',
  corpus: ['path'],
  words: [
    '.piecewise',
    '.PIECEW~1',
    'PI1A2B~1',
    'CON',
    'nul.txt',
    'a.1.txt',
    '..',
    '.',
    '\u200d',
    '\ufe52',
    ':$DATA',
    ' ',
    'a\u0308',
    '\u00e4'
  ],
  maxBytes: 64 << 10,
  run(input, check) {
    const lines = splitBytes(input, 10)
    const results: unknown[] = []
    for (const windows of [false, true]) {
      const requests: { elements: string[]; lowPriority: boolean }[] = []
      for (const line of lines.slice(0, 100)) {
        const elements = splitBytes(line, 47).flatMap((raw) => checkElement(raw, windows, check) ?? [])
        if (elements.length > 0) requests.push({ elements, lowPriority: line.length % 2 === 0 })
      }
      const paths = check.steps(uniquePathSteps(requests))
      check.equal(paths.length, requests.length, 'a path is missing')
      for (const one of paths) checkPath(one, check)
      const folded = new Set(paths.map((one) => one.toUpperCase().toLowerCase().normalize('NFC')))
      check.equal(folded.size, paths.length, 'two files have one path')
      for (const one of folded)
        for (let at = one.indexOf('/'); at > 0; at = one.indexOf('/', at + 1))
          check.that(!folded.has(one.slice(0, at)), 'a file has the path of a folder')
      results.push(paths)
    }
    return results
  }
}

function checkElement(raw: Uint8Array, windows: boolean, check: Check): string | undefined {
  const element = check.turn(() => safeElement(raw, windows))
  const name = safeName(raw, windows)
  check.that(name === undefined || !name.startsWith('.'), 'a name begins with a dot')
  for (const spelling of ['0.1', '0.2', 'original'] as const) {
    const spelled = spellElement(raw, spelling, windows)
    const named = spellName(raw, spelling, windows)
    if (spelled !== undefined) checkPath(spelled, check)
    if (named !== undefined) checkPath(named, check)
    check.that(spelled === undefined || !spelled.includes('/'), 'an element has a separator')
    if (spelling !== '0.2' && spelled !== spellElement(raw, '0.2', windows))
      check.that(
        windows || elementHasOtherSpellings(raw) || nameHasOtherSpellings(raw),
        'another spelling is not noticed'
      )
  }
  if (element === undefined) return undefined
  checkPath(element, check)
  check.that(!spellsRecordFolder(element), 'an element spells the folder of records')
  check.equal(safeElement(Buffer.from(element), windows), element, 'a safe element is changed again')
  if (windows) {
    check.that(!/[<>:"|?*]|[. ]$/.test(element), 'an element is no name on Windows')
    check.that(
      !/^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i.test(element),
      'an element is a device on Windows'
    )
  }
  return element
}

function splitBytes(bytes: Uint8Array, separator: number): Uint8Array[] {
  const parts: Uint8Array[] = []
  let from = 0
  for (let at = 0; at <= bytes.length; at++) {
    if (at < bytes.length && bytes[at] !== separator) continue
    parts.push(bytes.subarray(from, at))
    from = at + 1
  }
  return parts
}
