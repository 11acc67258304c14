import assert from 'node:assert/strict'
import test from 'node:test'
import { encode } from '../../lib/bencode/encode.ts'
import { parseTorrent } from '../../lib/metainfo/parse-torrent.ts'
import { respellSteps } from '../../lib/metainfo/respell.ts'
import {
  elementHasOtherSpellings,
  nameHasOtherSpellings,
  type Spelling,
  spellElement,
  spellName
} from '../../lib/metainfo/spelling.ts'
import { fromText } from '../../lib/util/bytes.ts'
import { runSteps } from '../../lib/util/slices.ts'
import { fc } from '../support/fast-check.ts'

/** An element, and its spelling in 0.2, in 0.1, and the original one if it may be used. */
const elements: [string, string, string, string, string][] = [
  ['plain names', 'a.txt', 'a.txt', 'a.txt', 'a.txt'],
  ['joiners', 'a\u200db\u200cc', 'a\u200db\u200cc', 'abc', 'a\u200db\u200cc'],
  ['invisible characters', 'a\u200b\ufeffb', 'ab', 'ab', 'a\u200b\ufeffb'],
  ['marks of direction', 'a\u200fb', 'ab', 'ab', 'a\u200fb'],
  ['embeddings', 'a\u202bb\u200b', 'ab', 'ab', 'ab'],
  ['isolates', 'a\u2067b', 'ab', 'ab', 'ab'],
  ['separators', 'a\\b\u200b', 'ab', 'ab', 'ab'],
  ['control characters', 'a\nb\u200b', 'a_b', 'a_b', 'a_b'],
  ['our own folder', '.piece\u200bwise', '_piecewise', '_piecewise', '_piecewise'],
  ['245 bytes', 'n'.repeat(245), 'n'.repeat(245), 'n'.repeat(240), 'n'.repeat(245)],
  [
    'longer than a file system allows',
    `${'n'.repeat(260)}\u200b`,
    'n'.repeat(255),
    'n'.repeat(240),
    'n'.repeat(255)
  ],
  [
    'too long only with its invisible part',
    `${'n'.repeat(254)}\u200b`,
    'n'.repeat(254),
    'n'.repeat(240),
    'n'.repeat(254)
  ]
]
const spellings: Spelling[] = ['0.2', '0.1', 'original']
for (const [what, raw, ...expected] of elements) {
  test(`spells ${what} in three ways`, () => {
    const bytes = fromText(raw)
    assert.deepEqual(
      spellings.map((spelling) => spellElement(bytes, spelling, false)),
      expected
    )
    assert.deepEqual(
      spellings.map((spelling) => spellName(bytes, spelling, false)),
      expected
    )
    if (new Set(expected).size > 1) assert.ok(elementHasOtherSpellings(bytes))
  })
}

test('only version 0.1 kept the leading dot of a name', () => {
  const spell = (raw: string): (string | undefined)[] =>
    spellings.map((spelling) => spellName(fromText(raw), spelling, false))
  assert.deepEqual(spell('.ssh'), ['_ssh', '.ssh', '_ssh'])
  assert.deepEqual(spell('\u200b.s\u200dsh'), ['_s\u200dsh', '.ssh', '_s\u200dsh'])
  assert.deepEqual(spell('..'), [undefined, undefined, undefined])
})

test('on Windows its rules decide which spelling is original', () => {
  assert.equal(spellElement(fromText('a\u200b:b'), 'original', true), 'a_b')
  assert.equal(spellElement(fromText('con\u200b'), 'original', true), '_con')
  assert.equal(spellElement(fromText('a\u200b'), 'original', true), 'a\u200b')
})

test('each name that has another spelling is reported', () => {
  const part = fc.constantFrom(
    'a',
    '.',
    '\u200b',
    '\u200c',
    '\u2060',
    '\u061c',
    '\ufeff',
    '\u202e',
    '/',
    '映',
    'x'.repeat(81)
  )
  const raw = fc.array(part, { maxLength: 6 }).map((parts) => fromText(parts.join('')))
  fc.assert(
    fc.property(fc.oneof(raw, fc.uint8Array()), fc.boolean(), (bytes, windows) => {
      const all = spellings.map((spelling) => spellElement(bytes, spelling, windows))
      if (new Set(all).size > 1) assert.ok(elementHasOtherSpellings(bytes))
      const names = spellings.map((spelling) => spellName(bytes, spelling))
      assert.equal(nameHasOtherSpellings(bytes), new Set(names).size > 1)
      for (const element of [...all, ...names]) {
        if (element === undefined) continue
        assert.ok(element !== '' && element !== '.' && element !== '..')
        assert.doesNotMatch(element, /[/\\\u202a-\u202e\u2066-\u2069\p{Cc}]/u)
        assert.ok(Buffer.byteLength(element) <= 255)
      }
    }),
    { numRuns: 3000 }
  )
})

/** Makes a torrent of files by their paths, one byte each. */
function torrentOf(name: string, paths: string[][]): Uint8Array {
  const files = paths.map((path) => ({ length: 1, path }))
  return encode({ info: { files, name, 'piece length': 16384, pieces: new Uint8Array(20) } })
}

test('a torrent reports its spelling only if there are others, and is renamed as a whole', () => {
  const plain = parseTorrent(torrentOf('d', [['a'], ['映', '.b']]))
  assert.equal('spelling' in plain, false)
  assert.equal(runSteps(respellSteps(plain, '0.1')), plain)
  const torrent = parseTorrent(torrentOf('.d', [['ab'], ['a\u200db'], ['a\u200bb'], ['s', 'n'.repeat(250)]]))
  assert.equal(torrent.spelling, '0.2')
  const paths = (spelling: Spelling): [string, string[]] => {
    const { name, files, ...rest } = runSteps(respellSteps(torrent, spelling))
    assert.deepEqual(rest, { ...rest, spelling })
    assert.deepEqual(
      files.map((file) => file.name),
      files.map(({ path }) => path.split('/').at(-1))
    )
    return [name, files.map(({ path }) => path)]
  }
  assert.deepEqual(paths('0.2'), ['_d', ['_d/ab', '_d/a\u200db.1', '_d/ab.2', `_d/s/${'n'.repeat(250)}`]])
  assert.deepEqual(paths('0.1'), ['.d', ['.d/ab', '.d/ab.1', '.d/ab.2', `.d/s/${'n'.repeat(240)}`]])
  assert.deepEqual(paths('original')[1].slice(0, 3), ['_d/ab', '_d/a\u200db.1', '_d/a\u200bb'])
})
