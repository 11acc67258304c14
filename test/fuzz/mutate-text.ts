import { mutateBytes } from './mutate-bytes.ts'
import type { Random } from './random.ts'

const odd = [
  ...[
    '\0',
    '\t',
    '\n',
    '\r\n',
    ' ',
    '"',
    "'",
    '\\',
    '/',
    '%',
    '%00',
    '%2e',
    '%2F',
    '%',
    '%zz',
    '%C3',
    '&',
    '&amp;'
  ],
  ...[
    '=',
    '?',
    '#',
    '@',
    ':',
    '::',
    '[',
    ']',
    '[::1]',
    ',',
    ';',
    '-',
    '--',
    '.',
    '..',
    '../',
    '*',
    '**/',
    '+',
    '_'
  ],
  ...[
    '\u00e9',
    'e\u0301',
    '\u202e',
    '\u200d',
    '\ufeff',
    '\u2028',
    '\uff0e',
    '\u0130',
    '\u{1f600}',
    '\ud800',
    '\udfff'
  ],
  ...[
    '127.0.0.1',
    '0x7f.1',
    'fe80::1%eth0',
    '::ffff:1.2.3.4',
    'localhost',
    'xn--a',
    '__proto__',
    'constructor'
  ],
  ...['Infinity', 'NaN', '1e9', '0x10', 'null', 'true', '\u0663', '{}', '[]']
]
const numbers = [
  ...[
    '0',
    '1',
    '-1',
    '00',
    '7',
    '65535',
    '65536',
    '2147483648',
    '4294967295',
    '4294967296',
    '9007199254740991'
  ],
  ...['9007199254740992', '18446744073709551616', `1${'0'.repeat(30)}`, '1.5', '1e400']
]

type Mutation = (text: string, random: Random, words: readonly string[], other: string) => string

function splice(text: string, at: number, remove: number, insert: string): string {
  return text.slice(0, at) + insert + text.slice(at + remove)
}

/** Replaces one match of a pattern. */
function replaceOne(text: string, pattern: RegExp, random: Random, by: (found: string) => string): string {
  const match = random.pick([...text.matchAll(pattern)])
  return match === undefined ? text : splice(text, match.index, match[0].length, by(match[0]))
}

const mutations: readonly [Mutation, ...Mutation[]] = [
  (text, random) => splice(text, random.below(text.length + 1), random.below(2), random.pick(odd) ?? ''),
  (text, random) => replaceOne(text, /\d+/g, random, () => random.pick(numbers) ?? ''),
  (text, random, words) => splice(text, random.below(text.length + 1), 0, random.pick(words) ?? ''),
  (text, random, words) => replaceOne(text, /[a-z][\w-]*/gi, random, () => random.pick(words) ?? ''),
  (text, random) => splice(text, random.below(text.length + 1), random.length(text.length), ''),
  (text, random) =>
    replaceOne(text, /[a-z]+/gi, random, (found) =>
      random.oneIn(2) ? found.toUpperCase() : found.toLowerCase()
    ),
  // Repeats a part between separators.
  (text, random) =>
    replaceOne(text, /[^,;&\s/:]+[,;&\s/:]*/g, random, (found) =>
      found.repeat(2 + random.length(random.oneIn(8) ? 2000 : 16))
    ),
  (text, random) => replaceOne(text, /[^,;&\s/:]+[,;&\s/:]*/g, random, () => ''),
  (text, random) => replaceOne(text, /[^\w]/g, random, () => random.pick(odd) ?? ''),
  (text, random) =>
    replaceOne(text, /./gsu, random, (found) => encodeURIComponent(Buffer.from(found).toString())),
  (text, random) => replaceOne(text, /%[0-9a-f]{2}/gi, random, (found) => `%25${found.slice(1)}`),
  (text, random, _, other) =>
    text.slice(0, random.below(text.length + 1)) + other.slice(random.below(other.length + 1)),
  (text, random, _, other) => {
    const at = random.below(other.length + 1)
    return splice(text, random.below(text.length + 1), 0, other.slice(at, at + random.length(other.length)))
  }
]

/**
 * Mutates a text: separators, escapes, numbers, words that its parser knows, parts of other texts;
 * occasionally its bytes.
 */
export function mutateText(
  bytes: Uint8Array,
  random: Random,
  words: readonly string[],
  other: Uint8Array
): Uint8Array {
  if (random.oneIn(12)) return mutateBytes(bytes, random, other)
  const text = Buffer.from(bytes).toString('utf8')
  const changed = random.pick(mutations)(text, random, words, Buffer.from(other).toString('utf8'))
  return new Uint8Array(Buffer.from(changed, 'utf8'))
}

/** Returns a number as text, possibly out of bounds. */
export function oddNumber(random: Random): string {
  return random.pick(numbers) ?? '0'
}
