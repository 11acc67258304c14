import assert from 'node:assert/strict'
import test from 'node:test'
import { safeElement, safeName, uniquePaths } from '../../lib/metainfo/safe-path.ts'
import { fromText } from '../../lib/util/bytes.ts'
import { fc } from '../support/fast-check.ts'

const elements: [string, string | number[], string | undefined][] = [
  ['a plain name', 'movie.mkv', 'movie.mkv'],
  ['other scripts', 'žluťoučký 映画.mkv', 'žluťoučký 映画.mkv'],
  ['a dot', '.', undefined],
  ['two dots', '..', undefined],
  ['three dots', '...', '...'],
  ['dots hidden by invisible signs', '.\u200b.', undefined],
  ['nothing', '', '_'],
  ['a slash alone', '/', '_'],
  ['a traversal in one element', '../../etc/passwd', '....etcpasswd'],
  ['backslashes', 'a\\..\\b', 'a..b'],
  ['control characters', 'a\u0000b\nc\u007fd\u0085e', 'a_b_c_d_e'],
  ['direction marks', 'cod\u202egpj.exe\u2066\u200f', 'codgpj.exe'],
  ['a byte order mark', '\ufeffa', 'a'],
  ['bytes that are no UTF-8', [0x61, 0xff, 0x62], 'a_b'],
  ['an overlong slash', [0xc0, 0xaf, 0x61], '__a'],
  ['dot-files', '.bashrc', '.bashrc'],
  ['a family', '\u{1f468}\u200d\u{1f469}\u200d\u{1f467}.mkv', '\u{1f468}\u200d\u{1f469}\u200d\u{1f467}.mkv'],
  ['Persian', 'می\u200cخواهم.mkv', 'می\u200cخواهم.mkv'],
  ['Malayalam', 'അവന്\u200d.txt', 'അവന്\u200d.txt'],
  ['other invisible characters', 'a\u200b\u2060\u2064\u061cb', 'ab'],
  ['joiners alone', '\u200c\u200d', '_'],
  ['a dot behind a joiner', '\u200c.', undefined],
  ['two dots with a joiner between', '.\u200d.', undefined],
  ['spaces', ' a b ', ' a b ']
]
for (const [what, raw, expected] of elements) {
  test(`makes ${what} safe`, () => {
    assert.equal(safeElement(typeof raw === 'string' ? fromText(raw) : Uint8Array.from(raw), false), expected)
  })
}

const windowsElements: [string, string | undefined][] = [
  ['con', '_con'],
  ['AUX.txt', '_AUX.txt'],
  ['com1', '_com1'],
  ['COM¹.log', '_COM¹.log'],
  ['LPT9.tar.gz', '_LPT9.tar.gz'],
  ['nul .txt', '_nul .txt'],
  ['nul.a\u2028b', '_nul.a\u2028b'],
  ['com1.\u2029', '_com1.\u2029'],
  ['console', 'console'],
  ['a:b', 'a_b'],
  ['what?*<>|"', 'what______'],
  ['trailing. . ', 'trailing'],
  ['... ', '_'],
  ['nul.', '_nul']
]
for (const [raw, expected] of windowsElements) {
  test(`makes '${raw}' safe on Windows alone`, () => {
    assert.equal(safeElement(fromText(raw), true), expected)
    assert.equal(safeElement(fromText(raw), false), raw)
  })
}

const names: [string, string, string][] = [
  ['a leading dot', '.bashrc', '_bashrc'],
  ['three dots', '...', '_..'],
  ['a dot behind a joiner', '\u200d.ssh', '_ssh'],
  ['a dot behind what is removed', '/\u202e.ssh', '_ssh'],
  ['no leading dot', 'a.b', 'a.b']
]
for (const [what, raw, expected] of names) {
  test(`the name of a torrent with ${what}`, () => assert.equal(safeName(fromText(raw), false), expected))
}

test('names have up to 255 bytes, are cut on a character border and keep a short extension', () => {
  const longest = `${'a'.repeat(251)}.mkv`
  assert.equal(safeElement(fromText(longest)), longest)
  assert.equal(safeElement(fromText(`${'a'.repeat(300)}.mkv`)), longest)
  assert.equal(safeElement(fromText('é'.repeat(200))), 'é'.repeat(127))
  assert.equal(safeElement(fromText(`${'é'.repeat(200)}.a`)), `${'é'.repeat(126)}.a`)
  assert.equal(safeElement(fromText(`a.${'b'.repeat(300)}`)), `a.${'b'.repeat(253)}`)
  assert.equal(safeElement(fromText('😀'.repeat(64))), '😀'.repeat(63))
  const family = '\u{1f468}\u200d\u{1f469}'
  assert.equal(safeElement(fromText(family.repeat(24))), `${family.repeat(23)}`)
  assert.equal(safeElement(fromText(`ab${family.repeat(24)}`)), `ab${family.repeat(23)}`)
  assert.equal(safeElement(fromText(`${'a'.repeat(250)}\u200d\u{1f469}`)), 'a'.repeat(250))
  assert.equal(safeElement(fromText(`con.${'a'.repeat(300)}`), true), `_con.${'a'.repeat(250)}`)
})

/** What is most likely to be dangerous together. */
const bits = fc.constantFrom(
  ...[
    '.',
    '..',
    '/',
    '\\',
    ' ',
    '~',
    'a',
    'con',
    'piecewise',
    'é',
    'e\u0301',
    '映',
    '😀',
    '\u200b',
    '\u200c',
    '\u200d'
  ],
  ...[
    '\u202e',
    '\u2066',
    '\ufeff',
    '\0',
    '\n',
    '\ufffd',
    ':',
    '?',
    'x'.repeat(120),
    'ж'.repeat(60),
    '.mkv',
    '.1'
  ]
)
const anyName = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.array(bits, { maxLength: 8 }).map((parts) => fromText(parts.join('')))
)

test('any bytes give an element that stays in its folder, fits, and is its own element', () => {
  fc.assert(
    fc.property(anyName, fc.boolean(), (raw, windows) => {
      for (const safe of [safeElement, safeName]) {
        const element = safe(raw, windows)
        assert.equal(safe(raw, windows), element)
        if (element === undefined) continue
        assert.ok(element !== '' && element !== '.' && element !== '..')
        assert.doesNotMatch(element, /[/\\\u200b\u202a-\u202e\u2066-\u2069\ufeff\p{Cc}]/u)
        assert.ok(Buffer.byteLength(element) <= 255)
        assert.equal(safe(fromText(element), windows), element)
        if (safe === safeName) assert.doesNotMatch(element, /^[\u200c\u200d]*\./)
        if (windows) assert.doesNotMatch(element, /["*:<>?|]|[. ]$/)
      }
    }),
    { numRuns: 3000 }
  )
})

const unique: [string, string[], string[]][] = [
  ['leaves different paths alone', ['a/b', 'a/c', 'd'], ['a/b', 'a/c', 'd']],
  ['renames a repeated file', ['a.txt', 'a.txt', 'a.txt'], ['a.txt', 'a.1.txt', 'a.2.txt']],
  ['renames without an extension', ['.rc', '.rc', 'x', 'x'], ['.rc', '.rc.1', 'x', 'x.1']],
  ['sees no case', ['Readme.md', 'README.MD'], ['Readme.md', 'README.1.MD']],
  ['sees no case in folders', ['Dir/a', 'dir/A'], ['Dir/a', 'dir/A.1']],
  ['sees no composition', ['\u00e9', 'e\u0301'], ['\u00e9', 'e\u0301.1']],
  ['sees one sigma', ['\u03c3', '\u03c2'], ['\u03c3', '\u03c2.1']],
  [
    'never takes a name that a later file has',
    ['a.txt', 'A.txt', 'a.1.txt'],
    ['a.txt', 'A.2.txt', 'a.1.txt']
  ],
  ['moves a file out of the way of a folder', ['a', 'a/b'], ['a.1', 'a/b']],
  ['moves a file out of the way of an earlier folder', ['a/b/c', 'A/B'], ['a/b/c', 'A/B.1']],
  ['does so without regard to names that exist', ['a', 'a.1', 'a/b', 'a.2/c'], ['a.3', 'a.1', 'a/b', 'a.2/c']]
]
for (const [what, paths, expected] of unique) {
  test(`uniquePaths ${what}`, () => {
    assert.deepEqual(
      uniquePaths(paths.map((path) => ({ elements: path.split('/'), yields: false }))),
      expected
    )
  })
}

test('a suffix shortens the stem of a long name, and the extension stays', () => {
  const long = `${'é'.repeat(125)}x.mkv`
  assert.deepEqual(unique1(long, long), [long, `${'é'.repeat(124)}.1.mkv`])
  const bare = 'n'.repeat(255)
  assert.deepEqual(unique1(bare, bare), [bare, `${'n'.repeat(253)}.1`])
  const onlyExtension = `a.${'b'.repeat(253)}`
  assert.deepEqual(unique1(onlyExtension, onlyExtension), [onlyExtension, `a.${'b'.repeat(251)}.1`])
  const joined = `${'a'.repeat(246)}\u200d\u{1f469}`
  assert.equal(Buffer.byteLength(joined), 253)
  assert.deepEqual(unique1(joined, joined), [joined, `${joined}.1`])
  const cut = `${joined}bb`
  assert.deepEqual(unique1(cut, cut), [cut, `${joined}.1`])
})

function unique1(...names: string[]): string[] {
  return uniquePaths(names.map((name) => ({ elements: [name], yields: false })))
}

test('names that differ in joiners alone are told apart', () => {
  assert.deepEqual(unique1('a\u200db', 'ab', 'a\u200cb'), ['a\u200db', 'ab.1', 'a\u200cb.2'])
})

test('padding yields its name to files', () => {
  const requests = [
    { elements: ['a'], yields: true },
    { elements: ['a'], yields: false }
  ]
  assert.deepEqual(uniquePaths(requests), ['a.1', 'a'])
})

test('100,000 files of one name are told apart in no time', () => {
  const paths = uniquePaths(
    Array.from({ length: 100_000 }, () => ({ elements: ['d', 'same'], yields: false }))
  )
  assert.equal(new Set(paths).size, 100_000)
})

test('paths are unique however they look, and the same each time', () => {
  const long = 'n'.repeat(250)
  const part = fc.constantFrom('a', 'A', 'a.1', 'b', 'B', 'a.b', 'a\u200db', `${long}.mkv`, `${long}nnnnn`)
  const list = fc.array(fc.array(part, { minLength: 1, maxLength: 4 }), { maxLength: 30 })
  fc.assert(
    fc.property(list, (paths) => {
      const requests = paths.map((elements) => ({ elements, yields: false }))
      const unique = uniquePaths(requests)
      assert.deepEqual(uniquePaths(requests), unique)
      for (const path of unique) for (const one of path.split('/')) assert.ok(Buffer.byteLength(one) <= 255)
      const named = unique.map((path) => path.replace(/\u200d/g, '').toLowerCase())
      assert.equal(new Set(named).size, named.length)
      for (const path of named) assert.ok(!named.some((other) => other.startsWith(`${path}/`)), path)
    })
  )
})
